"""Whom an address means; what is another's is as if there were none."""

from typing import TypeVar

from aiohttp import web

from customers import book, group_book
from customers.models import Customer, CustomerGroup
from desk.ids import given_id
from desk.signed import session_of, signed

Found = TypeVar("Found")


async def customer_of(request: web.Request) -> Customer:
    """The customer whose `id` is in the address, if one may see them; else 404."""
    wanted = given_id(request.match_info["id"])
    return _there(await book.find(session_of(request), signed(request), wanted))


async def group_of(request: web.Request) -> CustomerGroup:
    """The customer group whose `id` is in the address, if one may see it; else 404."""
    wanted = given_id(request.match_info["id"])
    return _there(await group_book.find(session_of(request), signed(request), wanted))


def _there(found: Found | None) -> Found:
    if found is None:
        raise web.HTTPNotFound
    return found

"""Whom an address means."""

from aiohttp import web

from customers import book
from customers.models import Customer
from desk.ids import given_id
from desk.signed import session_of, signed


async def customer_of(request: web.Request) -> Customer:
    """The customer whose `id` is in the address; another's is as if there were none (404)."""
    wanted = given_id(request.match_info["id"])
    found = await book.find(session_of(request), signed(request), wanted)
    if found is None:
        raise web.HTTPNotFound
    return found

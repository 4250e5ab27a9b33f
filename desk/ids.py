"""Ids in addresses and in forms."""

from uuid import UUID

from aiohttp import web

# An id in the address of a route: `{id:ID}`.
ID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def id_of(text: str) -> UUID | None:
    """The id in a form or an address; None where there is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def given_id(text: str) -> UUID:
    """The id in a form or an address; 404 for anything else."""
    found = id_of(text)
    if found is None:
        raise web.HTTPNotFound
    return found

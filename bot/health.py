"""Is it alive, is it ready, what does it count."""

from contextlib import suppress

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from desk.keys import SESSIONS
from desk.permissions import public, streaming
from knowledge.indexing import LIBRARY_INDEX
from migrations import newest

routes = web.RouteTableDef()


@routes.get("/healthz")
@streaming
@public
async def alive(request: web.Request) -> web.Response:
    """The process answers."""
    return web.json_response({"alive": True})


@routes.get("/readyz")
@streaming
@public
async def ready(request: web.Request) -> web.Response:
    """Database reached, schema current, index built; 503 says which is not."""
    index = request.app[LIBRARY_INDEX]
    # An empty library is caught up too: a new bank must get in to upload its first material.
    state = {"database": False, "migrations": False, "index": index.caught_up}
    with suppress(SQLAlchemyError, OSError):
        async with request.app[SESSIONS]() as session:
            await session.execute(text("SELECT 1"))
            state["database"] = True
            at = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            state["migrations"] = at == newest()
    facts = state | {"generation": index.hybrid.generation}
    return web.json_response(facts, status=200 if all(state.values()) else 503)


@routes.get("/metrics")
@streaming
@public
async def metrics(request: web.Request) -> web.Response:
    """Counters for Prometheus."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

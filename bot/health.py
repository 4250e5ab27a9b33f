"""Is it alive, is it ready, what does it count."""

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
    state = {"database": False, "migrations": False, "index": request.app[LIBRARY_INDEX].seq > 0}
    try:
        async with request.app[SESSIONS]() as session:
            at = (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar()
            state |= {"database": True, "migrations": at == newest()}
    except SQLAlchemyError:
        pass
    facts = state | {"generation": request.app[LIBRARY_INDEX].hybrid.generation}
    return web.json_response(facts, status=200 if all(state.values()) else 503)


@routes.get("/metrics")
@streaming
@public
async def metrics(request: web.Request) -> web.Response:
    """Counters for Prometheus."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

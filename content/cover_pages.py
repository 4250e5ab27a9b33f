"""The small picture of a material in the grid."""

from uuid import UUID

from aiohttp import web

from content import shelf
from content.covers import COVERED, cover_of
from content.files import FILES
from content.material_pages import READERS, reader_of
from content.models import StoredFile, Version
from desk.ids import ID
from desk.permissions import allow
from desk.render import STATIC
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

# The cover of an immutable version never changes; who may see it is asked again after a while.
KEPT = {"Cache-Control": "private, max-age=600", "X-Content-Type-Options": "nosniff"}


@routes.get(f"/content/versions/{{version_id:{ID}}}/cover")
@allow(*READERS)
async def cover(request: web.Request) -> web.Response:
    """The picture, or the first page of the PDF, of a version one may see."""
    session, who, now = session_of(request), signed(request), now_of(request)
    version = await session.get(Version, UUID(request.match_info["version_id"]))
    if version is None or version.file_id is None:
        raise web.HTTPNotFound
    seen = await shelf.visible_versions(session, version.material_id, reader_of(who), now)
    stored = await session.get(StoredFile, version.file_id)
    if version not in seen or stored is None or stored.media_type not in COVERED:
        raise web.HTTPNotFound
    drawn = await cover_of(request.app[FILES], stored)
    if not drawn:
        blank = (STATIC / "no-cover.svg").read_bytes()
        return web.Response(body=blank, content_type="image/svg+xml", headers=KEPT)
    return web.Response(body=drawn, content_type="image/png", headers=KEPT)

"""素材链接: what a customer sees behind a link, and making one."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode
from uuid import UUID

from aiohttp import web

from content import links
from content.files import FILES
from content.material_pages import MAY_LINK
from content.models import Version
from desk.ids import ID
from desk.keys import SETTINGS
from desk.permissions import allow, public
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

TOKEN = "[A-Za-z0-9_-]{32}"


@dataclass(frozen=True)
class LinkPage:
    """A material as a customer reads it."""

    version: Version
    paragraphs: list[str]
    file_name: str
    file_address: str
    bank: str
    valid_until: datetime | None
    told_to: str = ""  # the address that is told how long it is read; empty: nobody is


@dataclass(frozen=True)
class GonePage:
    """Instead of a material that may not be shown any more."""

    bank: str


@routes.post(f"/content/versions/{{version_id:{ID}}}/link")
@allow(*MAY_LINK)
async def make_link(request: web.Request) -> web.Response:
    """A new public link to a live version."""
    session, version_id = session_of(request), UUID(request.match_info["version_id"])
    version = await session.get(Version, version_id)
    if version is None:
        raise web.HTTPNotFound
    made = await links.make(session, version_id, signed(request), now_of(request))
    back = f"/content/{version.material_id}"
    if isinstance(made, links.Refused):
        raise web.HTTPConflict(text=f"没有生成链接：{made.reason}")
    return see_other(f"{back}?{urlencode({'v': version.number, 'link': made.token})}#link")


@routes.get(f"/m/{{token:{TOKEN}}}")
@public
async def show_link(request: web.Request) -> web.Response:
    """The material behind a link; 410 from the moment it is not live."""
    shown = await links.follow(session_of(request), request.match_info["token"], now_of(request))
    if shown is None:
        raise web.HTTPNotFound
    if isinstance(shown, links.Refused):
        return gone(request)
    return page(request, "content/link.html", page_of(request, shown))


def page_of(request: web.Request, shown: links.Shown, told_to: str = "") -> LinkPage:
    """What the customer reads; its file lies below the address of the page."""
    return LinkPage(
        version=shown.version,
        paragraphs=[part for part in shown.text.split("\n\n") if part.strip()],
        file_name=shown.file.name if shown.file else "",
        file_address=f"{request.path}/file" if shown.file else "",
        bank=request.app[SETTINGS].bank_name,
        valid_until=shown.version.valid_until,
        told_to=told_to,
    )


def gone(request: web.Request) -> web.Response:
    """The page of a material that may not be shown any more (410)."""
    return page(request, "content/gone.html", GonePage(request.app[SETTINGS].bank_name), status=410)


async def file_of(request: web.Request, shown: links.Shown | links.Refused) -> web.Response:
    """The file of what a link shows, as an attachment; 410 like the link itself."""
    if isinstance(shown, links.Refused):
        raise web.HTTPGone(text="这份材料已下线：请向您的客户经理索取最新材料。")
    if shown.file is None:
        raise web.HTTPNotFound
    name = quote(shown.file.name, safe="")
    return web.Response(
        body=await request.app[FILES].read(shown.file.id),
        headers={
            "Content-Type": shown.file.media_type,
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        },
    )


@routes.get(f"/m/{{token:{TOKEN}}}/file")
@public
async def show_file(request: web.Request) -> web.Response:
    """The file of the material behind a link, as an attachment; 410 like the link itself."""
    shown = await links.follow(session_of(request), request.match_info["token"], now_of(request))
    if shown is None:
        raise web.HTTPNotFound
    return await file_of(request, shown)

"""The play page, its live news, the JS bridge file and the avatars."""

import asyncio
import contextlib
import html
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp_jinja2
from aiohttp import web

from wecom.simulator.api_call import PLATFORM
from wecom.simulator.control import deliveries
from wecom.simulator.login import MEMBER_COOKIE
from wecom.simulator.platform import Platform
from wecom.simulator.view import play_view

STATIC = Path(__file__).parent / "static"
PING_SECONDS = 15.0
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "frame-src *; connect-src 'self'; object-src 'none'; base-uri 'none'"
)


@dataclass(frozen=True)
class PlayPage:
    """What the play page is born with; everything else it asks for."""

    corp_name: str
    sidebar_url: str
    member: str
    customer: str


def add_routes(app: web.Application) -> None:
    """The pages' addresses."""
    app.router.add_get("/", _home)
    app.router.add_get("/play", play, name="play")
    app.router.add_get("/play/view", view)
    app.router.add_get("/play/deliveries", delivery_log)
    app.router.add_get("/play/news", news)
    app.router.add_post("/play/member", choose_member)
    app.router.add_post("/play/read", read_chat)
    app.router.add_post("/play/notices", read_notices)
    app.router.add_get("/avatar/{name}", avatar, name="avatar")
    app.router.add_get("/jssdk.js", jssdk, name="jssdk")
    app.router.add_static("/static", STATIC, name="static")


async def play(request: web.Request) -> web.Response:
    """The customer's phone beside the member's desktop."""
    platform = request.app[PLATFORM]
    member = _preselected_member(request, platform)
    page = PlayPage(
        corp_name=platform.corp.name,
        sidebar_url=platform.sidebar_url,
        member=member,
        customer=_preselected_customer(request, platform, member),
    )
    context = {"page": page, "boot": asdict(page)}
    response = aiohttp_jinja2.render_template("play.html", request, context)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    _remember_member(request, response, member)
    return response


async def view(request: web.Request) -> web.Response:
    """What phone and desktop show now."""
    query = request.query
    return web.json_response(
        play_view(
            request.app[PLATFORM],
            customer=query.get("customer", ""),
            peer=query.get("peer", ""),
            member=query.get("member", ""),
            opened=query.get("opened", ""),
        )
    )


async def delivery_log(request: web.Request) -> web.Response:
    """The latest callbacks, newest first, with the names a reader knows."""
    return web.json_response(named_deliveries(request.app[PLATFORM])[:100])


def named_deliveries(platform: Platform) -> list[dict[str, Any]]:
    """The callbacks, newest first, with the names a reader knows."""
    world = platform.world
    rows = []
    for row in reversed(deliveries(platform)):
        member = world.members.get(row["userid"])
        contact = world.contacts.get(row["external_userid"])
        group = world.groups.get(row["chat_id"])
        names = {
            "member": member.name if member else "",
            "customer": contact.name if contact else group.name if group else "",
        }
        rows.append({**row, **names})
    return rows


async def news(request: web.Request) -> web.StreamResponse:
    """Server-sent events: one line whenever the world changes."""
    live = request.app[PLATFORM].live
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    with live.watch() as queue, contextlib.suppress(ConnectionResetError):
        await response.write(b"retry: 1000\n\n")
        while not live.closing.is_set():
            try:
                line = await asyncio.wait_for(queue.get(), PING_SECONDS)
                await response.write(f"data: {line}\n\n".encode())
            except TimeoutError:
                await response.write(b": still here\n\n")
    return response


async def choose_member(request: web.Request) -> web.Response:
    """Sit down at another member's desktop."""
    userid = str((await request.json()).get("userid", ""))
    if userid not in request.app[PLATFORM].world.members:
        raise web.HTTPNotFound(text="unknown member")
    response = web.json_response({"ok": True})
    _remember_member(request, response, userid)
    return response


async def read_chat(request: web.Request) -> web.Response:
    """One side has the chat open and sees it; in a group `person` does."""
    seen = await request.json()
    if chat_id := str(seen.get("chat_id", "")):
        request.app[PLATFORM].mark_group_read(chat_id, str(seen["person"]))
        return web.json_response({"ok": True})
    side = "customer" if seen.get("side") == "customer" else "member"
    request.app[PLATFORM].mark_read(side, str(seen["userid"]), str(seen["external_userid"]))
    return web.json_response({"ok": True})


async def read_notices(request: web.Request) -> web.Response:
    """The member has looked at his notices."""
    platform = request.app[PLATFORM]
    userid = str((await request.json()).get("userid", ""))
    unread = [m for m in platform.world.app_messages if m.userid == userid and not m.read]
    for message in unread:
        message.read = True
    if unread:
        platform.live.announce("app", userid)
    return web.json_response({"ok": True})


async def avatar(request: web.Request) -> web.Response:
    """A customer's avatar: the first character of the name on his colour."""
    contact = request.app[PLATFORM].world.contacts.get(request.match_info["name"])
    if contact is None:
        raise web.HTTPNotFound
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 96 96">'
        f'<rect width="96" height="96" rx="12" fill="{html.escape(contact.avatar_color)}"/>'
        '<text x="48" y="63" font-size="42" fill="#fff" text-anchor="middle" '
        'font-family="PingFang SC,Microsoft YaHei,Noto Sans CJK SC,sans-serif">'
        f"{html.escape(contact.name[:1])}</text></svg>"
    )
    return web.Response(text=picture, content_type="image/svg+xml")


async def jssdk(request: web.Request) -> web.StreamResponse:
    """The script a sidebar page loads in place of the platform's own."""
    return web.FileResponse(STATIC / "jssdk.js", headers={"Cache-Control": "no-cache"})


async def _home(request: web.Request) -> web.Response:
    target = request.app.router["play"].url_for().with_query(request.query)
    raise web.HTTPFound(target)


def _preselected_member(request: web.Request, platform: Platform) -> str:
    members = platform.world.members
    wanted = (request.query.get("member", ""), request.cookies.get(MEMBER_COOKIE, ""))
    with_customers = [userid for userid in members if platform.world.customers_of(userid)]
    known = [userid for userid in wanted if userid in members]
    return next(iter([*known, *with_customers, *members]), "")


def _preselected_customer(request: web.Request, platform: Platform, member: str) -> str:
    world = platform.world
    wanted = [request.query.get("customer", "")]
    known = [customer for customer in wanted if customer in world.contacts]
    return next(iter([*known, *world.customers_of(member), *world.contacts]), "")


def _remember_member(request: web.Request, response: web.Response, userid: str) -> None:
    path = str(request.app.router["play"].url_for().parent) or "/"
    response.set_cookie(MEMBER_COOKIE, userid, path=path, samesite="Lax", httponly=True)

"""Links of a chat are opened: by a customer in WeChat's browser, by a member in WeCom's."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import aiohttp
from aiohttp import web
from yarl import URL

from wecom.simulator.api_call import PLATFORM
from wecom.simulator.control import Action
from wecom.simulator.platform import ImpossibleError, Platform
from wecom.simulator.state import World

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Mobile/15E148 MicroMessenger/8.0.54(0x18003633) NetType/WIFI Language/zh_CN"
)
DESKTOP = (
    "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0"
    " Safari/537.36 wxwork/4.1.36 (MicroMessenger/6.2) WindowsWechat"
)
HOPS = 5
SIGN_IN = "connect/oauth2/authorize"
TOLD_TO = re.compile(r'data-told-to="([^"]+)"')
KEPT_HEADERS = ("Content-Type", "Content-Security-Policy", "Cache-Control", "Referrer-Policy")


@dataclass(frozen=True)
class Page:
    """What the phone shows; `elsewhere` is where it is led, outside the bank's own pages."""

    status: int
    url: URL
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    elsewhere: str = ""


async def open_on_phone(request: web.Request) -> web.Response:
    """`?who=&url=`: the page as that customer's phone or that member's client gets it."""
    world, asked = request.app[PLATFORM].world, request.query
    who, url = asked.get("who", ""), asked.get("url", "")
    if url not in in_chats(world, who):
        raise web.HTTPNotFound
    if URL(url).origin() != request.url.origin():
        raise web.HTTPFound(url)
    page = await opened(who, url, DESKTOP if who in world.members else PHONE)
    if page.elsewhere:
        raise web.HTTPFound(page.elsewhere)
    return web.Response(status=page.status, body=page.body, headers=dict(page.headers))


def in_chats(world: World, who: str) -> list[str]:
    """The addresses of the links in somebody's chats, oldest first; nothing else is opened."""
    return [
        str(one.body.get("url", ""))
        for one in world.messages
        if one.msgtype == "link" and who and who in (one.external_userid, one.userid, *one.audience)
    ]


async def opened(who: str, url: str, agent: str = PHONE) -> Page:
    """Follow the link as WeChat's browser does, on the bank's own pages and through its sign-in."""
    headers = {"User-Agent": agent, "Accept": "text/html"}
    jar, home = aiohttp.CookieJar(unsafe=True), URL(url).origin()
    async with aiohttp.ClientSession(cookie_jar=jar, headers=headers) as http:
        at = URL(url)
        for _ in range(HOPS):
            async with http.get(at, allow_redirects=False) as answer:
                if "Location" not in answer.headers:
                    kept = [(n, answer.headers[n]) for n in KEPT_HEADERS if n in answer.headers]
                    return Page(answer.status, at, await answer.read(), tuple(kept))
                at = URL(urljoin(str(at), answer.headers["Location"]))
            if at.origin() != home:
                return Page(answer.status, at, elsewhere=str(at))
            if at.path.endswith(SIGN_IN):
                at = at.update_query(customer=who)
    raise ImpossibleError("这个链接一直在跳转")


async def open_link(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{external_userid, url?, seconds?, progress?, agent?}`: a customer opens the link they were
    sent last (or that one), and reads for so long."""
    customer, links = wish["external_userid"], in_chats(platform.world, wish["external_userid"])
    if not links:
        raise ImpossibleError("这位客户还没有收到链接")
    page = await opened(customer, wish.get("url", links[-1]), wish.get("agent", PHONE))
    if "seconds" in wish:
        await _read(page, int(wish["seconds"]), int(wish.get("progress", 100)))
    return {"status": page.status, "url": str(page.url), "elsewhere": page.elsewhere}


async def _read(page: Page, seconds: int, progress: int) -> None:
    """As the page's own script tells it."""
    found = TOLD_TO.search(page.body.decode())
    if found is None:
        raise ImpossibleError("这个页面不记录阅读时长")
    told = {"seconds": str(seconds), "progress": str(progress)}
    address = page.url.join(URL(found[1]))
    async with aiohttp.ClientSession() as http, http.post(address, data=told) as answer:
        answer.raise_for_status()


def add_routes(app: web.Application) -> None:
    """The phone's browser."""
    app.router.add_get("/phone/open", open_on_phone)


CONTROLS: dict[str, Action] = {"open_link": open_link}

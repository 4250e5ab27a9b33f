"""Sign-in through the browser: inside the client by its session, outside by choosing oneself."""

import secrets
from dataclasses import dataclass

import aiohttp_jinja2
from aiohttp import web
from yarl import URL

from wecom.simulator.api_call import PLATFORM
from wecom.simulator.platform import Platform
from wecom.simulator.state import LoginCode, Member

MEMBER_COOKIE = "sim_member"


@dataclass(frozen=True)
class Choice:
    """One member on the page where a person says who he is."""

    member: Member
    href: str
    initial: str


@dataclass(frozen=True)
class SignInPage:
    """The page 选择您的身份, members grouped by department."""

    corp_name: str
    departments: dict[str, list[Choice]]


async def authorize(request: web.Request) -> web.StreamResponse:
    """In-client sign-in: the client knows who uses it and sends him straight back.

    `customer=` stands for a customer who opened the page inside WeChat.
    """
    platform = request.app[PLATFORM]
    back = _checked_redirect(request, platform)
    customer = request.query.get("customer", "")
    if customer in platform.world.contacts:
        # A page of the bank opened inside WeChat: its visitor is a customer, not a member.
        raise web.HTTPFound(_with_code(request, platform, back, customer))
    userid = request.cookies.get(MEMBER_COOKIE, "")
    if userid not in platform.world.members:
        context = {"title": "请在企业微信客户端打开链接", "reason": "当前浏览器没有已登录的成员。"}
        return aiohttp_jinja2.render_template("notice.html", request, context)
    raise web.HTTPFound(_with_code(request, platform, back, userid))


async def sso_login(request: web.Request) -> web.StreamResponse:
    """Web sign-in: choose a member, or name him in `member=` to go straight through."""
    platform = request.app[PLATFORM]
    back = _checked_redirect(request, platform)
    userid = request.query.get("member", "")
    if userid in platform.world.members:
        raise web.HTTPFound(_with_code(request, platform, back, userid))
    page = SignInPage(platform.corp.name, _by_department(request, platform))
    return aiohttp_jinja2.render_template("sso.html", request, {"page": page})


def _by_department(request: web.Request, platform: Platform) -> dict[str, list[Choice]]:
    departments: dict[str, list[Choice]] = {}
    for member in platform.world.members.values():
        href = str(request.rel_url.update_query(member=member.userid))
        choice = Choice(member, href, member.name[:1])
        departments.setdefault(member.department or platform.corp.name, []).append(choice)
    return departments


def _checked_redirect(request: web.Request, platform: Platform) -> URL:
    if request.query.get("appid") != platform.corp.corp_id:
        raise _refusal(request, "appid 参数错误", "appid 与本企业的 CorpID 不一致。")
    if not platform.app(request.query.get("agentid", platform.corp.agent_id)):
        raise _refusal(request, "agentid 参数错误", "本企业没有这个自建应用。")
    back = URL(request.query.get("redirect_uri", ""))
    if back.scheme not in ("http", "https") or not back.host:
        raise _refusal(request, "redirect_uri 参数错误", "回调地址须是完整的 http 或 https 地址。")
    return back


def _refusal(request: web.Request, title: str, reason: str) -> web.HTTPBadRequest:
    page = aiohttp_jinja2.render_string("notice.html", request, {"title": title, "reason": reason})
    return web.HTTPBadRequest(text=page, content_type="text/html")


def _with_code(request: web.Request, platform: Platform, back: URL, userid: str) -> URL:
    code = secrets.token_urlsafe(32)
    private = request.query.get("scope") == "snsapi_privateinfo"
    issued = LoginCode(code, userid, platform.now(), private=private)
    platform.world.login_codes[code] = issued
    platform.live.dirty.set()
    return back.update_query(code=code, state=request.query.get("state", ""))

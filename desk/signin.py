"""Sign-in through WeCom: QR code in a browser, silently inside the WeCom client."""

import hmac
import re
import secrets

import structlog
from aiohttp import web
from yarl import URL

from bank import audit
from bank import staff as people
from desk.keys import SETTINGS, WECOM
from desk.permissions import allow, public
from desk.render import error_page, see_other
from desk.signed import (
    COOKIES,
    end_session,
    forget_ended,
    now_of,
    open_session,
    session_of,
    set_cookie,
)
from wecom.errors import WeComError

log = structlog.get_logger("desk")
routes = web.RouteTableDef()
STATE = "siyu_state"


@routes.get("/signin")
@public
async def signin(request: web.Request) -> web.StreamResponse:
    """Send the browser to WeCom's QR page; it comes back with a code."""
    settings = request.app[SETTINGS]
    address = URL(settings.wecom_login_url) / "wwlogin/sso/login"
    member = {"member": request.query["as"]} if settings.demo and "as" in request.query else {}
    state = secrets.token_hex(16)
    query = {
        "login_type": "CorpApp",
        "appid": settings.wecom_corp_id,
        "agentid": str(settings.wecom_agent_id),
        "redirect_uri": str(URL(settings.public_url) / "signin/callback"),
        "state": state,
    }
    return _leave_for(address.with_query(query | member), request, state)


@routes.get("/sidebar/signin")
@public
async def sidebar_signin(request: web.Request) -> web.StreamResponse:
    """Inside the WeCom client: its own OAuth, no click needed."""
    settings = request.app[SETTINGS]
    state = secrets.token_hex(16)
    query = {
        "appid": settings.wecom_corp_id,
        "redirect_uri": str(URL(settings.public_url) / "sidebar/signin/callback"),
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
        "agentid": str(settings.wecom_agent_id),
    }
    address = (URL(settings.wecom_oauth_url) / "connect/oauth2/authorize").with_query(query)
    return _leave_for(address.with_fragment("wechat_redirect"), request, state)


def _leave_for(address: URL, request: web.Request, state: str) -> web.Response:
    response = see_other(str(address))
    response.set_cookie(
        STATE,
        f"{state}|{_own_path(request.query.get('next', '/'))}",
        path="/",
        httponly=True,
        samesite="Lax",
        secure=_encrypted(request),
        max_age=600,
    )
    return response


def _encrypted(request: web.Request) -> bool:
    return request.app[SETTINGS].public_url.startswith("https")


@routes.get("/signin/callback")
@public
async def signed_in_at_desk(request: web.Request) -> web.StreamResponse:
    """WeCom sends the browser back with a code."""
    return await _finish(request, "desk")


@routes.get("/sidebar/signin/callback")
@public
async def signed_in_at_sidebar(request: web.Request) -> web.StreamResponse:
    """The WeCom client comes back with a code."""
    return await _finish(request, "sidebar")


async def _finish(request: web.Request, door: str) -> web.StreamResponse:
    """Exchange the code for a member, once, and only for the browser that left with this state."""
    response = await _exchange(request, door)
    # Whatever came of it, the state has been used.
    response.del_cookie(STATE, path="/")
    return response


async def _exchange(request: web.Request, door: str) -> web.Response:
    state, _, back = request.cookies.get(STATE, "").partition("|")
    returned = request.query.get("state", "")
    if not state or not hmac.compare_digest(state.encode(), returned.encode()):
        return error_page(request, 403, "登录已失效：请重新打开页面登录。")
    try:
        code = request.query.get("code", "")
        signed_in = await request.app[WECOM].sign_in.member_of_code(code)
    except WeComError as error:
        log.warning("signin_refused", error=type(error).__name__)
        return error_page(
            request, 403, "企业微信没有确认您的身份：请重新登录；若仍不行，请联系系统管理员。"
        )
    session, now = session_of(request), now_of(request)
    staff = await people.by_userid(session, signed_in.userid)
    if staff is None:
        return error_page(
            request, 403, "您还没有开通使用权限：请联系系统管理员在“员工与角色”中添加您。"
        )
    await forget_ended(session, now)
    await end_session(session, request.cookies.get(COOKIES[door][0], ""))
    token, _ = await open_session(session, staff, door, now)
    audit.record(session, "desk:staff:signin", staff.id, by=staff.userid, now=now, door=door)
    response = see_other(_own_path(back))
    set_cookie(response, token, door, _encrypted(request))
    return response


# Browsers drop tabs and newlines, so that /<tab>/other.example would lead to another site.
OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,1000}")


def _own_path(back: str) -> str:
    """Only a path of ours; never another site."""
    return back if OWN_PATH.fullmatch(back) else "/"


@routes.post("/signout")
@allow()
async def signout(request: web.Request) -> web.StreamResponse:
    """Forget this browser's sign-in."""
    name, path = COOKIES["desk"]
    await end_session(session_of(request), request.cookies.get(name, ""))
    response = see_other("/")
    response.del_cookie(name, path=path)
    return response

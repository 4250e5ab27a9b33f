"""What a tracked link shows, who opened it, and how long they read: the customer's side of it."""

import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog
from aiohttp import web
from yarl import URL

from attribution.devices import device_of, is_wechat, is_wecom
from attribution.leads import LEADS, Busy, Lead
from attribution.models import Device, Opener
from attribution.radar import RADAR, Opened
from attribution.tracked_links import PATH
from content.link_pages import TOKEN, file_of, gone, page_of
from content.links import Refused
from desk.ids import given_id
from desk.keys import SETTINGS, WECOM
from desk.permissions import public, streaming
from desk.render import page, see_other
from desk.signed import SIGNED, now_of
from wecom.errors import WeComError
from wecom.sign_in import Visitor

log = structlog.get_logger("attribution")
routes = web.RouteTableDef()

STATE = "siyu_radar"
STATE_SECONDS = 300
# Without a name the page is shown all the same: nobody waits long for one.
IDENTIFY_SECONDS = 2.0
# A WeChat user's id begins with wm; only users of WeCom itself open links in its client.
OF_WECOM = "wo"
LONGEST_READING = 100
AGAIN_SECONDS = 5


@dataclass(frozen=True)
class Someone:
    """Who opens a link; without an opener nobody was asked."""

    opener: Opener | None = None
    contact: str = ""


@routes.get(f"{PATH}{{code:{TOKEN}}}")
@streaming
@public
async def open_link(request: web.Request) -> web.StreamResponse:
    """Log the opening and show the material, or lead to its approved address; 410 once it ended."""
    lead = await _lead(request)
    if isinstance(lead.shown, Refused):
        return gone(request)
    if _asks(request):
        return _ask_wechat(request)
    someone = await _someone(request, lead)
    visit = _take_down(request, lead, someone)
    response: web.StreamResponse
    if lead.redirect:
        response = see_other(lead.redirect)
    else:
        told_to = f"{PATH}visits/{visit}" if visit else ""
        response = page(request, "content/link.html", page_of(request, lead.shown, told_to))
    if STATE in request.cookies:
        response.del_cookie(STATE, path=PATH)
    return response


@routes.get(f"{PATH}{{code:{TOKEN}}}/file")
@streaming
@public
async def open_file(request: web.Request) -> web.StreamResponse:
    """The file of what the link shows; 410 like the link itself."""
    return await file_of(request, (await _lead(request)).shown)


@routes.post(f"{PATH}visits/{{visit:[0-9a-f-]{{36}}}}")
@streaming
@public
async def note_reading(request: web.Request) -> web.StreamResponse:
    """The open page says how long it was visible so far; only numbers are taken, and no answer."""
    length = request.content_length
    if length is None or length > LONGEST_READING:
        raise web.HTTPRequestEntityTooLarge(LONGEST_READING, length or 0)
    form = await request.post()
    visit = given_id(request.match_info["visit"])
    seconds, progress = _number(form.get("seconds")), _number(form.get("progress"))
    request.app[RADAR].read(visit, now_of(request), seconds, progress)
    return web.Response(status=204)


def _number(sent: object) -> int:
    text = str(sent)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


async def _lead(request: web.Request) -> Lead:
    try:
        lead = await request.app[LEADS].of(request.match_info["code"], now_of(request))
    except Busy:
        again = {"Retry-After": str(AGAIN_SECONDS)}
        raise web.HTTPServiceUnavailable(
            text="打开的人太多：请过几秒再试。", headers=again
        ) from None
    if lead is None:
        raise web.HTTPNotFound
    return lead


def _take_down(request: web.Request, lead: Lead, someone: Someone | None) -> UUID | None:
    """The visit, if it is an opening: by a person who is not one of us."""
    radar, device = request.app[RADAR], device_of(request.headers)
    opens = request.method == "GET" and device in (Device.PHONE, Device.DESKTOP)
    if someone is None or not opens or radar.mode == "off":
        return None
    visit = uuid4()
    radar.opened(
        Opened(
            id=visit,
            code=request.match_info["code"],
            at=now_of(request),
            device=device,
            timed=not lead.redirect,
            opener=someone.opener,
            contact=someone.contact,
            to_one=lead.to_one,
        )
    )
    return visit


async def _someone(request: web.Request, lead: Lead) -> Someone | None:
    """Who opens it; None for staff of the bank, who only look at what they sent."""
    ours = is_wecom(request.headers) and not lead.contact.startswith(OF_WECOM)
    if SIGNED in request or ours:
        return None
    visitor = await _identified(request)
    if visitor is None:
        return Someone()
    if visitor.userid:
        return None
    if not visitor.external_userid:
        return Someone(Opener.STRANGER)
    if visitor.external_userid == lead.contact:
        return Someone(Opener.ADDRESSEE)
    return Someone(Opener.OTHER if lead.to_one else Opener.ADDRESSEE, visitor.external_userid)


def _asks(request: web.Request) -> bool:
    """Whether WeChat is asked first who this is."""
    wanted = request.app[SETTINGS].radar_identify and request.app[RADAR].mode != "off"
    return (
        wanted
        and request.method == "GET"
        and is_wechat(request.headers)
        and "code" not in request.query
    )


def _ask_wechat(request: web.Request) -> web.Response:
    """WeChat's own sign-in, without a question to the customer; it comes back here with a code."""
    settings, state = request.app[SETTINGS], secrets.token_hex(16)
    query = {
        "appid": settings.wecom_corp_id,
        "redirect_uri": str(URL(settings.public_url).join(URL(request.path))),
        "response_type": "code",
        "scope": "snsapi_base",
        "state": state,
        "agentid": str(settings.wecom_agent_id),
    }
    address = (URL(settings.wecom_oauth_url) / "connect/oauth2/authorize").with_query(query)
    response = see_other(str(address.with_fragment("wechat_redirect")))
    response.set_cookie(
        STATE,
        state,
        path=PATH,
        httponly=True,
        samesite="Lax",
        secure=settings.public_url.startswith("https"),
        max_age=STATE_SECONDS,
    )
    return response


async def _identified(request: web.Request) -> Visitor | None:
    """Whom WeChat names, once, for the browser that left with this state; None if nobody."""
    code, kept = request.query.get("code", ""), request.cookies.get(STATE, "")
    returned = request.query.get("state", "")
    asked = request.app[SETTINGS].radar_identify and code and kept
    if not asked or not hmac.compare_digest(kept.encode(), returned.encode()):
        return None
    try:
        return await request.app[WECOM].sign_in.visitor_of_code(code, IDENTIFY_SECONDS)
    except (WeComError, TimeoutError) as error:
        log.warning("visitor_not_identified", error=type(error).__name__)
        return None

"""Codes customers scan to add members (联系我), made by API and unknown to the console."""

import secrets
from typing import Any

from aiohttp import web

from wecom.simulator.api_call import PLATFORM, Action, ApiError, Call, page_of
from wecom.simulator.channels import ContactWay

USERS, STATE, REMARK = 100, 30, 30
SINGLE, SEVERAL = 1, 2
MINI_PROGRAM, CODE = 1, 2


async def add_contact_way(call: Call) -> dict[str, Any]:
    """A new code; `config_id` is all there is to find it again, `qr_code` only for scene 2."""
    kind, scene = call.number("type"), call.number("scene")
    if kind not in (SINGLE, SEVERAL) or scene not in (MINI_PROGRAM, CODE):
        raise ApiError(40058)
    if call.body.get("is_temp"):
        # Temporary sessions are for the medical trade only.
        raise ApiError(48002)
    if len(call.world.contact_ways) >= call.world.settings.contact_ways:
        raise ApiError(41045)
    way = ContactWay(secrets.token_hex(16), call.now(), kind, scene, [])
    _fill(call, way)
    call.world.contact_ways[way.config_id] = way
    call.platform.live.announce("ways")
    answer = {"config_id": way.config_id}
    return {**answer, "qr_code": _code(call.request, way)} if scene == CODE else answer


async def get_contact_way(call: Call) -> dict[str, Any]:
    """A code as it was configured."""
    way = _way(call)
    row: dict[str, Any] = {
        "config_id": way.config_id,
        "type": way.kind,
        "scene": way.scene,
        "style": way.style,
        "remark": way.remark,
        "skip_verify": way.skip_verify,
        "state": way.state,
        "user": way.users,
        "party": way.party,
        "is_temp": False,
        "expires_in": 0,
        "chat_expires_in": 0,
        "unionid": "",
        "mark_source": way.mark_source,
        "conclusions": way.conclusions,
    }
    if way.scene == CODE:
        row["qr_code"] = _code(call.request, way)
    return {"contact_way": row}


async def update_contact_way(call: Call) -> dict[str, Any]:
    """Change what is given; type and scene stay."""
    way = _way(call)
    _fill(call, way)
    call.platform.live.announce("ways")
    return {}


async def del_contact_way(call: Call) -> dict[str, Any]:
    """The code leads nowhere from now on."""
    del call.world.contact_ways[_way(call).config_id]
    call.platform.live.announce("ways")
    return {}


async def list_contact_way(call: Call) -> dict[str, Any]:
    """The config ids of the codes made in a period (the last 90 days), a page at a time."""
    start = call.number("start_time")
    end = call.number("end_time", int(call.now().timestamp()))
    found = [
        {"config_id": way.config_id}
        for way in call.world.contact_ways.values()
        if start <= way.created_at.timestamp() <= end
    ]
    page, following = page_of(found, call.text("cursor"), call.limit(default=100, most=1000))
    answer: dict[str, Any] = {"contact_way": page}
    return {**answer, "next_cursor": following} if following else answer


async def code_picture(request: web.Request) -> web.Response:
    """The code itself: a drawing that stands for it."""
    if request.match_info["name"] not in request.app[PLATFORM].world.contact_ways:
        raise web.HTTPNotFound
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 24 24">'
        '<path fill="#fff" d="M0 0h24v24H0z"/><path d="M3 3h7v7H3zm2 2v3h3V5zm9-2h7v7h-7zm2 2v3h3'
        'V5zM3 14h7v7H3zm2 2v3h3v-3zm9-2h3v3h-3zm4 4h3v3h-3z" fill-rule="evenodd"/></svg>'
    )
    return web.Response(text=drawing, content_type="image/svg+xml")


def _fill(call: Call, way: ContactWay) -> None:
    users = call.texts("user", most=10**6) if "user" in call.body else way.users
    if len(users) > USERS:
        raise ApiError(41041)
    if not users or (way.kind == SINGLE and len(users) != 1):
        raise ApiError(40058)
    for userid in users:
        if not call.world.members[call.member(userid)].activated:
            raise ApiError(41054)
    state = call.text("state") if "state" in call.body else way.state
    remark = call.text("remark") if "remark" in call.body else way.remark
    if len(state) > STATE or len(remark) > REMARK:
        raise ApiError(40058)
    way.users, way.state, way.remark = users, state, remark
    way.style = call.number("style", way.style)
    way.skip_verify = bool(call.body.get("skip_verify", way.skip_verify))
    way.is_exclusive = bool(call.body.get("is_exclusive", way.is_exclusive))
    way.mark_source = bool(call.body.get("mark_source", way.mark_source))
    way.conclusions = dict(call.body.get("conclusions") or way.conclusions)


def _way(call: Call) -> ContactWay:
    way = call.world.contact_ways.get(call.text("config_id"))
    if way is None:
        raise ApiError(41044)
    return way


def _code(request: web.Request, way: ContactWay) -> str:
    path = request.app.router["code"].url_for(name=way.config_id)
    return str(request.url.origin().join(path))


POSTS: dict[str, Action] = {
    "externalcontact/add_contact_way": add_contact_way,
    "externalcontact/get_contact_way": get_contact_way,
    "externalcontact/update_contact_way": update_contact_way,
    "externalcontact/del_contact_way": del_contact_way,
    "externalcontact/list_contact_way": list_contact_way,
}

"""The hands of a test or of the demo's story: make people act, make things fail, look behind."""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from wecom.simulator.api_call import PLATFORM, Handler
from wecom.simulator.platform import ImpossibleError, Platform, new_external_userid
from wecom.simulator.state import Contact, FollowRelation, Member, Settings, World

SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)
AVATAR_COLORS = ("#5b8ff9", "#4d9e8f", "#c58c4a", "#8a6fc0", "#c0657a", "#5f86a8")

Action = Callable[[Platform, dict[str, Any]], Awaitable[dict[str, Any]]]


async def message(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{from, to, text}`: a customer or a member says something."""
    said = platform.speak(wish["from"], wish["to"], "text", {"content": wish["text"]})
    return {"msgid": said.msgid, "seq": said.seq}


async def add_contact(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, name, external_userid?, state?, gender?, welcome_code?: false}`: new friends."""
    external_userid = wish.get("external_userid") or new_external_userid()
    known = platform.world.contacts.get(external_userid)
    color = AVATAR_COLORS[len(platform.world.contacts) % len(AVATAR_COLORS)]
    contact = known or Contact(
        external_userid, wish.get("name") or "微信用户", int(wish.get("gender", 0)), color
    )
    code = platform.add_contact(
        wish["userid"],
        contact,
        state=wish.get("state", ""),
        with_welcome=wish.get("welcome_code", True),
    )
    return {"external_userid": external_userid, "welcome_code": code}


async def delete_follow(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, by?: "member"}`: the customer (or the member) ends it."""
    by_member = wish.get("by") == "member"
    platform.delete_follow(wish["userid"], wish["external_userid"], by_member=by_member)
    return {}


async def edit_remark(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{userid, external_userid, remark}`: the member edits a remark in the client."""
    platform.edit_remark(wish["userid"], wish["external_userid"], wish["remark"])
    return {}


async def confirm_task(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{msgid, userid}`: the member presses send on a mass-send task."""
    task = platform.confirm_task(wish["msgid"], wish["userid"])
    return {"send_list": [dataclasses.asdict(t) for t in task.of(wish["userid"])]}


async def invalidate_token(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """The platform drops the access token before its time: the next call gets 40014."""
    platform.world.credentials.pop("access_token", None)
    platform.live.dirty.set()
    return {}


async def faults(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """Plan faults; see `Faults.arrange` for the words."""
    platform.faults.arrange(wish)
    return {"faults": _faults(platform)}


async def settings(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{mass_send_quota?: monthly|weekly|daily, dispatch_seconds?}`: the console's settings."""
    merged = {**dataclasses.asdict(platform.world.settings), **wish}
    platform.world.settings = TypeAdapter(Settings).validate_python(merged)
    platform.live.dirty.set()
    return {"settings": dataclasses.asdict(platform.world.settings)}


async def seed(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{members, contacts, follows}`: people the world does not know yet."""
    platform.world.seed(
        TypeAdapter(list[Member]).validate_python(wish.get("members", [])),
        TypeAdapter(list[Contact]).validate_python(wish.get("contacts", [])),
        TypeAdapter(list[FollowRelation]).validate_python(wish.get("follows", [])),
    )
    platform.live.announce("follow")
    return {}


async def settle(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """Return once every callback so far was delivered or given up."""
    await platform.line.settle()
    return {}


async def verify_callback(request: web.Request) -> web.Response:
    """Send the console's echo to the callback address and say whether it came back."""
    try:
        verified = await request.app[PLATFORM].line.verify_url(request.app[SESSION])
    except (aiohttp.ClientError, TimeoutError):
        verified = False
    return web.json_response({"ok": verified})


async def ledger(request: web.Request) -> web.Response:
    """What every customer really saw, in order."""
    rows = [
        {
            "external_userid": bubble.external_userid,
            "userid": bubble.userid,
            "text": bubble.text,
            "msgtype": bubble.msgtype,
            "via": bubble.via,
            "at": bubble.at.isoformat(),
            "seq": bubble.seq,
        }
        for bubble in request.app[PLATFORM].world.messages
        if not bubble.from_customer
    ]
    return web.json_response({"ledger": rows})


async def state(request: web.Request) -> web.Response:
    """The whole world (files without their bytes), the callbacks and the faults to come."""
    platform = request.app[PLATFORM]
    world = TypeAdapter(World).dump_python(
        platform.world, mode="json", exclude={"media": {"__all__": {"content_base64"}}}
    )
    return web.json_response(
        {"world": world, "deliveries": deliveries(platform), "faults": _faults(platform)}
    )


def deliveries(platform: Platform) -> list[dict[str, Any]]:
    """The callbacks, oldest first, with what became of each."""
    return [
        {**dataclasses.asdict(delivery), "queued_at": delivery.queued_at.isoformat()}
        for delivery in platform.line.log
    ]


def _faults(platform: Platform) -> dict[str, Any]:
    return dataclasses.asdict(platform.faults)


def control(action: Action) -> Handler:
    """A control verb as a handler: 400 for a wish without sense, 409 for an impossible one."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            wish = await request.json() if request.can_read_body else {}
            done = await action(request.app[PLATFORM], wish)
        except ImpossibleError as refusal:
            return web.json_response({"ok": False, "error": str(refusal)}, status=409)
        except KeyError as missing:
            return web.json_response({"ok": False, "error": f"缺少参数 {missing}"}, status=400)
        except (ValueError, ValidationError) as wrong:
            return web.json_response({"ok": False, "error": str(wrong)}, status=400)
        return web.json_response({"ok": True, **done}, dumps=_dumps)

    return handle


def _dumps(value: Any) -> str:
    return TypeAdapter(Any).dump_json(value).decode()

"""The hands of a test or of the demo's story: make people act, make things fail, look behind."""

import base64
import dataclasses
import hashlib
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from wecom.simulator.api_call import PLATFORM, Handler
from wecom.simulator.console import Settings
from wecom.simulator.platform import ImpossibleError, Platform
from wecom.simulator.state import (
    Contact,
    FollowRelation,
    Member,
    Message,
    Shown,
    World,
)

SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)
NEWEST = 200

Action = Callable[[Platform, dict[str, Any]], Awaitable[dict[str, Any]]]


async def settings(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """Any of the fields of `Settings`: what the console says and what the platform allows."""
    known = dataclasses.asdict(platform.world.settings)
    if unknown := wish.keys() - known.keys():
        raise ValueError(f"没有这些设置：{'、'.join(sorted(unknown))}")
    merged = {**known, **wish}
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
    """Return once every callback so far was delivered or given up (late ones stay held back)."""
    platform.pass_time()
    await platform.line.settle()
    return {}


async def verify_callback(request: web.Request) -> web.Response:
    """Send the console's echo to an app's callback address (`?agent_id=`) and say if it came."""
    platform = request.app[PLATFORM]
    app = platform.app(request.query.get("agent_id", platform.corp.agent_id))
    try:
        session = request.app[SESSION]
        verified = app is not None and await platform.line.verify_url(session, app)
    except (aiohttp.ClientError, TimeoutError):
        verified = False
    return web.json_response({"ok": verified})


async def ledger(request: web.Request) -> web.Response:
    """What customers really saw, in order; `?external_userid=` or `?chat_id=` narrows it.

    A group's row names the customers who were in the group in `seen_by`.
    """
    world = request.app[PLATFORM].world
    customer, chat = request.query.get("external_userid"), request.query.get("chat_id")
    rows = [_bubble_row(world, m) for m in world.messages if not m.from_customer or m.chat_id]
    rows += [_shown_row(shown) for shown in world.shown]
    if customer:
        rows = [r for r in rows if customer == r["external_userid"] or customer in r["seen_by"]]
    if chat:
        rows = [row for row in rows if row["chat_id"] == chat]
    return web.json_response({"ledger": sorted(rows, key=lambda row: str(row["at"]))})


async def state(request: web.Request) -> web.Response:
    """The world (long lists: only their newest entries, files without their bytes, with the full
    counts), the callbacks and the faults to come."""
    platform = request.app[PLATFORM]
    world = platform.world
    dumped = TypeAdapter(World).dump_python(
        _shortened(world), mode="json", exclude={"media": {"__all__": {"content_base64"}}}
    )
    return web.json_response(
        {
            "world": dumped,
            "counts": {
                name: len(value)
                for name, value in vars(world).items()
                if isinstance(value, list | dict)
            },
            "now": platform.now().isoformat(),
            "deliveries": deliveries(platform),
            "faults": platform.faults.facts(),
        }
    )


def deliveries(platform: Platform) -> list[dict[str, Any]]:
    """The latest callbacks, oldest first, with what became of each."""
    return [
        {
            **{f.name: getattr(one, f.name) for f in dataclasses.fields(one) if f.name != "app"},
            "queued_at": one.queued_at.isoformat(),
            "app": one.app.agent_id,
        }
        for one in platform.line.log
    ]


def _bubble_row(world: World, bubble: Message) -> dict[str, Any]:
    seen_by = [userid for userid in bubble.audience if userid in world.contacts]
    return {
        "external_userid": "" if bubble.chat_id else bubble.external_userid,
        "userid": bubble.userid or bubble.external_userid,
        "chat_id": bubble.chat_id,
        "seen_by": seen_by,
        "text": bubble.text,
        "msgtype": bubble.msgtype,
        "via": bubble.via,
        "at": bubble.at.isoformat(),
        "seq": bubble.seq,
        "body": bubble.body,
        "sha256": _bytes_seen(world, bubble),
    }


def _bytes_seen(world: World, bubble: Message) -> str:
    """The SHA-256 of the file in the bubble; empty for one without."""
    media = world.media.get(str(bubble.body.get("media_id") or bubble.body.get("pic_media_id")))
    if media is None:
        return ""
    return hashlib.sha256(base64.b64decode(media.content_base64)).hexdigest()


def _shown_row(shown: Shown) -> dict[str, Any]:
    row = {**dataclasses.asdict(shown), "at": shown.at.isoformat()}
    return {**row, "chat_id": "", "seen_by": [], "seq": 0, "body": {}, "sha256": ""}


def _shortened(thing: Any) -> Any:
    """The dataclass with only the newest entries of its long lists, and of those inside it."""
    short: dict[str, Any] = {}
    for name, value in vars(thing).items():
        if isinstance(value, list):
            short[name] = value[-NEWEST:]
        elif isinstance(value, dict):
            short[name] = dict(islice(value.items(), max(0, len(value) - NEWEST), None))
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            short[name] = _shortened(value)
    fields = {field.name for field in dataclasses.fields(thing) if field.init}
    return dataclasses.replace(thing, **{k: v for k, v in short.items() if k in fields})


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


CONTROLS: dict[str, Action] = {"settings": settings, "seed": seed, "settle": settle}

"""Control verbs of faults and time: what goes wrong, what time it is, which keys an app has."""

from typing import Any

from aiohttp import web

from wecom.simulator.api_call import PLATFORM
from wecom.simulator.control import Action
from wecom.simulator.platform import Platform

MOST_LINES = 64


async def faults(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """Plan faults; see `Faults.arrange` for the words."""
    platform.faults.arrange(wish)
    platform.live.announce("faults")
    return {"faults": platform.faults.facts()}


async def clock(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{forward_seconds}`: let time pass on the platform (negative: turn its clock back)."""
    platform.now.forward(float(wish["forward_seconds"]))
    platform.pass_time()
    platform.live.announce("clock")
    return {"now": platform.now().isoformat()}


async def release(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """Send every late callback now."""
    return {"released": platform.line.release_late()}


async def lines(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{lines?, retry_seconds?}`: how many callbacks go out at once, how long a retry waits."""
    wanted = int(wish.get("lines", platform.line.lines))
    if not 1 <= wanted <= MOST_LINES:
        raise ValueError(f"lines 须在 1 到 {MOST_LINES} 之间")
    platform.line.lines = wanted
    platform.line.retry_seconds = float(wish.get("retry_seconds", platform.line.retry_seconds))
    return {"lines": wanted, "retry_seconds": platform.line.retry_seconds}


async def invalidate_token(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{agent_id?}`: the platform drops an access token before its time; it answers 40014 now."""
    for app in platform.callers():
        if wish.get("agent_id") in (None, app.agent_id):
            platform.world.credentials.pop(app.token_key, None)
    platform.live.dirty.set()
    return {}


async def app_settings(platform: Platform, wish: dict[str, Any]) -> dict[str, Any]:
    """`{agent_id?, token?, aes_key?, callback_url?, functions?, visible?}`: the console's page.

    A new token or key counts from the next callback on; `visible: null` is the whole corp.
    """
    app = platform.app(wish.get("agent_id", platform.corp.agent_id))
    if app is None:
        raise ValueError("没有这个应用")
    for name in ("token", "aes_key", "callback_url"):
        setattr(app, name, str(wish.get(name, getattr(app, name))))
    app.functions = frozenset(wish.get("functions", app.functions))
    if "visible" in wish:
        app.visible = None if wish["visible"] is None else frozenset(wish["visible"])
    return {"agent_id": app.agent_id, "callback_url": app.callback_url}


async def calls(request: web.Request) -> web.Response:
    """The latest calls, newest first, and how often each address answered which errcode."""
    return web.json_response(call_log(request.app[PLATFORM]))


def call_log(platform: Platform) -> dict[str, Any]:
    """The calls of the product's servers as the platform saw them."""
    gate, now = platform.gate, platform.now()
    return {
        "calls": [
            {
                "at": call.at.isoformat(),
                "method": call.method,
                "path": call.path,
                "agent_id": call.agent_id,
                "status": call.status,
                "errcode": call.errcode,
                "fault": call.fault,
            }
            for call in reversed(gate.log)
        ],
        "counts": [
            {"path": path, "errcode": errcode, "count": count}
            for (path, errcode), count in sorted(
                gate.counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or 0)
            )
        ],
        "blocked": {path: until.isoformat() for path, until in gate.blocked(now).items()},
    }


CONTROLS: dict[str, Action] = {
    "faults": faults,
    "clock": clock,
    "release": release,
    "lines": lines,
    "invalidate_token": invalidate_token,
    "app": app_settings,
}

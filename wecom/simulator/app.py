"""Puts the simulator together: the platform's addresses, its control room and its pages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import aiohttp
import aiohttp_jinja2
import jinja2
from aiohttp import web

from wecom.simulator import (
    aibot,
    api_album,
    api_archive,
    api_cards,
    api_consent,
    api_contact_ways,
    api_contacts,
    api_group_ways,
    api_groups,
    api_links,
    api_mass_send,
    api_media,
    api_message,
    api_moments,
    api_rules,
    api_service,
    api_statistics,
    api_tags,
    api_token,
    api_transfers,
    api_welcome,
    bridge,
    control,
    control_apps,
    control_customers,
    control_faults,
    control_groups,
    fault_pages,
    login,
    opening,
    pages,
    service_hands,
    service_pages,
)
from wecom.simulator.api_call import PLATFORM, ApiError, Call, endpoint
from wecom.simulator.callbacks import CallbackLine
from wecom.simulator.corp import Corp, PlatformClock
from wecom.simulator.faults import Faults
from wecom.simulator.live import Live
from wecom.simulator.platform import Platform
from wecom.simulator.state import World

HERE = Path(__file__).parent
LARGEST_BODY = 24 << 20
SAVE_PAUSE_SECONDS = 0.2
SAVE_SHARE = 20
Prepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]
SNAPSHOT: web.AppKey[Path] = web.AppKey("snapshot", Path)

# Every module's GETS, POSTS and CONTROLS are served: an address below /cgi-bin, or a control verb.
MODULES: tuple[ModuleType, ...] = (
    api_token,
    api_welcome,
    api_consent,
    api_group_ways,
    api_groups,
    api_contact_ways,
    api_links,
    api_tags,
    api_transfers,
    api_contacts,
    api_mass_send,
    api_message,
    control,
    control_apps,
    control_groups,
    control_customers,
    control_faults,
    opening,
    api_album,
    api_cards,
    api_moments,
    api_rules,
    api_statistics,
    api_service,
    service_hands,
    aibot,
)


def offered(name: Literal["GETS", "POSTS", "CONTROLS"]) -> dict[str, Any]:
    """Everything the modules export under this name; nobody may export a key twice."""
    merged: dict[str, Any] = {}
    for module in MODULES:
        exported = getattr(module, name, {})
        if twice := merged.keys() & exported.keys():
            raise ValueError(f"{module.__name__} exports again: {sorted(twice)}")
        merged.update(exported)
    return merged


def make_simulator(
    world: World,
    *,
    corp: Corp,
    callback_url: str,
    sidebar_url: str,
    now: Callable[[], datetime],
    snapshot: Path | None = None,
    archive_bell_seconds: float = 3.0,
    retry_seconds: float = 0.5,
    callback_lines: int = 1,
    callback_timeout_seconds: float = 5.0,
) -> web.Application:
    """The platform as an application, to be served alone or mounted under any prefix.

    `{member}` and `{customer}` inside `sidebar_url` are replaced by the ids of the open chat.
    The real archive bell rings at most every 15 s; `archive_bell_seconds` is shorter by default
    because a person at the play page should not wait that long, and 0 rings for every message.
    `callback_lines` callbacks are under way at once; with one they arrive in order.
    """
    live, faults, clock = Live(), Faults(), PlatformClock(now)
    apps = corp.all_apps(callback_url)
    line = CallbackLine(
        apps=apps,
        corp_id=corp.corp_id,
        now=clock,
        faults=faults,
        bell_seconds=archive_bell_seconds,
        retry_seconds=retry_seconds,
        lines=callback_lines,
        timeout_seconds=callback_timeout_seconds,
    )
    app = web.Application(client_max_size=LARGEST_BODY)
    app[PLATFORM] = Platform(
        world=world,
        corp=corp,
        apps=apps,
        line=line,
        live=live,
        faults=faults,
        now=clock,
        sidebar_url=sidebar_url,
    )
    for module in MODULES:
        app[PLATFORM].due.extend(getattr(module, "DUE", ()))
    if snapshot is not None:
        app[SNAPSHOT] = snapshot
    aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(HERE / "templates"))
    _add_routes(app)
    app.cleanup_ctx.append(_background)
    app.on_shutdown.append(_close_streams)
    app.on_response_prepare.append(_dated(app[PLATFORM]))
    return app


def _add_routes(app: web.Application) -> None:
    add = app.router.add_route
    add("GET", "/cgi-bin/gettoken", endpoint(api_token.gettoken, needs_token=False))
    for path, action in offered("GETS").items():
        add("GET", f"/cgi-bin/{path}", endpoint(action, needs_json=False))
    for path, action in offered("POSTS").items():
        add("POST", f"/cgi-bin/{path}", endpoint(action))
    add("POST", "/cgi-bin/media/upload", endpoint(api_media.media_upload, needs_json=False))
    add("POST", "/cgi-bin/media/uploadimg", endpoint(api_media.media_uploadimg, needs_json=False))
    attached = endpoint(api_media.upload_attachment, needs_json=False)
    add("POST", "/cgi-bin/media/upload_attachment", attached)
    add("GET", "/cgi-bin/media/get", api_media.media_get)
    response = endpoint(aibot.response, needs_token=False)
    add("POST", "/cgi-bin/aibot/response", response, name="robot_response")
    for name, hand in aibot.HANDS.items():
        add("POST", f"/control/{name}", aibot.verb(hand))
    app.router.add_get("/kfid/{open_kfid}", api_service.open_link, name="kfid")
    add("*", "/cgi-bin/{tail:.*}", endpoint(_unknown, needs_token=False, needs_json=False))
    add("GET", "/archive/messages", api_archive.messages)
    add("GET", "/connect/oauth2/authorize", login.authorize)
    add("GET", "/wwlogin/sso/login", login.sso_login)
    add("POST", "/bridge/sign", bridge.sign)
    add("POST", "/bridge/send", bridge.send_chat_message)
    add("OPTIONS", "/bridge/{name}", bridge.preflight)
    for name, verb in offered("CONTROLS").items():
        add("POST", f"/control/{name}", control.control(verb))
    add("POST", "/control/verify_callback", control.verify_callback)
    add("GET", "/control/ledger", control.ledger)
    add("GET", "/control/state", control.state)
    add("GET", "/control/calls", control_faults.calls)
    app.router.add_get("/picture/{name}", api_media.picture, name="picture")
    app.router.add_get("/sent/{name}", api_media.sent_file, name="sent")
    app.router.add_get("/code/{name}", api_contact_ways.code_picture, name="code")
    fault_pages.add_routes(app)
    pages.add_routes(app)
    opening.add_routes(app)
    service_pages.add_routes(app)


async def _unknown(call: Call) -> dict[str, object]:
    raise ApiError(40066)


async def _background(app: web.Application) -> AsyncIterator[None]:
    """Deliver callbacks and keep the snapshot fresh for as long as the server runs."""
    platform = app[PLATFORM]
    async with aiohttp.ClientSession() as session:
        app[control.SESSION] = session
        tasks = [asyncio.create_task(platform.line.run(session))]
        if SNAPSHOT in app:
            tasks.append(asyncio.create_task(_keep_snapshot(platform, app[SNAPSHOT])))
        yield
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await platform.line.stop()
    if SNAPSHOT in app:
        platform.world.save(app[SNAPSHOT])


async def _keep_snapshot(platform: Platform, path: Path) -> None:
    while True:
        await platform.live.dirty.wait()
        platform.live.dirty.clear()
        started = asyncio.get_running_loop().time()
        platform.world.save(path)
        # A large world takes long to write: it is written less often, so that calls are answered.
        took = asyncio.get_running_loop().time() - started
        await asyncio.sleep(max(SAVE_PAUSE_SECONDS, took * SAVE_SHARE))


def _dated(platform: Platform) -> Prepare:
    """Answers carry the platform's time, which may not be this machine's."""

    async def date(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(platform.now().astimezone(UTC), usegmt=True)

    return date


async def _close_streams(app: web.Application) -> None:
    app[PLATFORM].live.close()

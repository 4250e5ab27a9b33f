"""Puts the simulator together: the platform's addresses, its control room and its pages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import aiohttp
import aiohttp_jinja2
import jinja2
from aiohttp import web

from wecom.simulator import (
    api_archive,
    api_contacts,
    api_mass_send,
    api_media,
    api_message,
    api_token,
    bridge,
    control,
    login,
    pages,
)
from wecom.simulator.api_call import PLATFORM, Action, ApiError, Call, endpoint
from wecom.simulator.callbacks import CallbackLine
from wecom.simulator.faults import Faults
from wecom.simulator.live import Live
from wecom.simulator.platform import Corp, Platform
from wecom.simulator.state import World

HERE = Path(__file__).parent
LARGEST_BODY = 24 << 20
SAVE_PAUSE_SECONDS = 0.2
SNAPSHOT: web.AppKey[Path] = web.AppKey("snapshot", Path)

GETS: dict[str, Action] = {
    "get_jsapi_ticket": api_token.get_jsapi_ticket,
    "ticket/get": api_token.ticket_get,
    "auth/getuserinfo": api_token.getuserinfo,
    "user/get": api_token.user_get,
    "getcallbackip": api_token.platform_addresses,
    "get_api_domain_ip": api_token.platform_addresses,
    "externalcontact/get_follow_user_list": api_contacts.get_follow_user_list,
    "externalcontact/list": api_contacts.list_contacts,
    "externalcontact/get": api_contacts.get_contact,
}
POSTS: dict[str, Action] = {
    "externalcontact/batch/get_by_user": api_contacts.batch_get_by_user,
    "externalcontact/remark": api_contacts.remark,
    "externalcontact/send_welcome_msg": api_contacts.send_welcome_msg,
    "externalcontact/add_msg_template": api_mass_send.add_msg_template,
    "externalcontact/get_groupmsg_list_v2": api_mass_send.get_groupmsg_list_v2,
    "externalcontact/get_groupmsg_task": api_mass_send.get_groupmsg_task,
    "externalcontact/get_groupmsg_send_result": api_mass_send.get_groupmsg_send_result,
    "externalcontact/remind_groupmsg_send": api_mass_send.remind_groupmsg_send,
    "externalcontact/cancel_groupmsg_send": api_mass_send.cancel_groupmsg_send,
    "message/send": api_message.message_send,
}
CONTROLS: dict[str, control.Action] = {
    "message": control.message,
    "add_contact": control.add_contact,
    "delete_follow": control.delete_follow,
    "edit_remark": control.edit_remark,
    "confirm_task": control.confirm_task,
    "invalidate_token": control.invalidate_token,
    "faults": control.faults,
    "settings": control.settings,
    "seed": control.seed,
    "settle": control.settle,
}


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
) -> web.Application:
    """The platform as an application, to be served alone or mounted under any prefix.

    `{member}` and `{customer}` inside `sidebar_url` are replaced by the ids of the open chat.
    The real archive bell rings at most every 15 s; `archive_bell_seconds` is shorter by default
    because a person at the play page should not wait that long, and 0 rings for every message.
    """
    live, faults = Live(), Faults()
    line = CallbackLine(
        url=callback_url,
        corp_id=corp.corp_id,
        token=corp.token,
        aes_key=corp.aes_key,
        now=now,
        faults=faults,
        bell_seconds=archive_bell_seconds,
        retry_seconds=retry_seconds,
    )
    app = web.Application(client_max_size=LARGEST_BODY)
    app[PLATFORM] = Platform(
        world=world,
        corp=corp,
        line=line,
        live=live,
        faults=faults,
        now=now,
        sidebar_url=sidebar_url,
    )
    if snapshot is not None:
        app[SNAPSHOT] = snapshot
    aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(HERE / "templates"))
    _add_routes(app)
    app.cleanup_ctx.append(_background)
    app.on_shutdown.append(_close_streams)
    return app


def _add_routes(app: web.Application) -> None:
    add = app.router.add_route
    add("GET", "/cgi-bin/gettoken", endpoint(api_token.gettoken, needs_token=False))
    for path, action in GETS.items():
        add("GET", f"/cgi-bin/{path}", endpoint(action, needs_json=False))
    for path, action in POSTS.items():
        add("POST", f"/cgi-bin/{path}", endpoint(action))
    add("POST", "/cgi-bin/media/upload", endpoint(api_media.media_upload, needs_json=False))
    add("POST", "/cgi-bin/media/uploadimg", endpoint(api_media.media_uploadimg, needs_json=False))
    add("GET", "/cgi-bin/media/get", api_media.media_get)
    add("*", "/cgi-bin/{tail:.*}", endpoint(_unknown, needs_token=False, needs_json=False))
    add("GET", "/archive/messages", api_archive.messages)
    add("GET", "/connect/oauth2/authorize", login.authorize)
    add("GET", "/wwlogin/sso/login", login.sso_login)
    add("POST", "/bridge/sign", bridge.sign)
    add("POST", "/bridge/send", bridge.send_chat_message)
    add("OPTIONS", "/bridge/{name}", bridge.preflight)
    for name, verb in CONTROLS.items():
        add("POST", f"/control/{name}", control.control(verb))
    add("POST", "/control/verify_callback", control.verify_callback)
    add("GET", "/control/ledger", control.ledger)
    add("GET", "/control/state", control.state)
    app.router.add_get("/picture/{name}", api_media.picture, name="picture")
    pages.add_routes(app)


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
        platform.line.stop()
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
    if SNAPSHOT in app:
        platform.world.save(app[SNAPSHOT])


async def _keep_snapshot(platform: Platform, path: Path) -> None:
    while True:
        await platform.live.dirty.wait()
        platform.live.dirty.clear()
        platform.world.save(path)
        await asyncio.sleep(SAVE_PAUSE_SECONDS)


async def _close_streams(app: web.Application) -> None:
    app[PLATFORM].live.close()

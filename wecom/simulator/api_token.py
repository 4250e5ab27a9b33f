"""Tokens, tickets and who signed in."""

import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import ApiError, Call
from wecom.simulator.platform import Platform
from wecom.simulator.state import Credential

LIFE = timedelta(seconds=7200)
LOGIN_CODE_LIFE = timedelta(minutes=5)


async def gettoken(call: Call) -> dict[str, Any]:
    """The app's access token; the same one again while it is valid."""
    if call.query("corpid") != call.platform.corp.corp_id:
        raise ApiError(40013)
    if call.query("corpsecret") != call.platform.corp.secret:
        raise ApiError(40001)
    token = current_credential(call.platform, "access_token")
    return {"access_token": token.value, "expires_in": _seconds_left(call, token)}


async def get_jsapi_ticket(call: Call) -> dict[str, Any]:
    """The corp's ticket, which signs `wx.config`."""
    return _ticket(call, "jsapi_ticket")


async def ticket_get(call: Call) -> dict[str, Any]:
    """The app's ticket, which signs `wx.agentConfig`."""
    if call.query("type") != "agent_config":
        raise ApiError(40058)
    return _ticket(call, "agent_ticket")


async def getuserinfo(call: Call) -> dict[str, Any]:
    """Who stands behind a sign-in code; a code works once, for five minutes."""
    login = call.world.login_codes.get(call.query("code"))
    if login is None:
        raise ApiError(40029)
    if login.used:
        raise ApiError(42022)
    if call.now() - login.issued_at > LOGIN_CODE_LIFE:
        raise ApiError(42003)
    login.used = True
    call.platform.live.dirty.set()
    return {"userid": login.userid}


async def user_get(call: Call) -> dict[str, Any]:
    """The member's name and position; the sensitive fields need his consent and stay out."""
    member = call.world.members.get(call.query("userid"))
    if member is None:
        raise ApiError(60111)
    return {
        "userid": member.userid,
        "name": member.name,
        "department": [1],
        "position": member.position,
        "status": 1,
        "enable": 1,
    }


async def platform_addresses(call: Call) -> dict[str, Any]:
    """The addresses callbacks come from and calls go to."""
    return {"ip_list": ["127.0.0.1"]}


def current_credential(platform: Platform, kind: str) -> Credential:
    """The token or ticket valid now; a new one only when there is none."""
    now = platform.now()
    known = platform.world.credentials.get(kind)
    if known is None or known.expires_at <= now:
        known = Credential(secrets.token_urlsafe(48), now + LIFE)
        platform.world.credentials[kind] = known
        platform.live.dirty.set()
    return known


def _ticket(call: Call, kind: str) -> dict[str, Any]:
    ticket = current_credential(call.platform, kind)
    return {"ticket": ticket.value, "expires_in": _seconds_left(call, ticket)}


def _seconds_left(call: Call, credential: Credential) -> int:
    return int((credential.expires_at - call.now()).total_seconds())

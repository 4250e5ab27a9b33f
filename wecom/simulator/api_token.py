"""Tokens, tickets and who signed in."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call
from wecom.simulator.platform import Platform
from wecom.simulator.state import Credential, LoginCode

LIFE = timedelta(seconds=7200)
LOGIN_CODE_LIFE = timedelta(minutes=5)
TICKET_LIFE = timedelta(minutes=30)


async def gettoken(call: Call) -> dict[str, Any]:
    """The app's access token; the same one again while it is valid."""
    gate = call.platform.gate
    gate.check_secrets(call.now())
    if call.query("corpid") != call.platform.corp.corp_id:
        raise ApiError(40013)
    secret = call.query("corpsecret")
    app = next((app for app in call.platform.callers() if app.secret == secret), None)
    if app is None:
        gate.count_wrong_secret(call.world.settings, call.now())
        raise ApiError(40001)
    token = current_credential(call.platform, app.token_key)
    return {"access_token": token.value, "expires_in": _seconds_left(call, token)}


async def get_jsapi_ticket(call: Call) -> dict[str, Any]:
    """The corp's ticket, which signs `wx.config`."""
    return _ticket(call, "jsapi_ticket")


async def ticket_get(call: Call) -> dict[str, Any]:
    """The app's ticket, which signs `wx.agentConfig`."""
    if call.query("type") != "agent_config":
        raise ApiError(40058)
    return _ticket(call, call.app.ticket_key)


async def getuserinfo(call: Call) -> dict[str, Any]:
    """Who stands behind a sign-in code; a code works once, for five minutes.

    An outsider has an `openid`, and an `external_userid` when he is the corp's customer.
    """
    login = call.world.login_codes.get(call.query("code"))
    if login is None:
        raise ApiError(40029)
    if login.used:
        raise ApiError(42022)
    if call.now() - login.issued_at > LOGIN_CODE_LIFE:
        raise ApiError(42003)
    login.used = True
    call.platform.live.dirty.set()
    if login.userid in call.world.contacts:
        openid = hashlib.sha256(login.userid.encode()).hexdigest()[:28]
        return {"openid": openid, "external_userid": login.userid}
    if not login.private:
        return {"userid": login.userid}
    ticket = secrets.token_urlsafe(48)
    issued = LoginCode(ticket, login.userid, call.now(), private=True)
    call.world.user_tickets[ticket] = issued
    seconds = int(TICKET_LIFE.total_seconds())
    return {"userid": login.userid, "user_ticket": ticket, "expires_in": seconds}


async def getuserdetail(call: Call) -> dict[str, Any]:
    """The sensitive fields of a member who agreed to show them; the ticket lives 30 minutes."""
    ticket = call.world.user_tickets.get(call.text("user_ticket"))
    if ticket is None:
        raise ApiError(84014)
    if call.now() - ticket.issued_at > TICKET_LIFE:
        raise ApiError(84015)
    member = call.world.members[call.member(ticket.userid)]
    return {
        "userid": member.userid,
        "gender": "0",
        "avatar": "",
        "qr_code": "",
        "mobile": member.mobile,
        "email": member.email,
        "biz_mail": member.email,
        "address": "",
    }


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


GETS: dict[str, Action] = {
    "get_jsapi_ticket": get_jsapi_ticket,
    "ticket/get": ticket_get,
    "auth/getuserinfo": getuserinfo,
    "user/get": user_get,
    "getcallbackip": platform_addresses,
    "get_api_domain_ip": platform_addresses,
}
POSTS: dict[str, Action] = {"auth/getuserdetail": getuserdetail}

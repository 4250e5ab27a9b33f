"""微信客服 over the server API: accounts, links, pulling what was said, answering, handing on."""

import re
import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from aiohttp import web

from wecom.simulator import service_desk
from wecom.simulator.api_call import PLATFORM, ApiError, Call
from wecom.simulator.attachments import live_media
from wecom.simulator.service_content import content, event_content
from wecom.simulator.service_desk import hall, issue_code
from wecom.simulator.service_state import (
    ASSISTANT,
    CLOSED,
    HUMAN,
    PRODUCT,
    QUEUED,
    UNHANDLED,
    CodeKind,
    ServiceAccount,
    ServiceItem,
    ServiceSession,
)

FIRST_PULL = timedelta(days=3)
WINDOW = timedelta(hours=48)
ANSWERS_A_WINDOW = 5
PULL = 1000
SERVICERS = 100
CUSTOMERS = 100
ACCOUNTS = 100
ALLOWED = {UNHANDLED: (1, 2, 3), ASSISTANT: (2, 3), QUEUED: (3,), HUMAN: (3, 4), CLOSED: ()}
CODE_LIFE: dict[CodeKind, timedelta] = {
    "welcome": timedelta(seconds=20),
    "queue": timedelta(hours=48),
    "serve": timedelta(hours=48),
    "close": timedelta(seconds=20),
}


async def account_add(call: Call) -> dict[str, Any]:
    """A new account; its name is at most 16 characters, its picture an uploaded one."""
    name, avatar = _name(call), _avatar(call)
    account = service_desk.found_account(call.platform, name)
    account.avatar_media_id = avatar
    return {"open_kfid": account.open_kfid}


async def account_update(call: Call) -> dict[str, Any]:
    """Another name or picture for an account."""
    account = _account(call)
    if call.text("name"):
        account.name = _name(call)
    account.avatar_media_id = _avatar(call) or account.avatar_media_id
    call.platform.live.announce("service")
    return {}


async def account_del(call: Call) -> dict[str, Any]:
    """The account is gone, with its sessions."""
    account = _account(call)
    del hall(call.platform).accounts[account.open_kfid]
    call.platform.live.announce("service")
    return {}


async def account_list(call: Call) -> dict[str, Any]:
    """The accounts by offset; `manage_privilege` says whether this app may act for one."""
    start = call.body.get("offset", 0)
    if not isinstance(start, int) or start < 0:
        raise ApiError(40058)
    end = start + call.limit(default=ACCOUNTS, most=ACCOUNTS)
    rows = [
        {
            "open_kfid": account.open_kfid,
            "name": account.name,
            "avatar": "",
            "manage_privilege": account.authorised,
        }
        for account in hall(call.platform).accounts.values()
    ]
    return {"account_list": rows[start:end]}


async def add_contact_way(call: Call) -> dict[str, Any]:
    """The address behind a link or QR code; the scene comes back when a customer enters by it."""
    account = _account(call)
    scene = call.text("scene")
    if scene and not re.fullmatch(r"[0-9a-zA-Z_-]{1,32}", scene):
        raise ApiError(40058)
    word = next((w for w, s in account.scenes.items() if s == scene), "")
    if not word:
        word = "ENC" + secrets.token_urlsafe(18).replace("-", "A")
        account.scenes[word] = scene
        call.platform.live.dirty.set()
    path = call.request.app.router["kfid"].url_for(open_kfid=account.open_kfid)
    url = call.request.url.origin().join(path)
    return {"url": f"{url}?enc_scene={quote(word)}"}


async def sync_msg(call: Call) -> dict[str, Any]:
    """What customers, servicers and the platform said after the cursor; never our own messages."""
    scope = call.text("open_kfid")
    if scope:
        _account(call)
    _check_pull(call, scope)
    limit = call.limit(default=PULL, most=PULL)
    after = _after(call, scope)
    place = hall(call.platform)
    if place.empty_pages > 0:
        place.empty_pages -= 1
        return {"next_cursor": _cursor(after, scope), "has_more": 1, "msg_list": []}
    open_ids = {scope} if scope else {a.open_kfid for a in place.accounts.values() if a.authorised}
    rows = [i for i in place.items[after:] if i.origin != PRODUCT and i.open_kfid in open_ids]
    page = rows[:limit]
    reached = page[-1].seq if len(rows) > limit else len(place.items)
    return {
        "next_cursor": _cursor(reached, scope),
        "has_more": int(len(rows) > limit),
        "msg_list": [_pulled(item) for item in page],
    }


async def send_msg(call: Call) -> dict[str, Any]:
    """Answer the customer: in state 0 or 1, within 48 h of his word, five times for each word."""
    session = _session(call, call.text("touser"))
    msgtype, body = content(call)
    msgid = _msgid(call, session.open_kfid)
    if session.wrote_at is not None and call.now() - session.wrote_at > WINDOW:
        raise ApiError(95002)
    if session.state_at(call.now()) not in (UNHANDLED, ASSISTANT):
        raise ApiError(95018)
    if session.sent_in_window >= ANSWERS_A_WINDOW:
        raise ApiError(95001)
    session.sent_in_window += 1
    return {"msgid": _deliver(call, session, msgtype, body, msgid)}


async def send_msg_on_event(call: Call) -> dict[str, Any]:
    """Answer one event by its code, once, while the session is still as the event left it."""
    code = hall(call.platform).codes.get(call.text("code"))
    if code is None:
        raise ApiError(40058)
    if code.used or call.now() - code.issued_at > CODE_LIFE[code.kind]:
        raise ApiError(41050 if code.kind == "welcome" else 40058)
    session = hall(call.platform).session(code.open_kfid, code.external_userid)
    if code.kind != "welcome" and session.state_at(call.now()) != code.state:
        raise ApiError(95018)
    msgtype, body = event_content(call, code.kind)
    msgid = _msgid(call, session.open_kfid)
    code.used = True
    if code.kind == "welcome":
        session.welcomed_at = call.now()
    return {"msgid": _deliver(call, session, msgtype, body, msgid)}


async def state_get(call: Call) -> dict[str, Any]:
    """Who handles the customer: 0 nobody yet 1 assistant 2 queue 3 a servicer 4 ended."""
    session = _session(call, call.text("external_userid"))
    state = session.state_at(call.now())
    servicer = {"servicer_userid": session.servicer} if state == HUMAN else {}
    return {"service_state": state, **servicer}


async def state_trans(call: Call) -> dict[str, Any]:
    """Hand the customer on; 95016 where no such step exists. Nobody is called back about it."""
    session = _session(call, call.text("external_userid"))
    wanted, current = call.body.get("service_state"), session.state_at(call.now())
    if wanted not in ALLOWED[current]:
        raise ApiError(95016)
    servicer = _servicer(call, session.open_kfid) if wanted == HUMAN else ""
    session.state, session.servicer = int(wanted), servicer
    call.platform.live.announce("service", external_userid=session.external_userid)
    kinds: dict[int, CodeKind] = {CLOSED: "close", QUEUED: "queue"}
    if current == QUEUED and wanted == HUMAN:
        kinds[HUMAN] = "serve"
    kind = kinds.get(session.state)
    return {"msg_code": issue_code(call.platform, session, kind, session.state)} if kind else {}


async def servicer_add(call: Call) -> dict[str, Any]:
    """Members who may serve the account from now on; each with what became of him."""
    account = _account(call)
    rows = []
    for userid in _userids(call):
        known = userid in call.world.members
        if known:
            account.servicers.setdefault(userid, True)
        rows.append(_result(userid, 0 if known else 40003))
    call.platform.live.announce("service")
    return {"result_list": rows}


async def servicer_del(call: Call) -> dict[str, Any]:
    """Members who serve the account no longer."""
    account = _account(call)
    rows = []
    for userid in _userids(call):
        known = account.servicers.pop(userid, None) is not None
        rows.append(_result(userid, 0 if known else 95014))
    call.platform.live.announce("service")
    return {"result_list": rows}


async def servicer_list(call: Call) -> dict[str, Any]:
    """Who serves the account: 0 receiving customers, 1 not now."""
    open_kfid = call.query("open_kfid")
    account = hall(call.platform).accounts.get(open_kfid)
    if account is None:
        raise ApiError(95004 if open_kfid else 95000)
    rows = [{"userid": u, "status": 0 if on else 1} for u, on in account.servicers.items()]
    return {"servicer_list": rows}


async def customer_batchget(call: Call) -> dict[str, Any]:
    """Names of up to 100 customers, with the scene they last entered by when asked for."""
    ids = call.body.get("external_userid_list")
    if not isinstance(ids, list) or not 1 <= len(ids) <= CUSTOMERS:
        raise ApiError(40058)
    context = call.body.get("need_enter_session_context") == 1
    rows, invalid = [], []
    for external_userid in dict.fromkeys(str(i) for i in ids):
        contact = call.world.contacts.get(external_userid)
        if contact is None:
            invalid.append(external_userid)
            continue
        row: dict[str, Any] = {
            "external_userid": external_userid,
            "nickname": contact.name,
            "avatar": "",
            "gender": contact.gender,
        }
        if context and (entered := _last_entrance(call, external_userid)):
            row["enter_session_context"] = {
                "scene": entered.scene,
                "scene_param": entered.scene_param,
            }
        rows.append(row)
    return {"customer_list": rows, "invalid_external_userid": invalid}


async def open_link(request: web.Request) -> web.StreamResponse:
    """A customer taps the link: his phone opens on the page 微信客服 with that link in hand."""
    if request.match_info["open_kfid"] not in hall(request.app[PLATFORM]).accounts:
        raise web.HTTPNotFound(text="没有这个客服账号")
    page = request.app.router["service"].url_for().with_query(link=str(request.url))
    raise web.HTTPFound(page)


def _account(call: Call) -> ServiceAccount:
    open_kfid = call.text("open_kfid")
    account = hall(call.platform).accounts.get(open_kfid)
    if account is None:
        raise ApiError(95004 if open_kfid else 95000)
    if not account.authorised:
        raise ApiError(48007)
    return account


def _session(call: Call, external_userid: str) -> ServiceSession:
    account = _account(call)
    if external_userid not in call.world.contacts:
        raise ApiError(40096)
    return hall(call.platform).session(account.open_kfid, external_userid)


def _name(call: Call) -> str:
    name = call.text("name")
    if not 1 <= len(name) <= 16:
        raise ApiError(95006)
    return name


def _avatar(call: Call) -> str:
    media_id = call.text("media_id")
    return live_media(call, media_id).media_id if media_id else ""


def _check_pull(call: Call, scope: str) -> None:
    place = hall(call.platform)
    if word := call.text("token"):
        token = place.tokens.get(word)
        fresh = token is not None and call.now() - token.issued_at <= service_desk.TOKEN_LIFE
        if token is None or not fresh or (scope and token.open_kfid != scope):
            raise ApiError(95007)
        return
    minute_ago = call.now() - timedelta(minutes=1)
    place.untokened_pulls = [at for at in place.untokened_pulls if at > minute_ago]
    if len(place.untokened_pulls) >= place.untokened_a_minute:
        raise ApiError(45009)
    place.untokened_pulls.append(call.now())


def _after(call: Call, scope: str) -> int:
    cursor = call.text("cursor")
    if not cursor:
        since = call.now() - FIRST_PULL
        return next((i.seq - 1 for i in hall(call.platform).items if i.at >= since), 0)
    found = re.fullmatch(r"(\d+)\.(\w*)", cursor)
    # A cursor belongs to the account it was given for.
    if found is None or found[2] != _short(scope):
        raise ApiError(40058)
    return int(found[1])


def _cursor(seq: int, scope: str) -> str:
    return f"{seq}.{_short(scope)}"


def _short(scope: str) -> str:
    return re.sub(r"\W", "", scope)[-24:]


def _pulled(item: ServiceItem) -> dict[str, Any]:
    row: dict[str, Any] = {
        "msgid": item.msgid,
        "send_time": int(item.at.timestamp()),
        "origin": item.origin,
        "msgtype": item.msgtype,
        item.msgtype: item.body,
    }
    # An event names account and customer inside itself only.
    if item.msgtype != "event":
        row |= {"open_kfid": item.open_kfid, "external_userid": item.external_userid}
    if item.servicer:
        row["servicer_userid"] = item.servicer
    return row


def _msgid(call: Call, open_kfid: str) -> str:
    msgid = call.text("msgid")
    if not msgid:
        return ""
    taken = hall(call.platform).item(msgid, open_kfid) is not None
    if taken or not re.fullmatch(r"[0-9a-zA-Z_-]{1,32}", msgid):
        raise ApiError(40058)
    return msgid


def _deliver(
    call: Call, session: ServiceSession, msgtype: str, body: dict[str, Any], msgid: str
) -> str:
    place = hall(call.platform)
    fail_type = 10 if session.rejects else place.failing.pop(0) if place.failing else None
    item = service_desk.put(
        call.platform, session, PRODUCT, msgtype, body, msgid=msgid, delivered=fail_type is None
    )
    # The caller hears "ok" either way; what failed comes as an event, later.
    if fail_type is not None:
        service_desk.tell(
            call.platform, session, "msg_send_fail", fail_msgid=item.msgid, fail_type=fail_type
        )
    return item.msgid


def _servicer(call: Call, open_kfid: str) -> str:
    userid = call.text("servicer_userid")
    servicers = hall(call.platform).accounts[open_kfid].servicers
    if userid not in servicers:
        raise ApiError(95014)
    if not servicers[userid]:
        raise ApiError(95019)
    return userid


def _userids(call: Call) -> list[str]:
    ids = call.body.get("userid_list")
    if not isinstance(ids, list) or not 1 <= len(ids) <= SERVICERS:
        raise ApiError(40058)
    return list(dict.fromkeys(str(userid) for userid in ids))


def _result(userid: str, errcode: int) -> dict[str, Any]:
    return {"userid": userid, "errcode": errcode, "errmsg": "ok" if not errcode else "fail"}


def _last_entrance(call: Call, external_userid: str) -> ServiceSession | None:
    entered = [
        item
        for item in hall(call.platform).items
        if item.external_userid == external_userid
        and item.body.get("event_type") == "enter_session"
    ]
    return hall(call.platform).session(entered[-1].open_kfid, external_userid) if entered else None


GETS = {"kf/servicer/list": servicer_list, "kf/account/list": account_list}
POSTS = {
    "kf/account/add": account_add,
    "kf/account/update": account_update,
    "kf/account/del": account_del,
    "kf/account/list": account_list,
    "kf/add_contact_way": add_contact_way,
    "kf/sync_msg": sync_msg,
    "kf/send_msg": send_msg,
    "kf/send_msg_on_event": send_msg_on_event,
    "kf/service_state/get": state_get,
    "kf/service_state/trans": state_trans,
    "kf/servicer/add": servicer_add,
    "kf/servicer/del": servicer_del,
    "kf/customer/batchget": customer_batchget,
}

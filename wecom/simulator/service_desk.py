"""微信客服 as people live it: a customer enters, writes and takes back; a servicer answers."""

import secrets
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wecom.simulator.platform import ImpossibleError, Platform
from wecom.simulator.service_state import (
    CLOSED,
    CUSTOMER,
    HUMAN,
    PRODUCT,
    QUEUED,
    SERVICER,
    SYSTEM,
    CodeKind,
    EventCode,
    PullToken,
    ServiceAccount,
    ServiceHall,
    ServiceItem,
    ServiceSession,
)

QUIET = timedelta(hours=48)
TOKEN_LIFE = timedelta(minutes=10)
RECALL_LIFE = timedelta(minutes=2)
KINDS = (
    "text", "image", "voice", "video", "file", "location", "link", "business_card", "miniprogram",
    "msgmenu", "channels_shop_product", "merged_msg", "note",
)  # fmt: skip
ACCEPTED, TRANSFERRED, ENDED, REOPENED = 1, 2, 3, 4


def hall(platform: Platform) -> ServiceHall:
    """All of 微信客服 in this world."""
    return platform.world.service


def account_of(platform: Platform, open_kfid: str) -> ServiceAccount:
    """The account, or ImpossibleError."""
    account = hall(platform).accounts.get(open_kfid)
    if account is None:
        raise ImpossibleError("没有这个客服账号")
    return account


def found_account(
    platform: Platform,
    name: str,
    *,
    open_kfid: str = "",
    servicers: list[str] | None = None,
    console_welcome: bool = False,
) -> ServiceAccount:
    """A new account, its servicers all receiving; the same id twice keeps the first account."""
    open_kfid = open_kfid or "wk" + secrets.token_urlsafe(24).replace("-", "A")
    account = ServiceAccount(open_kfid, name, console_welcome=console_welcome)
    for userid in servicers or []:
        if userid not in platform.world.members:
            raise ImpossibleError(f"没有这个成员：{userid}")
        account.servicers[userid] = True
    platform.live.announce("service")
    return hall(platform).accounts.setdefault(open_kfid, account)


def scene_of_link(platform: Platform, url: str) -> tuple[str, str, str]:
    """The account, scene and scene_param a customer's tap on a service link leads to."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    open_kfid = parts.path.rstrip("/").rsplit("/", 1)[-1]
    word = query.get("enc_scene", [""])[0]
    scene = account_of(platform, open_kfid).scenes.get(word, "")
    return open_kfid, scene, query.get("scene_param", [""])[0] if scene else ""


def enter(
    platform: Platform, open_kfid: str, external_userid: str, scene: str, scene_param: str
) -> str:
    """The customer opens the service chat; returns the welcome code, empty when none is due."""
    account = account_of(platform, open_kfid)
    _known(platform, external_userid)
    session = hall(platform).session(open_kfid, external_userid)
    session.scene, session.scene_param = scene, scene_param
    code = ""
    if not account.console_welcome and _long_quiet(platform, session):
        code = issue_code(platform, session, "welcome", session.state_at(platform.now()))
    extra = {"scene": scene, "scene_param": scene_param}
    if code:
        extra["welcome_code"] = code
    tell(platform, session, "enter_session", **extra)
    return code


def write(
    platform: Platform, open_kfid: str, external_userid: str, msgtype: str, body: dict[str, Any]
) -> ServiceItem:
    """The customer writes: a closed session begins anew, and five answers are allowed again."""
    account_of(platform, open_kfid)
    _known(platform, external_userid)
    if msgtype not in KINDS:
        raise ImpossibleError(f"客户发不出这种消息：{msgtype}")
    now = platform.now()
    session = hall(platform).session(open_kfid, external_userid)
    if session.state_at(now) == CLOSED:
        session.state, session.servicer = hall(platform).first_state, ""
    session.wrote_at, session.sent_in_window = now, 0
    item = put(platform, session, CUSTOMER, msgtype, body)
    ring(platform, open_kfid)
    return item


def recall(platform: Platform, msgid: str) -> None:
    """Whoever sent it takes a message back within two minutes; the account is told."""
    item = hall(platform).item(msgid)
    if item is None or item.origin not in (CUSTOMER, SERVICER) or item.recalled:
        raise ImpossibleError("没有可以撤回的消息")
    if platform.now() - item.at > RECALL_LIFE:
        raise ImpossibleError("超过两分钟的消息不能撤回")
    item.recalled = True
    session = hall(platform).session(item.open_kfid, item.external_userid)
    if item.origin == CUSTOMER:
        tell(platform, session, "user_recall_msg", recall_msgid=msgid)
    else:
        tell(
            platform, session, "servicer_recall_msg",
            recall_msgid=msgid, servicer_userid=item.servicer,
        )  # fmt: skip


def accept(platform: Platform, open_kfid: str, external_userid: str, servicer: str) -> str:
    """A servicer takes the customer out of the queue; returns the msg_code of the change."""
    session = _session_in(platform, open_kfid, external_userid, (QUEUED,), "客户不在待接入池")
    _receiving(platform, open_kfid, servicer)
    return _change(platform, session, HUMAN, servicer, ACCEPTED, "serve")


def hand_over(platform: Platform, open_kfid: str, external_userid: str, servicer: str) -> None:
    """The servicer passes the customer to a colleague, in the client."""
    session = _session_in(platform, open_kfid, external_userid, (HUMAN,), "会话不在人工接待中")
    _receiving(platform, open_kfid, servicer)
    _change(platform, session, HUMAN, servicer, TRANSFERRED, None)


def end(platform: Platform, open_kfid: str, external_userid: str) -> str:
    """The servicer ends the session; returns the msg_code for a last word."""
    session = _session_in(platform, open_kfid, external_userid, (HUMAN,), "会话不在人工接待中")
    return _change(platform, session, CLOSED, "", ENDED, "close")


def answer(
    platform: Platform, open_kfid: str, external_userid: str, servicer: str, text: str
) -> ServiceItem:
    """The servicer answers by hand; into an ended session this opens it again for him."""
    _receiving(platform, open_kfid, servicer)
    now = platform.now()
    session = hall(platform).session(open_kfid, external_userid)
    if session.wrote_at is None or now - session.wrote_at > QUIET:
        raise ImpossibleError("客户超过 48 小时没有发消息，消息无法送达")
    if session.state_at(now) == CLOSED:
        _change(platform, session, HUMAN, servicer, REOPENED, None)
    elif session.state != HUMAN or session.servicer != servicer:
        raise ImpossibleError("会话不由该接待人员接待")
    item = put(platform, session, SERVICER, "text", {"content": text}, servicer=servicer)
    ring(platform, open_kfid)
    return item


def set_receiving(platform: Platform, open_kfid: str, servicer: str, receiving: bool) -> None:
    """A servicer starts or stops receiving customers."""
    account = account_of(platform, open_kfid)
    if servicer not in account.servicers:
        raise ImpossibleError("该成员不是这个客服账号的接待人员")
    account.servicers[servicer] = receiving
    event = {
        "event_type": "servicer_status_change",
        "servicer_userid": servicer,
        "status": 1 if receiving else 2,
        "open_kfid": open_kfid,
    }
    _append(platform, open_kfid, "", SYSTEM, "event", event)
    ring(platform, open_kfid)


def reject(platform: Platform, open_kfid: str, external_userid: str, rejects: bool) -> None:
    """The customer switches the account's messages off, or on again."""
    account_of(platform, open_kfid)
    session = hall(platform).session(open_kfid, external_userid)
    session.rejects = rejects
    tell(platform, session, "reject_customer_msg_switch_change", reject_switch=int(rejects))


def authorise(platform: Platform, add: list[str], remove: list[str]) -> None:
    """The administrator lets the app manage accounts, or takes them away; the app is told."""
    for open_kfid in (*add, *remove):
        account_of(platform, open_kfid).authorised = open_kfid in add
    platform.line.service_accounts_changed(add, remove)
    platform.live.announce("service")


def tell(platform: Platform, session: ServiceSession, event_type: str, **extra: Any) -> ServiceItem:
    """Put an event about the customer into the stream and ring."""
    event = {
        "event_type": event_type,
        "open_kfid": session.open_kfid,
        "external_userid": session.external_userid,
        **extra,
    }
    item = put(platform, session, SYSTEM, "event", event)
    ring(platform, session.open_kfid)
    return item


def put(
    platform: Platform,
    session: ServiceSession,
    origin: int,
    msgtype: str,
    body: dict[str, Any],
    *,
    msgid: str = "",
    servicer: str = "",
    delivered: bool = True,
) -> ServiceItem:
    """Append to the service chat without ringing."""
    item = _append(
        platform, session.open_kfid, session.external_userid, origin, msgtype, body, msgid
    )
    item.servicer, item.delivered = servicer, delivered
    if delivered and origin in (PRODUCT, SERVICER):
        platform.show(item.external_userid, servicer, msgtype, item.text, "service")
    return item


def ring(platform: Platform, open_kfid: str) -> None:
    """Tell the product that there is something to pull, with a fresh token.

    An account the app may not act for stays silent.
    """
    place, now = hall(platform), platform.now()
    account = place.accounts.get(open_kfid)
    if account is None or not account.authorised:
        return
    dead = [word for word, token in place.tokens.items() if now - token.issued_at > TOKEN_LIFE]
    for word in dead:
        del place.tokens[word]
    token = secrets.token_urlsafe(24)
    place.tokens[token] = PullToken(token, open_kfid, now)
    platform.line.service_bell(open_kfid, token)


def issue_code(platform: Platform, session: ServiceSession, kind: CodeKind, state: int) -> str:
    """A code that lets the product answer this one event."""
    code = secrets.token_urlsafe(24)
    hall(platform).codes[code] = EventCode(
        code, kind, session.open_kfid, session.external_userid, state, platform.now()
    )
    return code


def _append(
    platform: Platform,
    open_kfid: str,
    external_userid: str,
    origin: int,
    msgtype: str,
    body: dict[str, Any],
    msgid: str = "",
) -> ServiceItem:
    items = hall(platform).items
    item = ServiceItem(
        seq=len(items) + 1,
        msgid=msgid or secrets.token_urlsafe(24).replace("-", "A"),
        open_kfid=open_kfid,
        external_userid=external_userid,
        origin=origin,
        msgtype=msgtype,
        body=body,
        at=platform.now(),
    )
    items.append(item)
    platform.live.announce("service", external_userid=external_userid)
    return item


def _change(
    platform: Platform,
    session: ServiceSession,
    state: int,
    servicer: str,
    change_type: int,
    code_kind: CodeKind | None,
) -> str:
    before, session.state, session.servicer = session.servicer, state, servicer
    extra: dict[str, Any] = {"change_type": change_type}
    if before and change_type in (TRANSFERRED, ENDED):
        extra["old_servicer_userid"] = before
    if servicer:
        extra["new_servicer_userid"] = servicer
    code = issue_code(platform, session, code_kind, state) if code_kind else ""
    if code:
        extra["msg_code"] = code
    tell(platform, session, "session_status_change", **extra)
    return code


def _session_in(
    platform: Platform, open_kfid: str, external_userid: str, states: tuple[int, ...], refusal: str
) -> ServiceSession:
    account_of(platform, open_kfid)
    session = hall(platform).session(open_kfid, external_userid)
    if session.state_at(platform.now()) not in states:
        raise ImpossibleError(refusal)
    return session


def _receiving(platform: Platform, open_kfid: str, servicer: str) -> None:
    if not account_of(platform, open_kfid).servicers.get(servicer):
        raise ImpossibleError("该成员不是正在接待的接待人员")


def _known(platform: Platform, external_userid: str) -> None:
    if external_userid not in platform.world.contacts:
        raise ImpossibleError("没有这个客户")


def _long_quiet(platform: Platform, session: ServiceSession) -> bool:
    since = platform.now() - QUIET
    return all(at is None or at < since for at in (session.wrote_at, session.welcomed_at))

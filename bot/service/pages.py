"""客服会话: who answers whom in 微信客服, what the assistant said and from where; its switches."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy import ColumnElement, String, and_, case, cast, false, func, or_, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Role, Staff
from bot.models import (
    CardKind,
    MemberCard,
    ServiceAccount,
    ServiceMessage,
    ServiceSession,
    ServiceSpeaker,
)
from bot.service import handover as service_handover
from bot.service import rows as service_rows
from bot.service.greeting import allowed
from compliance.masking import mask
from content import library
from desk.ids import given_id
from desk.keys import SESSIONS, SETTINGS, WECOM
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed
from outbound import stops
from outbound.models import ModelStop
from wecom.errors import WeComError
from wecom.service_messages import ServiceState

routes = web.RouteTableDef()

SEES = (Role.RM, Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
SEES_ALL = (Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
SERVES = (Role.RM, Role.BRANCH_MANAGER, Role.HQ)
PAGE = 20
STATES = {
    ServiceState.NEW: ("未处理", "yellow"),
    ServiceState.ROBOT: ("智能助手接待中", "blue"),
    ServiceState.WAITING: ("待接入", "orange"),
    ServiceState.SERVICER: ("人工接待中", "green"),
    ServiceState.ENDED: ("已结束", "grey"),
}
GROUPS: dict[str, tuple[str, tuple[ServiceState, ...]]] = {
    "": ("全部", tuple(ServiceState)),
    "robot": ("智能助手接待中", (ServiceState.NEW, ServiceState.ROBOT)),
    "waiting": ("待接入", (ServiceState.WAITING,)),
    "served": ("人工接待中", (ServiceState.SERVICER,)),
    "ended": ("已结束", (ServiceState.ENDED,)),
}
KINDS = {
    "image": "图片",
    "voice": "语音",
    "video": "视频",
    "file": "文件",
    "location": "位置",
    "link": "链接",
    "miniprogram": "小程序",
    "business_card": "名片",
    "merged_msg": "聊天记录",
}


@dataclass(frozen=True)
class ChatRow:
    """A line of the list."""

    chat: ServiceSession
    account: str
    servicer: str  # name, empty while nobody serves
    last_text: str  # masked
    waits: str  # how long the customer has been waiting for a person
    state: tuple[str, str]  # words and tone


@dataclass(frozen=True)
class ChatList:
    """`/service`: sessions by state, within what one may see."""

    rows: list[ChatRow]
    group: str
    tabs: list[tuple[str, str, bool]]
    total: int
    number: int
    pages: int
    query: str
    automatic: int  # accounts that answer without a person at this moment
    model_stop: ModelStop | None
    allowed: bool  # whether the server's settings let any account do so


@dataclass(frozen=True)
class ChatLine:
    """A message of the conversation."""

    who: str
    text: str
    at: datetime
    ours: bool
    note: str  # why it did not arrive, or why it was not answered without a person
    kind: str
    confidence: float | None
    sources: list[library.LibraryDocument]


@dataclass(frozen=True)
class ChatPage:
    """`/service/{id}`: what was said, from which material, and what may still be done."""

    chat: ServiceSession
    account: str
    servicer: str
    state: tuple[str, str]
    lines: list[ChatLine]
    left: int  # messages that may still be sent before the customer writes again
    hours: str  # time left in the 48 hours
    waits: str
    may_hand_over: bool
    may_take: bool
    refused: str


@routes.get("/service")
@allow(*SEES)
async def chat_list(request: web.Request) -> web.Response:
    """Sessions, those that wait the longest first, then the newest."""
    session, who, now = session_of(request), signed(request), now_of(request)
    group = request.query.get("state", "")
    group = group if group in GROUPS else ""
    counts = await _counts(session, who)
    total = sum(counts.get(state, 0) for state in GROUPS[group][1])
    pages = max(1, -(-total // PAGE))
    asked = request.query.get("page", "1")
    number = min(max(1, int(asked)), pages) if re.fullmatch("[0-9]{1,9}", asked) else 1
    accounts = await service_rows.accounts(session)
    context = ChatList(
        rows=await _rows(session, who, GROUPS[group][1], number, accounts, now),
        group=group,
        tabs=[
            (f"{label} {sum(counts.get(s, 0) for s in states)}", _tab(key), key == group)
            for key, (label, states) in GROUPS.items()
        ],
        total=total,
        number=number,
        pages=pages,
        query=urlencode({"state": group}) if group else "",
        automatic=sum(account.automatic for account in accounts.values()),
        allowed=allowed(request.app[SETTINGS]),
        model_stop=await stops.current(session),
    )
    return page(request, "bot/service.html", context)


@routes.get("/service/{id}")
@allow(*SEES)
async def chat(request: web.Request) -> web.Response:
    """One conversation."""
    return await _chat_page(request, await _visible_chat(request))


@routes.post("/service/{id}/hand-over")
@allow(*SERVES)
async def hand_over(request: web.Request) -> web.Response:
    """Have a person answer instead of the assistant."""
    session, now, who = session_of(request), now_of(request), signed(request)
    found = await _visible_chat(request)
    locked = await service_rows.locked(session, found.id)
    if locked.state not in service_rows.ANSWERABLE:
        return await _chat_page(request, locked, "会话已不在智能助手接待中，无需转接")
    because = f"page:{locked.id}:{now.isoformat()}"
    await service_handover.plan(session, locked, f"{who.name}手动转人工", because, now)
    audit.record(session, "bot:service:hand_over", locked.id, by=who.userid, now=now)
    return see_other(f"/service/{locked.id}?done=已安排转人工")


@routes.post("/service/{id}/take-over")
@allow(*SERVES)
async def take_over(request: web.Request) -> web.Response:
    """Answer this customer oneself."""
    found, who = await _visible_chat(request), signed(request)
    try:
        refused = await service_handover.take_over(
            request.app[SESSIONS], request.app[WECOM], found.id, who.userid, now_of(request)
        )
    except WeComError as error:
        refused = f"企业微信没有受理（{type(error).__name__} {error.errcode or ''}），请稍后重试"
    if refused:
        await session_of(request).refresh(found)
        return await _chat_page(request, found, refused)
    return see_other(f"/service/{found.id}?done=已由您接待，请在企业微信中回复客户")


def visible(who: Signed) -> ColumnElement[bool]:
    """The sessions this member of staff may see, as a condition on `service_session`."""
    if who.may(*SEES_ALL):
        return true()
    servicer = func.lower(col(ServiceSession.servicer))
    waiting = col(ServiceSession.state) == int(ServiceState.WAITING)
    seen: ColumnElement[bool] = false()
    if who.may(Role.RM):
        named = func.lower(cast(col(MemberCard.userids), String))
        called = select(MemberCard.subject_id).where(
            MemberCard.kind == CardKind.HANDOVER,
            named.contains(f'"{who.userid.lower()}"', autoescape=True),
        )
        invited = and_(waiting, cast(col(ServiceSession.id), String).in_(called))
        seen = or_(seen, servicer == who.userid.lower(), invited)
    if who.may(Role.BRANCH_MANAGER) and who.branch_id is not None:
        of_branch = select(func.lower(Staff.userid)).where(Staff.branch_id == who.branch_id)
        seen = or_(seen, waiting, servicer.in_(of_branch))
    return seen


async def _visible_chat(request: web.Request) -> ServiceSession:
    chat_id = given_id(request.match_info["id"])
    query = select(ServiceSession).where(ServiceSession.id == chat_id, visible(signed(request)))
    found = (await session_of(request).execute(query)).scalar_one_or_none()
    if found is None:
        raise web.HTTPNotFound
    return found


def _tab(key: str) -> str:
    return f"/service?state={key}" if key else "/service"


async def _counts(session: AsyncSession, who: Signed) -> dict[int, int]:
    query = select(ServiceSession.state, func.count()).where(visible(who))
    return dict((await session.execute(query.group_by(col(ServiceSession.state)))).all())


async def _rows(
    session: AsyncSession,
    who: Signed,
    states: tuple[ServiceState, ...],
    number: int,
    accounts: dict[str, ServiceAccount],
    now: datetime,
) -> list[ChatRow]:
    last = (
        select(ServiceMessage.text)
        .where(
            ServiceMessage.session_id == ServiceSession.id,
            ServiceMessage.speaker == ServiceSpeaker.CUSTOMER,
        )
        .order_by(col(ServiceMessage.sent_at).desc())
        .limit(1)
        .scalar_subquery()
    )
    waiting = col(ServiceSession.state) == int(ServiceState.WAITING)
    longest = case((waiting, col(ServiceSession.changed_at)))
    query = (
        select(ServiceSession, last)
        .where(visible(who), col(ServiceSession.state).in_([int(state) for state in states]))
        .order_by(waiting.desc(), longest, col(ServiceSession.wrote_at).desc().nulls_last())
        .limit(PAGE)
        .offset((number - 1) * PAGE)
    )
    found = (await session.execute(query)).all()
    names = await _names(session, [chat.servicer for chat, _ in found])
    return [
        ChatRow(
            chat=chat,
            account=_account_name(accounts.get(chat.open_kfid), chat.open_kfid),
            servicer=names.get(chat.servicer.lower(), chat.servicer),
            last_text=mask(text or "").text,
            waits=_waits(chat, now),
            state=STATES[ServiceState(chat.state)],
        )
        for chat, text in found
    ]


def _account_name(account: ServiceAccount | None, open_kfid: str) -> str:
    return account.name if account and account.name else open_kfid


async def _names(session: AsyncSession, userids: list[str]) -> dict[str, str]:
    wanted = {userid.lower() for userid in userids if userid}
    if not wanted:
        return {}
    lowered = func.lower(col(Staff.userid))
    rows = await session.execute(select(lowered, Staff.name).where(lowered.in_(wanted)))
    return dict(rows.all())


def _waits(chat: ServiceSession, now: datetime) -> str:
    """How long the customer has waited for a person; empty when nobody waits."""
    if chat.state != ServiceState.WAITING:
        return ""
    return _span(now - chat.changed_at)


def _span(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds()) // 60)
    if minutes < 1:
        return "不到 1 分钟"
    if minutes < 60:
        return f"{minutes} 分钟"
    hours, rest = divmod(minutes, 60)
    return f"{hours} 小时 {rest} 分钟" if rest else f"{hours} 小时"


async def _chat_page(
    request: web.Request, found: ServiceSession, refused: str = ""
) -> web.Response:
    session, now, who = session_of(request), now_of(request), signed(request)
    account = await session.get(ServiceAccount, found.open_kfid)
    names = await _names(session, [found.servicer])
    mine = found.servicer.lower() == who.userid.lower()
    open_state = found.state not in (ServiceState.ENDED,)
    ends = found.wrote_at + service_rows.WINDOW if found.wrote_at else now
    context = ChatPage(
        chat=found,
        account=_account_name(account, found.open_kfid),
        servicer=names.get(found.servicer.lower(), found.servicer),
        state=STATES[ServiceState(found.state)],
        lines=await _lines(session, found, names),
        left=max(0, service_rows.A_WINDOW - found.sent_since),
        hours=_span(ends - now) if ends > now else "",
        waits=_waits(found, now),
        may_hand_over=who.may(*SERVES) and found.state in service_rows.ANSWERABLE,
        may_take=who.may(*SERVES) and open_state and not mine,
        refused=refused,
    )
    return page(request, "bot/service_chat.html", context, status=409 if refused else 200)


async def _lines(
    session: AsyncSession, found: ServiceSession, names: dict[str, str]
) -> list[ChatLine]:
    query = select(ServiceMessage).where(ServiceMessage.session_id == found.id)
    newest = query.order_by(
        col(ServiceMessage.sent_at).desc(), col(ServiceMessage.stored_at).desc()
    )
    messages = list((await session.execute(newest.limit(200))).scalars())[::-1]
    ids = {UUID(version) for message in messages for version in message.version_ids}
    documents = {d.version_id: d for d in await library.documents(session, list(ids))}
    return [_line(message, documents) for message in messages]


def _line(message: ServiceMessage, documents: dict[UUID, library.LibraryDocument]) -> ChatLine:
    ours = message.speaker is not ServiceSpeaker.CUSTOMER
    unsent = message.speaker is ServiceSpeaker.ROBOT and not message.answered
    return ChatLine(
        who=message.speaker.label,
        text=_text(message),
        at=message.sent_at,
        ours=ours,
        note="正在发送" if unsent else message.failure,
        kind=message.kind,
        confidence=message.confidence,
        sources=[documents[UUID(v)] for v in message.version_ids if UUID(v) in documents],
    )


def _text(message: ServiceMessage) -> str:
    if message.kind == service_rows.RECALLED:
        return "（消息已撤回）"
    said: Any = mask(message.text).text
    return str(said) or f"[{KINDS.get(message.kind, '消息')}]"

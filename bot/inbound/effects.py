"""What every event does: one table from the type of an event to its handler.

A handler works in one transaction and says what it did in a short English line, which the table
keeps and `OUTCOMES` tells in words. It may come again at any time: nothing happens twice. It may
also ask to be called later (`Later`), which counts as no try.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank import staff as people
from bank.database import Sessions
from bank.settings import Settings
from bot import cards
from bot.chat import customer_chat
from bot.groups import talk
from bot.inbound import relations
from bot.inbound.behind import ALREADY_SEEN, Waiting, run_of, settle
from bot.service import chat as service_chat
from customers import follows, groups, tags
from customers.groups import Leaving
from wecom.archive import ArchiveClient
from wecom.channels import Channel
from wecom.client import WeComClient
from wecom.errors import GroupRefused, RelationGone
from wecom.events import (
    AcquisitionChanged,
    AppActivityChanged,
    AppEntered,
    ApprovalChanged,
    AppSharingChanged,
    AppSubscribed,
    AppUnsubscribed,
    ArchiveBell,
    BatchJobDone,
    CardMenuPressed,
    CardPressed,
    ContactChanged,
    DirectoryChanged,
    Event,
    FileMessage,
    GroupChange,
    GroupChanged,
    ImageMessage,
    LinkMessage,
    LocationMessage,
    MemberLocated,
    MenuPressed,
    OwnApprovalChanged,
    ServiceAccountsChanged,
    ServiceBell,
    TagChanged,
    TextMessage,
    UnknownEvent,
    UploadDone,
    VideoMessage,
    VoiceMessage,
    parse,
)
from wecom.groups import Group

log = structlog.get_logger("bot")

# WeCom's own advice: a group's details follow its event by about two seconds.
GROUP_SETTLES = timedelta(seconds=2)
LONGEST_LAG = timedelta(seconds=60)
WROTE = ("customer_start_chat", "message_from_customer")
EDITED = "change_external_contact.edit_external_contact"
GROUP_UPDATED = "change_external_chat.update"


@dataclass(frozen=True)
class Alarm:
    """A warning of the platform, in words, and the kinds of events that take it back."""

    words: str
    cleared_by: tuple[str, ...]


# Shown at the head of `/system/repairs` until the platform takes them back.
ACTIVE_AGAIN = ("active_restored", "reopen_inactive_agent")
QUOTA_AGAIN = ("customer_acquisition.balance_increased",)
ALARMS: Final = {
    "inactive_alert": Alarm(
        "应用长期未使用，即将被企业微信停用。请让员工打开应用，或联系企业微信管理员。", ACTIVE_AGAIN
    ),
    "close_inactive_agent": Alarm(
        "应用已被企业微信临时停用，所有接口将陆续失效。请管理员在管理后台重新启用。", ACTIVE_AGAIN
    ),
    "low_active_alert": Alarm("应用活跃度偏低，可能被企业微信限制接口权限。", ACTIVE_AGAIN),
    "low_active": Alarm("应用已被企业微信判定为低活跃应用，部分接口受限。", ACTIVE_AGAIN),
    "customer_acquisition.balance_low": Alarm("获客助手额度不足 20 次，请及时购买。", QUOTA_AGAIN),
    "customer_acquisition.balance_exhausted": Alarm(
        "获客助手额度已用完，获客链接暂时无法添加客户。", QUOTA_AGAIN
    ),
    "customer_acquisition.quota_expire_soon": Alarm("获客助手有额度即将过期，请尽快使用。", ()),
    "customer_acquisition.link_unavailable": Alarm("有获客链接已失效，请检查使用范围。", ()),
}


@dataclass(frozen=True)
class Later:
    """Not yet: the event comes again at that moment, and this was no try."""

    until: datetime


Outcome = str | Later


@dataclass(frozen=True)
class Work:
    """What a handler works with: its transaction, the platform, and the moment."""

    session: AsyncSession
    sessions: Sessions
    wecom: WeComClient
    archive: ArchiveClient | None
    settings: Settings
    now: datetime
    received_at: datetime
    # Of the same customer, group or source, stored before this one is handled; oldest first.
    behind: tuple[Waiting, ...] = ()


Handler = Callable[[Work, Any], Awaitable[Outcome]]


async def handle(work: Work, body: str) -> Outcome:
    """Do what the event asks for; says what was done."""
    if body.startswith(customer_chat.SET_ASIDE):
        return await _place_set_aside(work, body)
    if body.startswith(relations.CHURN):
        return await relations.tell_of_churn(
            work.session, work.sessions, body, work.wecom, work.now
        )
    event = parse(body)
    return await ROUTES[type(event)](work, event)


async def _place_set_aside(work: Work, body: str) -> Outcome:
    if work.archive is None:
        return "not handled: there is no archive any more"
    return await customer_chat.place_set_aside(
        work.session, body, work.archive, work.wecom, work.now
    )


async def _contact_changed(work: Work, event: ContactChanged) -> Outcome:
    outcome = await relations.on_contact_changed(work.session, event, work.wecom, work.now)
    if relations.looked(event, outcome):
        await settle(work.session, run_of(EDITED, work.behind), work.now)
    return outcome


async def _group_changed(work: Work, event: GroupChanged) -> Outcome:
    """Ask for the group once its details have settled; a known version needs no question."""
    session, at = work.session, event.created_at
    await groups.take_turn(session, event.chat_id)
    if event.change is GroupChange.DISMISSED:
        ended = await groups.dismiss(session, event.chat_id, at, work.now)
        return "group dismissed" if ended else "not handled: the group was not known, or over"
    if work.now < work.received_at + GROUP_SETTLES:
        return Later(work.received_at + GROUP_SETTLES)
    if not await _is_known(session, event):
        told = await _ask_group(work, event)
        if told is None:
            return "not handled: the group is no more"
        if _lags(told, event) and work.now < work.received_at + LONGEST_LAG:
            return Later(work.now + GROUP_SETTLES)
        await groups.take_in(session, told, work.now)
        await _note_who_left(session, event)
        await _end_what_was_told(work, told)
    else:
        await _note_who_left(session, event)
    return "group taken in"


async def _note_who_left(session: AsyncSession, event: GroupChanged) -> None:
    if event.detail == "del_member" and event.members:
        leaving = Leaving(event.members, event.created_at, event.quit_scene)
        await groups.left(session, event.chat_id, leaving)


async def _end_what_was_told(work: Work, told: Group) -> None:
    """Changes that had settled when WeCom was asked are in its answer; who left they alone say."""
    seen = list(_told(work, told))
    for _, event in seen:
        await _note_who_left(work.session, event)
    await settle(work.session, (waiting for waiting, _ in seen), work.now)


def _told(work: Work, told: Group) -> Iterator[tuple[Waiting, GroupChanged]]:
    for waiting in run_of(GROUP_UPDATED, work.behind):
        event = waiting.read()
        if not isinstance(event, GroupChanged) or _lags(told, event):
            return
        if work.now < waiting.received_at + GROUP_SETTLES:
            return
        yield waiting, event


async def _is_known(session: AsyncSession, event: GroupChanged) -> bool:
    """Whether this change of members is in what we have already."""
    group = await groups.known(session, event.chat_id)
    members = event.detail in ("add_member", "del_member")
    return group is not None and members and event.version == group.member_version != ""


async def _ask_group(work: Work, event: GroupChanged) -> Group | None:
    try:
        return await work.wecom.groups.get(event.chat_id)
    except (GroupRefused, RelationGone):
        return None


def _lags(told: Group, event: GroupChanged) -> bool:
    """Whether WeCom still answers what was before this change."""
    return told.member_version == event.previous_version != event.version


async def _tag_changed(work: Work, event: TagChanged) -> Outcome:
    changed = await mirror_tags(work.session, work.wecom, work.now)
    await settle(work.session, work.behind, work.now)
    return f"handled: {changed} tags changed"


async def mirror_tags(session: AsyncSession, wecom: WeComClient, now: datetime) -> int:
    """Make the company's tags, and with them the customers', what WeCom says; how many changed."""
    await tags.take_turn(session)
    told = [
        tags.KnownTag(tag.id, tag.name, group.id, group.name)
        for group in await wecom.tags.all()
        for tag in group.tags
        if not (tag.deleted or group.deleted)
    ]
    return await tags.mirror(session, told, now)


async def _acquisition_changed(work: Work, event: AcquisitionChanged) -> Outcome:
    """A customer of a 获客链接 wrote: the only sign of it where there is no archive."""
    if event.kind in ALARMS:
        log.warning("acquisition_warning", change=event.change)
        return "alarm: raised"
    if event.change not in WROTE or work.archive is not None:
        return "noted"
    rm = await people.by_userid(work.session, event.userid)
    customer = await follows.by_contact(work.session, event.external_userid)
    if rm is None or customer is None:
        return "not handled: nobody of ours serves this contact any more"
    moment = event.chat_seq or int(event.created_at.timestamp())
    seen = touchpoints.Seen(
        customer_id=customer.id,
        staff_id=rm.id,
        kind=TouchpointKind.CUSTOMER_WROTE,
        channel=Channel.SINGLE_CHAT,
        at=event.created_at,
        source="acquisition",
        source_id=f"{event.userid}:{event.external_userid}:{event.change}:{moment}",
    )
    await touchpoints.record(work.session, seen)
    return "customer wrote"


async def _archive_bell(work: Work, event: ArchiveBell) -> Outcome:
    stored = 0
    if work.archive is not None:
        stored = await customer_chat.pull_archive(work.sessions, work.archive, work.now)
    await settle(work.session, work.behind, work.now)
    return f"handled: {stored} messages from the archive"


async def _service_bell(work: Work, event: ServiceBell) -> Outcome:
    stored = await service_chat.pull(
        work.sessions, work.wecom, work.settings, event.open_kfid, event.token, work.now
    )
    return f"handled: {stored} messages of customer service"


async def _card_pressed(work: Work, event: CardPressed) -> Outcome:
    return await cards.on_pressed(work.sessions, work.wecom, event, work.now)


async def _app_activity_changed(work: Work, event: AppActivityChanged) -> Outcome:
    if event.kind in ALARMS:
        log.warning("app_activity_warning", kind=event.kind)
        return "alarm: raised"
    return "alarm: over"


async def _noted(work: Work, event: Event) -> Outcome:
    return "noted"


async def _unknown(work: Work, event: Event) -> Outcome:
    return f"not handled: {event.kind}"


ROUTES: Final[dict[type[Event], Handler]] = {
    ContactChanged: _contact_changed,
    GroupChanged: _group_changed,
    TagChanged: _tag_changed,
    AcquisitionChanged: _acquisition_changed,
    ArchiveBell: _archive_bell,
    ServiceBell: _service_bell,
    AppActivityChanged: _app_activity_changed,
    CardPressed: _card_pressed,
    # Kept, and shown at /system/inbound; nothing of ours depends on them.
    CardMenuPressed: _noted,
    ServiceAccountsChanged: _noted,
    TextMessage: _noted,
    ImageMessage: _noted,
    VoiceMessage: _noted,
    VideoMessage: _noted,
    LocationMessage: _noted,
    LinkMessage: _noted,
    FileMessage: _noted,
    AppSubscribed: _noted,
    AppUnsubscribed: _noted,
    AppEntered: _noted,
    MemberLocated: _noted,
    MenuPressed: _noted,
    AppSharingChanged: _noted,
    DirectoryChanged: _noted,
    ApprovalChanged: _noted,
    OwnApprovalChanged: _noted,
    BatchJobDone: _noted,
    UploadDone: _noted,
    UnknownEvent: _unknown,
}

OUTCOMES: Final = {
    "customer adopted": "已登记客户与跟进关系",
    "relation updated": "已更新跟进关系",
    ALREADY_SEEN: "已并入同一对象此前的处理",
    "relation ended": "已结束跟进关系",
    "relation was over already": "跟进关系此前已结束",
    "archive agreed": "已登记客户同意会话存档",
    "overtaken: an earlier relation's agreement": "无需处理：属于此前的跟进关系",
    "overtaken: customer and RM are connected again": "无需处理：客户与客户经理已重新建立联系",
    "transfer failure noted": "已登记交接失败",
    "group taken in": "已更新客户群",
    "group dismissed": "已登记客户群解散",
    "not handled: the group is no more": "未处理：客户群已不存在",
    "not handled: the group was not known, or over": "未处理：客户群此前未登记或已解散",
    "customer wrote": "已登记客户来信",
    "alarm: raised": "已在系统页面告警",
    "alarm: over": "平台已解除预警",
    "noted": "已记录，无需处理",
    "RM was told": "已提醒客户经理",
    "handled: the button was pressed": "已处理卡片按钮",
    "handled: refused, and the member was told why": "操作未完成，已告知员工原因",
    "handled: somebody else was first": "无需处理：已由其他同事处理",
    cards.UNKNOWN: "未处理：不是本系统发出的卡片",
    cards.STRANGER: "未处理：卡片没有发给这位员工",
    "not handled: WeCom did not take the message to the RM": "未处理：企业微信未受理这条提醒",
    "not handled: member is not on our staff list": "未处理：成员不在员工名单中",
    "not handled: the relation is over already": "未处理：跟进关系已经结束",
    "not handled: nobody of ours serves this contact any more": "未处理：已没有成员跟进这位客户",
    "handled: 1 message from the archive": "已补存 1 条会话存档消息",
    "not handled: no longer in the archive": "未处理：消息已超出会话存档的保存期",
    "not handled: not between our staff and a contact": "未处理：不是员工与客户之间的消息",
    "not handled: there is no archive any more": "未处理：没有配置会话存档",
    talk.NOT_A_GROUP: "未处理：不是本行的客户群",
    talk.NOT_AGREED: "未保存：客户不同意会话存档",
    talk.NOT_A_MEMBER: "未保存：发言人已不在群内，无法确认是否同意存档",
    talk.ALREADY: "无需处理：消息已保存",
}
COUNTED: Final = {
    " messages from the archive": "从会话存档取得 {} 条消息",
    " messages of customer service": "从微信客服取得 {} 条消息",
    " tags changed": "企业标签更新 {} 项",
}


def outcome_label(outcome: str) -> str:
    """What became of an event, in words; a fault of the platform stays as it was noted."""
    for ending, words in COUNTED.items():
        if outcome.startswith("handled: ") and outcome.endswith(ending):
            return words.format(outcome.split()[1])
    if is_unknown(outcome):
        return f"未处理：当前版本不识别的事件（{outcome.removeprefix('not handled: ')}）"
    return OUTCOMES.get(outcome, outcome) or "—"


def is_unknown(outcome: str) -> bool:
    """Whether the event was kept without being understood; a later version may handle it."""
    return outcome.startswith("not handled: ") and outcome not in OUTCOMES

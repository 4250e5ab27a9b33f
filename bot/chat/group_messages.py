"""What a person sends into a customer group: as approved, to everybody who is there now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank import audit
from content import library, sendable
from content.models import PROMOTING, Kind, Material, Version
from customers import group_seats
from customers.models import CustomerGroup
from desk.signed import Signed
from outbound import check, records
from outbound.addressing import addressed
from outbound.attachments import Stock, Unfit, prepare
from outbound.facts import FIXED, QUOTING, Policy, Saying, Seat
from outbound.models import Door, OutboundMessage, OutboundState
from wecom.channels import Channel

RM_SLOT = "{客户经理}"
SOURCE = "group"
ALREADY = "这份素材已经发到群里了。"
ANOTHER = "这条内容不是为这个群准备的，请重新选用。"
COLLEAGUE = "同事刚刚在发送这条回答，请先看一眼群里，避免重复。"
ANSWERED = "同事已经在群里回答过这个问题了。"
# How long an answer may be on its way through a colleague's client.
SENDING = timedelta(seconds=30)


@dataclass(frozen=True)
class Refused:
    """It does not go into the group, and why."""

    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ForGroup:
    """A material on its way into a group; `key` names this one sending."""

    key: UUID
    group: CustomerGroup
    version: Version
    kind: Kind
    by: Signed

    @property
    def text(self) -> str:
        """The approved text, its one slot filled."""
        words = sendable.words_of(self.version, self.kind)
        return words.replace(RM_SLOT, self.by.name).strip()


@dataclass(frozen=True)
class ReplyInGroup:
    """An answer to a question of the group: a quoted passage, or the bank's standing sentence.

    `key` names the question; a standing sentence has no `version_id`.
    """

    key: UUID
    group: CustomerGroup
    text: str
    version_id: UUID | None
    position: int
    by: Signed


Sent = ForGroup | ReplyInGroup


async def usable(session: AsyncSession, by: Signed, now: datetime) -> list[library.LibraryDocument]:
    """What is approved for groups of this RM's branch; products are judged when it is sent."""
    return await library.live_documents(
        session, now, channel=Channel.GROUP.value, branch_id=by.branch_id
    )


async def chosen(
    session: AsyncSession, key: UUID, group: CustomerGroup, version_id: UUID, by: Signed
) -> ForGroup | None:
    """This material for this group; None where there is no such version."""
    version = await session.get(Version, version_id)
    if version is None:
        return None
    material = await session.get_one(Material, version.material_id)
    return ForGroup(key, group, version, material.kind, by)


async def saying_of(
    session: AsyncSession, it: Sent, stock: Stock, now: datetime
) -> Saying | Refused:
    """What would be said, to whom, with everything that goes beside it."""
    if isinstance(it, ReplyInGroup):
        return await _reply(session, it, now)
    attached = await prepare(session, stock, [it.version.id], it.by, now)
    if isinstance(attached, Unfit):
        return Refused(attached.reasons)
    [document] = await library.documents(session, [it.version.id])
    return Saying(
        door=Door.GROUP,
        text=it.text,
        version_ids=frozenset({it.version.id}),
        staff_id=it.by.id,
        contact=it.group.chat_id,
        branch_id=it.by.branch_id,
        marketing=document.use in PROMOTING,
        attachments=attached,
        chat_id=it.group.chat_id,
        recipients=await _everybody(session, it.group, now),
    )


async def _reply(session: AsyncSession, it: ReplyInGroup, now: datetime) -> Saying:
    """An answer is read by all as any other message is, so it is judged as strictly."""
    used = [it.version_id] if it.version_id else []
    documents = await library.documents(session, used)
    return Saying(
        door=Door.GROUP,
        text=it.text,
        version_ids=frozenset(used),
        staff_id=it.by.id,
        contact=it.group.chat_id,
        branch_id=it.by.branch_id,
        writer=QUOTING if used else FIXED,
        passages=tuple(f"{version_id}#{it.position}" for version_id in used),
        marketing=any(document.use in PROMOTING for document in documents),
        ai_assisted=bool(used),
        chat_id=it.group.chat_id,
        recipients=await _everybody(session, it.group, now),
    )


async def _everybody(
    session: AsyncSession, group: CustomerGroup, now: datetime
) -> tuple[Seat, ...]:
    there = await group_seats.present(session, group.id, now)
    return tuple(Seat(one.member_id, one.customer_id, one.name, one.consents) for one in there)


async def clear(
    session: AsyncSession, it: Sent, stock: Stock, policy: Policy, now: datetime
) -> check.Cleared | Refused:
    """May it go into the group now? Written down with everybody who is there."""
    if refused := await _said_before(session, it, now):
        return refused
    saying = await saying_of(session, it, stock, now)
    if isinstance(saying, Refused):
        return saying
    saying = await addressed(session, stock, saying, it.key, now)
    answer = await check.check_and_record(session, saying, it.key, policy, now)
    return answer if isinstance(answer, check.Cleared) else Refused(answer.reasons)


async def _said_before(session: AsyncSession, it: Sent, now: datetime) -> Refused | None:
    row = await records.cleared(session, SOURCE, it.key)
    if row is None or await _left_by_colleague(session, row, it, now):
        return None
    if isinstance(it, ReplyInGroup) and row.staff_id != it.by.id:
        return Refused((COLLEAGUE if row.state is OutboundState.CLEARED else ANSWERED,))
    if (row.staff_id, row.chat_id) != (it.by.id, it.group.chat_id):
        return Refused((ANOTHER,))
    return Refused((ALREADY,)) if row.delivered >= bubbles_of(row) else None


async def _left_by_colleague(
    session: AsyncSession, row: OutboundMessage, it: Sent, now: datetime
) -> bool:
    """A colleague was let through with this answer and never sent it: it is free again."""
    waits = row.state is OutboundState.CLEARED and row.staff_id != it.by.id
    if not (waits and isinstance(it, ReplyInGroup)) or now - row.at < SENDING:
        return False
    await records.unsent(session, SOURCE, [row.source_id], now)
    await session.refresh(row)
    return True


def bubbles_of(row: OutboundMessage) -> int:
    """How many bubbles it is."""
    return bool(row.text) + len(row.attachments)


async def mark_sent(
    session: AsyncSession, key: UUID, group: CustomerGroup, parts: int, by: Signed, now: datetime
) -> OutboundMessage | None:
    """The bridge says that so many bubbles of it are in the group; None for what is not theirs."""
    mine = select(OutboundMessage).where(
        OutboundMessage.source == SOURCE,
        OutboundMessage.source_id == str(key),
        OutboundMessage.staff_id == by.id,
        OutboundMessage.chat_id == group.chat_id,
        OutboundMessage.state != OutboundState.REFUSED,
    )
    if parts < 1 or (await session.execute(mine)).first() is None:
        return None
    row = await records.sent(session, SOURCE, key, now)
    if row is None:
        return None
    row.delivered = max(row.delivered, min(parts, bubbles_of(row)))
    await _note_sent(session, row, by.id, by.userid, now)
    return row


async def recognise_sent(
    session: AsyncSession, group: CustomerGroup, keys: Collection[UUID], text: str, at: datetime
) -> UUID | None:
    """The archive shows a cleared text in the group: sent, even if the browser never told us."""
    query = select(OutboundMessage).where(
        OutboundMessage.source == SOURCE,
        OutboundMessage.chat_id == group.chat_id,
        col(OutboundMessage.source_id).in_([str(key) for key in keys]),
        OutboundMessage.text == text,
        col(OutboundMessage.state).in_(records.OPEN),
    )
    row = (await session.execute(query.limit(1))).scalar_one_or_none()
    if row is None:
        return None
    if row.state is not OutboundState.SENT and row.staff_id is not None:
        await records.sent(session, SOURCE, row.source_id, at)
        row.delivered = bubbles_of(row)
        await _note_sent(session, row, row.staff_id, audit.SYSTEM, at)
    return UUID(row.source_id)


async def _note_sent(
    session: AsyncSession, row: OutboundMessage, staff_id: UUID, by: str, now: datetime
) -> None:
    await _seen(session, row, staff_id, now)
    audit.record(
        session, "outbound:group_message:send", row.id, by=by, now=now, group=row.chat_id,
        customers=len(row.recipients),
    )  # fmt: skip


async def _seen(session: AsyncSession, row: OutboundMessage, staff_id: UUID, now: datetime) -> None:
    """A touchpoint for every customer we know who was in the group when material reached it."""
    for version_id in [UUID(one["version_id"]) for one in row.versions][:1]:
        await _saw(session, row, version_id, staff_id, now)


async def _saw(
    session: AsyncSession, row: OutboundMessage, version_id: UUID, staff_id: UUID, now: datetime
) -> None:
    for one in row.recipients:
        if one["customer_id"]:
            seen = touchpoints.Seen(
                customer_id=UUID(one["customer_id"]),
                staff_id=staff_id,
                kind=TouchpointKind.TOUCH_DELIVERED,
                channel=Channel.GROUP.value,
                at=now,
                source=SOURCE,
                source_id=f"{row.id}/{one['customer_id']}",
                version_id=version_id,
            )
            await touchpoints.record(session, seen)

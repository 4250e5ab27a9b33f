"""A material sent into a customer group by hand: as approved, to everybody who is there now."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank import audit
from content import library, sendable
from content.models import PROMOTING, Kind, Material, Version
from customers import group_seats
from customers.models import CustomerGroup
from desk.signed import Signed
from outbound import check, records
from outbound.attachments import Stock, Unfit, prepare
from outbound.facts import Policy, Saying, Seat
from outbound.models import Door, OutboundMessage, OutboundState
from wecom.channels import Channel

RM_SLOT = "{客户经理}"
SOURCE = "group"
ALREADY = "这份素材已经发到群里了。"
ANOTHER = "这条内容不是为这个群准备的，请重新选用。"


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
    session: AsyncSession, it: ForGroup, stock: Stock, now: datetime
) -> Saying | Refused:
    """What would be said, to whom, with everything that goes beside it."""
    attached = await prepare(session, stock, [it.version.id], it.by, now)
    if isinstance(attached, Unfit):
        return Refused(attached.reasons)
    there = await group_seats.present(session, it.group.id, now)
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
        recipients=tuple(
            Seat(one.member_id, one.customer_id, one.name, one.consents) for one in there
        ),
    )


async def clear(
    session: AsyncSession, it: ForGroup, stock: Stock, policy: Policy, now: datetime
) -> check.Cleared | Refused:
    """May it go into the group now? Written down with everybody who is there."""
    if refused := await _said_before(session, it):
        return refused
    saying = await saying_of(session, it, stock, now)
    if isinstance(saying, Refused):
        return saying
    answer = await check.check_and_record(session, saying, it.key, policy, now)
    return answer if isinstance(answer, check.Cleared) else Refused(answer.reasons)


async def _said_before(session: AsyncSession, it: ForGroup) -> Refused | None:
    row = await records.cleared(session, SOURCE, it.key)
    if row is None:
        return None
    if (row.staff_id, row.chat_id) != (it.by.id, it.group.chat_id):
        return Refused((ANOTHER,))
    return Refused((ALREADY,)) if row.delivered >= bubbles_of(row) else None


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
    await _seen(session, row, by, now)
    audit.record(
        session, "outbound:group_message:send", row.id, by=by.userid, now=now, group=group.chat_id,
        customers=len(row.recipients),
    )  # fmt: skip
    return row


async def _seen(session: AsyncSession, row: OutboundMessage, by: Signed, now: datetime) -> None:
    """A touchpoint for every customer we know who was in the group at that moment."""
    [version_id] = [UUID(one["version_id"]) for one in row.versions]
    for one in row.recipients:
        if one["customer_id"]:
            seen = touchpoints.Seen(
                customer_id=UUID(one["customer_id"]),
                staff_id=by.id,
                kind=TouchpointKind.TOUCH_DELIVERED,
                channel=Channel.GROUP.value,
                at=now,
                source=SOURCE,
                source_id=f"{row.id}/{one['customer_id']}",
                version_id=version_id,
            )
            await touchpoints.record(session, seen)

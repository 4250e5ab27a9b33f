"""The same groups as the simulated platform remembers them, with their codes and last words."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bot.demo.groups import code_of
from bot.demo.rows import ident
from bot.groups.models import GroupMessage
from customers.models import CustomerGroup
from customers.models import GroupMember as Seat
from wecom.contact_ways import QR_CODE
from wecom.simulator import Contact
from wecom.simulator.groups import CUSTOMER, MEMBER, Group, GroupMember, JoinWay
from wecom.simulator.state import Message

COLOR = "#8a94a6"


@dataclass(frozen=True)
class Rooms:
    """The groups, the codes that lead into them, and who in them is nobody's customer."""

    groups: dict[str, Group]
    join_ways: dict[str, JoinWay]
    strangers: list[Contact]


async def seeded_groups(session: AsyncSession) -> Rooms:
    """Every group of the tables; whoever left is gone at the platform, and a dismissed group stays
    as it ended."""
    seats = await _seats(session)
    query = select(CustomerGroup).order_by(col(CustomerGroup.created_at), col(CustomerGroup.id))
    rows = list((await session.execute(query)).scalars())
    made = {row.chat_id: _group(row, seats[row.id]) for row in rows}
    ways = (_code(group) for group in made.values() if group.alive)
    strangers = {
        seat.member_id: Contact(seat.member_id, seat.nickname, avatar_color=COLOR)
        for row in rows
        for seat in seats[row.id]
        if not seat.is_staff and seat.customer_id is None
    }
    return Rooms(made, {way.config_id: way for way in ways}, list(strangers.values()))


async def _seats(session: AsyncSession) -> dict[UUID, list[Seat]]:
    """Everybody who is or was in each group, in the order they came."""
    # Staff open a group; whoever was there from the first moment comes after them.
    order = col(Seat.joined_at), col(Seat.is_staff).desc(), col(Seat.member_id)
    seats: dict[UUID, list[Seat]] = defaultdict(list)
    for seat in (await session.execute(select(Seat).order_by(*order))).scalars():
        seats[seat.group_id].append(seat)
    return seats


def _group(row: CustomerGroup, seats: Sequence[Seat]) -> Group:
    assert row.created_at is not None
    here = [seat for seat in seats if seat.left_at in (None, row.dismissed_at)]
    staff = [seat.member_id for seat in here if seat.is_staff]
    return Group(
        chat_id=row.chat_id,
        name=row.name,
        owner=row.owner_userid,
        created_at=row.created_at,
        notice=row.notice,
        members={seat.member_id: _member(seat) for seat in here},
        admins=[userid for userid in staff if userid != row.owner_userid],
        version=row.member_version,
        dismissed_at=row.dismissed_at,
    )


def _member(seat: Seat) -> GroupMember:
    return GroupMember(
        userid=seat.member_id,
        kind=MEMBER if seat.is_staff else CUSTOMER,
        joined_at=seat.joined_at,
        join_scene=seat.join_scene or 0,
        invitor=seat.invited_by,
        state=seat.channel_key,
    )


def _code(group: Group) -> JoinWay:
    return JoinWay(
        config_id=ident("join way", group.chat_id).hex,
        created_at=group.created_at,
        scene=QR_CODE,
        chat_ids=[group.chat_id],
        remark=group.name,
        state=code_of(group.name),
    )


async def said(session: AsyncSession, rooms: Rooms) -> list[Message]:
    """What the archive has of the groups; whoever numbers the messages does so."""
    query = select(GroupMessage, col(CustomerGroup.chat_id)).join(
        CustomerGroup, col(CustomerGroup.id) == col(GroupMessage.group_id)
    )
    return [
        _said(stored, rooms.groups[chat_id]) for stored, chat_id in await session.execute(query)
    ]


def _said(stored: GroupMessage, group: Group) -> Message:
    speaker = stored.member_id
    return Message(
        seq=0,
        msgid=stored.msgid,
        userid=speaker if stored.is_staff else "",
        external_userid="" if stored.is_staff else speaker,
        from_customer=not stored.is_staff,
        msgtype="text",
        body={"content": stored.text},
        via="group",
        at=stored.sent_at,
        chat_id=group.chat_id,
        audience=_heard(group, speaker, stored.sent_at),
    )


def _heard(group: Group, speaker: str, at: datetime) -> list[str]:
    return [m.userid for m in group.members.values() if m.userid != speaker and m.joined_at < at]

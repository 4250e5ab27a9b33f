"""What is said in customer groups, as the archive tells it: kept once, where it may be kept at all.

Only groups we know, and only people who do not refuse to be archived. WeCom is asked who agrees
once an hour and group; until it has answered, a message waits and its words stay in the archive.
"""

import enum
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.database import ring
from bot.chat.conversations import storable
from bot.groups.models import GroupMessage
from customers import follows, groups
from customers.models import CustomerGroup, GroupMember
from wecom.archive import ArchivedMessage
from wecom.client import WeComClient
from wecom.errors import ArchiveRefused, GroupRefused, RelationGone

BELL = "group_talk"
CONSENT_HOLDS = timedelta(hours=1)
CONTACT_PREFIXES = ("wm", "wo")
NOT_A_CUSTOMER_GROUP = 301059

STORED: Final = "handled: 1 message from the archive"
NOT_A_GROUP: Final = "not handled: not a customer group of ours"
NOT_AGREED: Final = "not handled: the speaker does not agree to archiving"
NOT_A_MEMBER: Final = "not handled: the speaker is not in the group any more"
ALREADY: Final = "not handled: the message is kept already"


class Placed(enum.Enum):
    """What became of a message of a group."""

    KEPT = STORED
    KNOWN = ALREADY
    NOT_OURS = NOT_A_GROUP
    REFUSED = NOT_AGREED
    UNSURE = NOT_A_MEMBER


async def place(session: AsyncSession, message: ArchivedMessage, now: datetime) -> Placed:
    """Keep it, or say why not; UNSURE where WeCom must be asked first."""
    if not _with_customers(message):
        return Placed.NOT_OURS
    group = await groups.known(session, message.room_id)
    if group is None or not _asked_lately(group, now):
        return Placed.UNSURE
    speaker = await groups.member(session, group.id, message.sender)
    if speaker is None:
        return Placed.UNSURE
    if speaker.archive_refused:
        return Placed.REFUSED
    return await _keep(session, message, speaker, now)


def _with_customers(message: ArchivedMessage) -> bool:
    """Rooms of colleagues alone are archived too, and are none of our business."""
    people = (message.sender, *message.recipients)
    return any(one.startswith(CONTACT_PREFIXES) for one in people)


def _asked_lately(group: CustomerGroup, now: datetime) -> bool:
    asked = group.consent_asked_at
    return asked is not None and now - asked < CONSENT_HOLDS


async def _keep(
    session: AsyncSession, message: ArchivedMessage, speaker: GroupMember, now: datetime
) -> Placed:
    row = insert(GroupMessage).values(
        msgid=message.msgid,
        group_id=speaker.group_id,
        member_id=speaker.member_id,
        is_staff=speaker.is_staff,
        customer_id=await _customer(session, speaker),
        text=storable(message.text),
        sent_at=message.sent_at,
        stored_at=now,
    )
    once = row.on_conflict_do_nothing(index_elements=["msgid"]).returning(col(GroupMessage.id))
    if (await session.execute(once)).scalar_one_or_none() is None:
        return Placed.KNOWN
    await ring(session, BELL)
    return Placed.KEPT


async def _customer(session: AsyncSession, speaker: GroupMember) -> UUID | None:
    """Whose words they are; a relation may be younger than the seat in the group."""
    if speaker.is_staff or speaker.customer_id is not None:
        return speaker.customer_id
    customer = await follows.by_contact(session, speaker.member_id)
    return customer.id if customer else None


async def look_and_place(
    session: AsyncSession, message: ArchivedMessage, wecom: WeComClient, now: datetime
) -> str:
    """Keep a message that was set aside, after asking WeCom about its group and who agrees."""
    await groups.take_turn(session, message.room_id)
    placed = await place(session, message, now)
    if placed is Placed.UNSURE:
        if not await _look(session, message.room_id, wecom, now):
            return NOT_A_GROUP
        placed = await place(session, message, now)
    return placed.value


async def _look(session: AsyncSession, chat_id: str, wecom: WeComClient, now: datetime) -> bool:
    """Take in the group as it is, with who refuses; False where there is no such group."""
    try:
        told = await wecom.groups.get(chat_id)
        agreements = await wecom.archive_consent.room(chat_id)
    except (GroupRefused, RelationGone):
        return False
    except ArchiveRefused as refused:
        if refused.errcode != NOT_A_CUSTOMER_GROUP:
            raise
        return False
    await groups.take_in(session, told, now)
    group = await groups.known(session, chat_id)
    if group is None:
        return False
    refusing = {one.external_userid for one in agreements if one.agreed is False}
    await groups.note_consent(session, group, refusing, now)
    return True

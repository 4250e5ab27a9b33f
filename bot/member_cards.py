"""Cards with buttons on members' desktops: written down before they are sent, pressed once."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.database import Sessions
from bot.models import CardKind, MemberCard
from wecom.cards import ButtonCard
from wecom.client import WeComClient
from wecom.errors import MessageRefused, WeComError

log = structlog.get_logger("bot")


async def send(
    sessions: Sessions,
    wecom: WeComClient,
    kind: CardKind,
    subject_id: str,
    userids: Sequence[str],
    card: ButtonCard,
    now: datetime,
) -> bool:
    """Send a card to members; whether it is on their desktops now, from this call or an earlier.

    Raises WeComError where the same call may be made again later.
    """
    async with sessions.begin() as session:
        again = not await write_down(session, kind, card.task_id, subject_id, userids, now)
    try:
        await wecom.messages.send(userids, card)
    except MessageRefused as refusal:
        # WeCom knows a task id once: it refuses the card that a lost answer made us send twice.
        log.warning("card_refused", task=card.task_id, error=repr(refusal))
        return again
    return True


async def write_down(
    session: AsyncSession,
    kind: CardKind,
    task_id: str,
    subject_id: str,
    userids: Sequence[str],
    now: datetime,
) -> bool:
    """Keep who gets the card with this task id; whether it was not written down before."""
    row = MemberCard(
        task_id=task_id, kind=kind, userids=list(userids), subject_id=subject_id, sent_at=now
    )
    written = insert(MemberCard).values(row.model_dump())
    new = written.on_conflict_do_nothing(index_elements=["task_id"])
    found = await session.execute(new.returning(col(MemberCard.task_id)))
    return found.first() is not None


async def press(
    sessions: Sessions, task_id: str, userid: str, button: str, now: datetime
) -> MemberCard | None:
    """The card as it stands after this press: the first one counts; None where we never sent it."""
    async with sessions.begin() as session:
        first = (
            update(MemberCard)
            .where(col(MemberCard.task_id) == task_id, col(MemberCard.pressed_at).is_(None))
            .values(pressed_at=now, pressed_by=userid, button=button)
        )
        await session.execute(first)
        return await session.get(MemberCard, task_id)


async def release(sessions: Sessions, task_id: str, userid: str) -> None:
    """The press led to nothing: somebody else may press."""
    async with sessions.begin() as session:
        undone = (
            update(MemberCard)
            .where(col(MemberCard.task_id) == task_id, col(MemberCard.pressed_by) == userid)
            .values(pressed_at=None, pressed_by="", button="")
        )
        await session.execute(undone)


async def show(wecom: WeComClient, userids: Sequence[str], response_code: str, says: str) -> None:
    """The buttons become one that says what happened; a card that stays as it was costs nothing."""
    if not response_code:
        return
    try:
        await wecom.messages.update_card(userids, response_code, button=says)
    except WeComError as refusal:
        log.warning("card_not_updated", error=repr(refusal))

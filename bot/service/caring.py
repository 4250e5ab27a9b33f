"""A complaint or a need of care at 微信客服: an alert as in an RM's chat, and a person answers."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from bot.chat import hearing
from bot.chat.hearing import Words
from bot.models import ServiceMessage, ServiceSession
from customers import book, care, follows


async def hear(
    session: AsyncSession, chat: ServiceSession, message: ServiceMessage, now: datetime
) -> None:
    """Raise what these words ask of a person (C-27, C-44, L-09), whoever it is that wrote them.

    Somebody known is named with whoever looks after them; of others only the contact is known.
    """
    if message.kind != "text" or not message.text.strip():
        return
    customer = await follows.by_contact(session, chat.external_userid)
    rm = await book.looked_after_by(session, customer.id) if customer else None
    words = Words(
        source=f"{care.SERVICE}:{chat.id}:{message.msgid}",
        text=message.text,
        customer_id=customer.id if customer else None,
        staff_id=rm,
        contact=chat.external_userid,
    )
    await hearing.note(session, words, now)


async def needs_person(session: AsyncSession, chat: ServiceSession) -> bool:
    """Whether a complaint or a need of care of this customer is open: no machine answers then."""
    return await care.needs_person(session, chat.external_userid)

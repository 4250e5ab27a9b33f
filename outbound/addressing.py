"""Whose link it is: cards lead through an address of their own for each sending (客户雷达).

The address is put in before the words are written down: it leads to the very version that is
judged, and what is written down is what the customer gets.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from attribution import tracked_links
from attribution.tracked_links import PATH, Sending
from content.sendable import Shape
from outbound.attachments import Attached, Stock
from outbound.check import Passed
from outbound.facts import Saying

# A task carries one text for all its customers: they share the link of SOP and RM.
SHARED = "sop"


async def addressed(
    session: AsyncSession, stock: Stock, saying: Saying, source_id: object, now: datetime
) -> Saying:
    """The same words; their cards lead to links of this one sending."""
    sending = Sending(
        source=saying.source,
        source_id=str(source_id),
        channel=saying.channel.value,
        staff_id=saying.staff_id,
        customer_id=saying.customer_id,
        contact="" if saying.chat_id else saying.contact,
        chat_id=saying.chat_id,
    )
    return await _with_links(session, stock, saying, sending, now)


async def addressed_to_one(
    session: AsyncSession, stock: Stock, passed: Passed, source_id: object, now: datetime
) -> Passed:
    """As `addressed`, for words that were judged already."""
    saying = await addressed(session, stock, passed.saying, source_id, now)
    return replace(passed, saying=saying)


async def addressed_to_many(
    session: AsyncSession, stock: Stock, passed: Passed, source_id: object, now: datetime
) -> Passed:
    """For words that go to many customers in one task: who of them opens it, no link can tell."""
    saying = passed.saying
    sending = Sending(SHARED, str(source_id), saying.channel.value, saying.staff_id)
    return replace(passed, saying=await _with_links(session, stock, saying, sending, now))


async def _with_links(
    session: AsyncSession, stock: Stock, saying: Saying, sending: Sending, now: datetime
) -> Saying:
    if not stock.tracks or not any(one.shape is Shape.LINK for one in saying.attachments):
        return saying
    carried = [await _linked(session, stock, one, sending, now) for one in saying.attachments]
    return replace(saying, attachments=tuple(carried))


async def _linked(
    session: AsyncSession, stock: Stock, one: Attached, sending: Sending, now: datetime
) -> Attached:
    if one.shape is not Shape.LINK:
        return one
    code = await tracked_links.code_of(session, one.version_id, sending, now)
    return replace(one, url=f"{stock.public_url.rstrip('/')}{PATH}{code}")

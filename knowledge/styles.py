"""Reply style 回复风格: how an RM addresses customers and closes, from approved phrases only.

The phrases are the bank's; an RM picks among them and writes none. They go in by code, after the
wording, and never reach a model.
"""

import re
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Staff
from customers.models import Customer
from knowledge.models import Address, Closing, ReplyStyle, Tone

GREETED = re.compile(r"^(?:您好|你好)[，,。！!]?\s*")
HAN_NAME = re.compile(r"[一-鿿]{2,4}")
TITLED = re.compile(r"[一-鿿]{1,3}(?:女士|先生)")
TITLES = {1: "先生", 2: "女士"}
PLAIN = ReplyStyle(staff_id=UUID(int=0))


@dataclass(frozen=True)
class Choice:
    """A style as typed into the form."""

    address: Address
    tone: Tone
    closing: Closing


def read_choice(address: str, tone: str, closing: str) -> Choice | None:
    """The style typed; None where a word is not one of the approved ones."""
    known = (address in list(Address), tone in list(Tone), closing in list(Closing))
    return Choice(Address(address), Tone(tone), Closing(closing)) if all(known) else None


async def of(session: AsyncSession, staff_id: UUID) -> ReplyStyle:
    """The RM's style; without one, the draft stays as it is."""
    return await session.get(ReplyStyle, staff_id) or PLAIN


async def with_rm(session: AsyncSession, staff_id: UUID) -> tuple[Staff, ReplyStyle]:
    """The RM and their style, asked for together."""
    rows = (
        select(Staff, ReplyStyle)
        .outerjoin(ReplyStyle, col(ReplyStyle.staff_id) == col(Staff.id))
        .where(col(Staff.id) == staff_id)
    )
    rm, style = (await session.execute(rows)).one()
    return rm, style or PLAIN


async def choose(session: AsyncSession, staff_id: UUID, choice: Choice) -> None:
    """Keep the RM's style; the last one counts."""
    values = {"address": choice.address, "tone": choice.tone, "closing": choice.closing}
    row = insert(ReplyStyle).values(staff_id=staff_id, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["staff_id"], set_=values))


def dressed(text: str, style: ReplyStyle, customer: Customer) -> str:
    """The draft as this RM would say it to this customer."""
    opening = _address(style.address, customer) + style.tone.phrase
    body = GREETED.sub("", text) if opening else text
    return f"{opening}{body}{style.closing.phrase}"


def _address(address: Address, customer: Customer) -> str:
    if address is Address.NONE:
        return ""
    called = named(customer) if address is Address.NAMED else ""
    return f"{called}您好，" if called else "您好，"


def named(customer: Customer) -> str:
    """Family name and title; a nickname is nobody's name and says nothing here."""
    if TITLED.fullmatch(customer.name):
        return customer.name
    title = TITLES.get(customer.gender, "")
    return f"{customer.name[0]}{title}" if title and HAN_NAME.fullmatch(customer.name) else ""

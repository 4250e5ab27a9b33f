"""法律保全 reaches every table that holds anything of a customer, today's and those to come."""

from datetime import date
from typing import Any

import psycopg
import pytest
from sqlalchemy import delete, inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from attribution.models import (
    Conversion,
    ConversionState,
    Credit,
    CreditRun,
    Device,
    Dimension,
    Model,
    Opener,
    Opening,
    Touchpoint,
    TouchpointKind,
    TrackedLink,
)
from bank.database import Sessions, plain_url
from bank.models import Role
from bot.models import (
    InboundEvent,
    ServiceAccount,
    ServiceMessage,
    ServiceSession,
    ServiceSpeaker,
    Welcome,
    WelcomeState,
)
from customers import holds
from customers.models import CareAlert, CareKind, Customer, CustomerGroup, GroupMember, Holding
from outbound.models import ConductAlert, Door, OutboundMessage, OutboundState
from tests.builders import MONDAY, a_customer, a_staff, an_approved_material

# Tables about customers that no hold keeps, and why.
NOT_KEPT = {
    "customer_tag": "a copy of what WeCom says today; who set or took one off is in the callbacks",
    "customer_match": "made anew every night from what is kept; what was said is in other tables",
}
# Columns that point to a customer by another name than a foreign key.
BY_ANOTHER_NAME = ("external_userid", "contact", "order_key", "member_id")

THEIRS = """
WITH RECURSIVE link AS (
    SELECT conrelid AS child, confrelid AS parent FROM pg_constraint WHERE contype = 'f'
), theirs AS (
    SELECT attrelid AS id FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE c.relkind = 'r' AND attname = ANY(%s)
    UNION SELECT 'customer'::regclass::oid
    UNION SELECT child FROM link JOIN theirs ON link.parent = theirs.id
)
SELECT DISTINCT id::regclass::text FROM theirs
"""
KEPT = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'kept_%'"


def test_every_table_about_a_customer_is_kept_or_says_why_not(database: str) -> None:
    with psycopg.connect(plain_url(database)) as connection:
        theirs = {name for (name,) in connection.execute(THEIRS, [list(BY_ANOTHER_NAME)])}
        kept = {name for (name,) in connection.execute(KEPT)}
    assert {"follow", "outbound_message", "service_message", "credit"} <= theirs
    assert theirs - kept == NOT_KEPT.keys()
    assert kept <= theirs


async def of_customer(session: AsyncSession, customer: Customer) -> list[SQLModel]:
    """One row in each table that a customer's id alone does not lead to, children first."""
    rm = await a_staff(session, Role.RM)
    contact = str(customer.external_userid)
    group = CustomerGroup(chat_id=f"wr{contact}", owner_userid=rm.userid)
    account = ServiceAccount(open_kfid=f"wk{contact}", name="客服")
    holding = Holding(
        customer_id=customer.id, product_code="P1", amount_cents=100, bought_on=date(2026, 1, 5)
    )
    point = Touchpoint(
        customer_id=customer.id, staff_id=rm.id, kind=TouchpointKind.REPLY_SENT,
        channel="single_chat", at=MONDAY, source="message", source_id=contact,
    )  # fmt: skip
    bought = Conversion(
        source="core", reference=contact, bank_no=str(customer.bank_no), customer_id=customer.id,
        product_code="P1", amount_cents=100, at=MONDAY, imported_at=MONDAY,
        state=ConversionState.CREDITED,
    )  # fmt: skip
    run = CreditRun(model=Model.FIRST, window_days=30, at=MONDAY, conversions=1, amount_cents=100)
    said = OutboundMessage(
        at=MONDAY, door=Door.WELCOME, channel="single_chat", source="welcome", source_id=contact,
        contact=contact, text="您好", text_hash="x", writer="approved",
        state=OutboundState.REFUSED, reasons=["x"],
    )  # fmt: skip
    welcome = Welcome(
        code_digest=contact.encode(), userid=rm.userid, external_userid=contact,
        state=WelcomeState.SENT, created_at=MONDAY, received_at=MONDAY,
    )  # fmt: skip
    chat = ServiceSession(
        open_kfid=account.open_kfid, external_userid=contact, opened_at=MONDAY, changed_at=MONDAY
    )
    care = CareAlert(
        kind=CareKind.COMPLAINT, customer_id=customer.id, staff_id=rm.id, source=contact,
        sentence="我要投诉", raised_at=MONDAY,
    )  # fmt: skip
    event = InboundEvent(digest=contact.encode(), order_key=group.chat_id, received_at=MONDAY)
    session.add_all([group, account, holding, point, bought, run, said, welcome, event, care])
    await session.flush()
    session.add(chat)
    await session.flush()
    article = await an_approved_material(session)
    theirs: dict[str, Any] = {
        "source": "welcome",
        "version_id": article.id,
        "channel": "single_chat",
        "made_at": MONDAY,
    }
    link = TrackedLink(
        code=f"{contact}{'x' * 32}", source_id=f"{contact}/1", contact=contact, **theirs
    )
    bare = TrackedLink(
        code=f"{contact}{'y' * 32}", source_id=f"{contact}/2", contact=contact, **theirs
    )
    session.add_all([link, bare])
    await session.flush()
    opening = Opening(
        code=link.code, version_id=article.id, material_id=article.material_id, at=MONDAY,
        device=Device.PHONE, opener=Opener.STRANGER, timed=True,
    )  # fmt: skip
    session.add(opening)
    member = GroupMember(
        group_id=group.id, member_id=contact, customer_id=customer.id, joined_at=MONDAY
    )
    share = Credit(
        run_id=run.id, conversion_id=bought.id, model=Model.FIRST, dimension=Dimension.RM,
        subject_id=rm.id, touchpoint_id=int(point.id or 0), cents=100,
    )  # fmt: skip
    alert = ConductAlert(message_id=said.id, digest=contact, raised_at=MONDAY)
    told = ServiceMessage(
        msgid=contact, session_id=chat.id, speaker=ServiceSpeaker.CUSTOMER, kind="text",
        text="在吗", sent_at=MONDAY, stored_at=MONDAY,
    )  # fmt: skip
    session.add_all([member, share, alert, told])
    await session.flush()
    return [share, alert, told, event, member, chat, welcome, said, holding, care, opening, bare]


async def test_rows_that_belong_to_a_held_customer_by_whatever_way_stay(
    sessions: Sessions,
) -> None:
    async with sessions.begin() as session:
        kept, free = await a_customer(session), await a_customer(session)
        theirs, others = await of_customer(session, kept), await of_customer(session, free)
        assert not await holds.place(session, kept, "案件", by="zhoulan", now=MONDAY)
    for row in theirs:
        async with sessions() as session:
            with pytest.raises(IntegrityError, match="under legal hold"):
                await session.execute(that(row))
    async with sessions.begin() as session:
        for row in others:
            await session.execute(that(row))
        await holds.release(session, kept, "已结案", by="zhoulan", now=MONDAY)
        for row in theirs:
            await session.execute(that(row))


def that(row: SQLModel):  # type: ignore[no-untyped-def]
    """The statement that would remove this row."""
    table = type(row)
    [key] = inspect(table).primary_key
    return delete(table).where(key == getattr(row, key.name))

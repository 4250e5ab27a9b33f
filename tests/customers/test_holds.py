"""法律保全: while it lasts nothing of the customer goes, whoever wants to remove it."""

from datetime import timedelta

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.database import Sessions
from bank.models import Role
from bank.settings import Settings
from bot.inbound import retention
from bot.models import InboundEvent, InboundState, Message, Speaker
from customers import holds
from customers.models import Consent, Customer, CustomerGroup, Follow, GroupMember, LegalHold
from tests.builders import MONDAY, a_customer, a_follow, a_staff
from tests.conftest import Product

REASON = "案件 2026-118，纪检部门要求"


async def held(session: AsyncSession) -> Customer:
    """A customer under legal hold."""
    customer = await a_customer(session)
    assert await holds.place(session, customer, REASON, by="zhoulan", now=MONDAY) == ""
    await session.commit()
    return customer


async def test_a_hold_is_placed_once_and_released_once(session: AsyncSession) -> None:
    customer = await held(session)
    again = await holds.place(session, customer, REASON, by="lixin", now=MONDAY)
    assert "已在法律保全中" in again
    later = MONDAY + timedelta(days=30)
    assert await holds.release(session, customer, "已结案", by="lixin", now=later) == ""
    assert "不在法律保全中" in await holds.release(
        session, customer, "已结案", by="lixin", now=later
    )
    [kept] = await holds.history(session, customer.id)
    assert (kept.placed_by, kept.released_by, kept.released_at) == ("zhoulan", "lixin", later)
    lines = await audit.history(session, "hold", kept.id)
    assert [(line.action, line.detail["reason"]) for line in lines] == [
        ("customers:hold:place", REASON),
        ("customers:hold:release", "已结案"),
    ]


@pytest.mark.parametrize("reason", ["", "a\0b", "长" * 201])
async def test_a_hold_needs_a_reason(session: AsyncSession, reason: str) -> None:
    customer = await a_customer(session)
    assert await holds.place(session, customer, reason, by="zhoulan", now=MONDAY)
    assert await holds.of(session, customer.id) is None


async def test_the_database_itself_keeps_one_hold_a_customer(session: AsyncSession) -> None:
    customer = await held(session)
    session.add(LegalHold(customer_id=customer.id, reason="x", placed_by="a", placed_at=MONDAY))
    with pytest.raises(IntegrityError, match="uq_legal_hold_in_force"):
        await session.commit()


async def test_rows_of_a_held_customer_cannot_be_deleted_and_others_can(
    sessions: Sessions,
) -> None:
    async with sessions() as session:
        rm = await a_staff(session, Role.RM)
        kept, free = await held(session), await a_customer(session)
        for customer in (kept, free):
            await a_follow(session, rm, customer)
            session.add(
                Message(
                    msgid=f"m-{customer.id}",
                    staff_id=rm.id,
                    customer_id=customer.id,
                    speaker=Speaker.CUSTOMER,
                    text="赎回几天到账",
                    sent_at=MONDAY,
                    stored_at=MONDAY,
                )
            )
        await session.commit()
    for table in (Message, Consent, Follow, LegalHold):
        async with sessions() as session:
            with pytest.raises(IntegrityError, match="under legal hold"):
                await session.execute(delete(table).where(col(table.customer_id) == kept.id))
    async with sessions.begin() as session:
        for table in (Message, Consent, Follow):
            await session.execute(delete(table).where(col(table.customer_id) == free.id))
        await session.execute(delete(Customer).where(col(Customer.id) == free.id))
    async with sessions() as session:
        assert [c.id for c in (await session.execute(select(Customer))).scalars()] == [kept.id]


async def a_callback(session: AsyncSession, order_key: str) -> None:
    """A handled callback that still has its text."""
    event = InboundEvent(
        digest=order_key.encode(),
        sealed=b"text",
        order_key=order_key,
        received_at=MONDAY,
        state=InboundState.DONE,
        handled_at=MONDAY,
    )
    session.add(event)


async def texts(session: AsyncSession) -> set[str]:
    """The order keys of the callbacks that still have their text."""
    query = select(InboundEvent.order_key).where(col(InboundEvent.sealed).is_not(None))
    return set((await session.execute(query)).scalars())


async def test_callback_texts_about_a_held_customer_outlive_their_days(
    session: AsyncSession, settings: Settings
) -> None:
    kept, free = await held(session), await a_customer(session)
    group = CustomerGroup(chat_id="wrGROUP", owner_userid="staff1")
    session.add(group)
    await session.flush()
    session.add(
        GroupMember(
            group_id=group.id,
            member_id=str(kept.external_userid),
            customer_id=kept.id,
            joined_at=MONDAY,
            left_at=MONDAY,
        )
    )
    theirs = {str(kept.external_userid), "wrGROUP"}
    for order_key in (*theirs, str(free.external_userid), "wrOTHER", ""):
        await a_callback(session, order_key)
    await session.flush()
    late = MONDAY + timedelta(days=settings.raw_body_days, seconds=1)
    assert await retention.purge(session, settings, late) == 3
    assert await texts(session) == theirs
    await holds.release(session, kept, "已结案", by="zhoulan", now=late)
    assert await retention.purge(session, settings, late) == 2
    assert await texts(session) == set()


async def test_compliance_places_and_releases_it_on_the_portrait(
    product: Product, session: AsyncSession
) -> None:
    customer = await a_customer(session)
    compliance = await a_staff(session, Role.COMPLIANCE)
    auditor = await a_staff(session, Role.AUDITOR)
    await session.commit()
    address = f"/customers/{customer.id}"
    desk = await product.client(compliance)
    assert f"{address}/hold" in await desk.text(address)
    assert "未保全" in await desk.text(f"{address}/hold")
    assert (await desk.post(f"{address}/hold/place", {"reason": REASON})).status == 303
    looking = await (await product.client(auditor)).text(f"{address}/hold")
    assert "保全中" in looking
    assert REASON in looking
    assert "解除法律保全" not in looking
    refused = await desk.post(f"{address}/hold/release", {"reason": " "})
    assert "请写明依据" in refused.headers["Location"]
    assert (await desk.post(f"{address}/hold/release", {"reason": "已结案"})).status == 303
    assert "曾保全" in await desk.text(f"{address}/hold")


async def test_a_hold_warns_nobody(product: Product, session: AsyncSession) -> None:
    """The customer's own RM and his manager learn nothing of it, from the page or its address."""
    rm = await a_staff(session, Role.RM)
    hq = await a_staff(session, Role.HQ)
    customer = await held(session)
    await a_follow(session, rm, customer)
    await session.commit()
    for person in (rm, hq):
        visitor = await product.client(person)
        page = await visitor.text(f"/customers/{customer.id}")
        assert "保全" not in page
        assert f"/customers/{customer.id}/hold" not in page
        assert (await visitor.get(f"/customers/{customer.id}/hold")).status == 403
        assert "保全" not in await visitor.text(f"/attribution/customer/{customer.id}")
        placed = await visitor.post(f"/customers/{customer.id}/hold/place", {"reason": "x"})
        assert placed.status == 403

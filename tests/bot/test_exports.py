"""S-20 for lists of customers: a hundred at once, more with a second person, each row marked."""

import csv
import io
from datetime import date, timedelta
from urllib.parse import unquote

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank.models import AuditEntry, Role, Staff
from bot.models import ExportRequest
from content.models import Version
from customers.models import Customer, Holding
from desk.downloads import ALONE
from tests.builders import (
    MONDAY,
    a_customer,
    a_follow,
    a_product,
    a_staff,
    an_approved_material,
)
from tests.conftest import Product, Visitor


async def customers_of(session: AsyncSession, rm: Staff, count: int) -> list[Customer]:
    """So many customers of that RM."""
    found = [await a_customer(session, name=f"客户{number}") for number in range(count)]
    for customer in found:
        await a_follow(session, rm, customer)
    return found


async def received(
    session: AsyncSession, rm: Staff, customers: list[Customer], version: Version, tag: str = ""
) -> None:
    """Each of them got a reply with that version."""
    for customer in customers:
        await touchpoints.record(
            session,
            touchpoints.Seen(
                customer.id, rm.id, TouchpointKind.REPLY_SENT, "single_chat",
                MONDAY - timedelta(hours=1), "suggestion", f"{customer.id}{tag}", version.id,
            ),
        )  # fmt: skip


async def rows_of(visitor: Visitor, path: str) -> list[list[str]]:
    """The rows of a file as downloaded, with its headings."""
    answer = await visitor.post(path)
    assert answer.status == 200, unquote(answer.headers.get("Location", ""))
    return list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig"))))


async def the_request(session: AsyncSession) -> ExportRequest:
    """The only wish there is."""
    fresh = select(ExportRequest).execution_options(populate_existing=True)
    return (await session.execute(fresh)).scalar_one()


async def test_a_long_list_of_recipients_needs_a_second_person_and_only_who_asked_gets_it(
    product: Product, session: AsyncSession
) -> None:
    rm, other = await a_staff(session, Role.RM, name="王敏"), await a_staff(session, Role.RM)
    lixin = await a_staff(session, Role.AUDITOR, name="李欣")
    version = await an_approved_material(session, title="赎回说明")
    people = await customers_of(session, rm, ALONE + 1)
    await received(session, rm, people, version)
    await session.commit()
    address = f"/content/versions/{version.id}/recipients"
    desk, auditor = await product.client(rm), await product.client(lixin)
    assert "须由另一位合规或审计同事同意" in await desk.text(address)
    bare = await desk.post(f"{address}/export")
    assert bare.headers["Location"].startswith(address)
    assert "须写明用途" in unquote(bare.headers["Location"])
    assert (await desk.post(f"{address}/export", {"reason": "逐一告知"})).status == 303
    asked = await the_request(session)
    own = f"/system/exports/{asked.id}"
    assert (asked.rows, asked.asked_by) == (ALONE + 1, rm.userid)
    assert (await desk.post(f"{own}/file")).status == 404
    assert (await desk.post(f"{own}/agree")).status == 403
    assert "《赎回说明》" not in await (await product.client(other)).text("/system/exports")
    listed = await auditor.text("/system/exports")
    assert "素材接收名单" in listed
    assert "《赎回说明》" in listed
    assert (await auditor.post(f"{own}/agree")).status == 303
    for stranger in (auditor, await product.client(other)):
        assert (await stranger.post(f"{own}/file")).status == 404
    headings, *rows = await rows_of(desk, f"{own}/file")
    assert (headings[0], headings[-1], len(rows)) == ("客户", "导出标记", ALONE + 1)
    mark = f"王敏（{rm.userid}）2026-11-23 10:00 导出，申请 {str(asked.id)[:8]}"
    assert {row[-1] for row in rows} == {mark}
    book = select(AuditEntry.action).order_by(col(AuditEntry.id))
    assert list((await session.execute(book)).scalars())[-3:] == [
        "bot:export:ask", "bot:export:agree", "content:version:recipients",
    ]  # fmt: skip


async def test_what_grew_after_the_request_is_not_handed_out(
    product: Product, session: AsyncSession
) -> None:
    rm, lixin = await a_staff(session, Role.RM), await a_staff(session, Role.AUDITOR)
    version = await an_approved_material(session)
    people = await customers_of(session, rm, ALONE + 1)
    await received(session, rm, people, version)
    await session.commit()
    desk, auditor = await product.client(rm), await product.client(lixin)
    await desk.post(f"/content/versions/{version.id}/recipients/export", {"reason": "告知"})
    asked = await the_request(session)
    await auditor.post(f"/system/exports/{asked.id}/agree")
    await received(session, rm, people[:1], version, tag="late")
    await session.commit()
    answer = await desk.post(f"/system/exports/{asked.id}/file")
    assert answer.status == 303
    assert "重新申请" in unquote(answer.headers["Location"])
    assert (await the_request(session)).fetched_at is None


async def test_holders_of_a_product_are_exported_as_far_as_one_may_see_them(
    product: Product, session: AsyncSession
) -> None:
    rm, other = await a_staff(session, Role.RM, name="王敏"), await a_staff(session, Role.RM)
    editor = await a_staff(session, Role.EDITOR)
    sold = await a_product(session, rating=4)
    for owner, name in ((rm, "=我的"), (other, "他的")):
        customer = await a_customer(session, name=name)
        await a_follow(session, owner, customer)
        session.add(
            Holding(
                customer_id=customer.id, product_code=sold.code, amount_cents=1_234_500,
                bought_on=date(2026, 1, 5),
            )
        )  # fmt: skip
    await session.commit()
    desk = await product.client(rm)
    part = await desk.text(f"/customers/holders/{sold.code}?rating=4")
    assert f"/products/{sold.code}/holders/export" in part
    headings, *rows = await rows_of(desk, f"/products/{sold.code}/holders/export")
    assert [row[0] for row in rows] == ["'=我的"]
    told = dict(zip(headings, rows[0], strict=True))
    assert told["持有金额（元）"] == "12,345.00"
    assert told["是否匹配"] == "须告知并重新匹配"
    assert told["导出标记"].startswith("王敏")
    line = select(AuditEntry).where(AuditEntry.action == "content:product:holders")
    assert (await session.execute(line)).scalar_one().subject_id == sold.code
    refused = await (await product.client(editor)).post(f"/products/{sold.code}/holders/export")
    assert refused.status == 403


async def test_many_holders_need_a_second_person_too(
    product: Product, session: AsyncSession
) -> None:
    hq, zhoulan = await a_staff(session, Role.HQ), await a_staff(session, Role.COMPLIANCE)
    sold = await a_product(session)
    for customer in await customers_of(session, await a_staff(session, Role.RM), ALONE + 1):
        session.add(
            Holding(
                customer_id=customer.id, product_code=sold.code, amount_cents=100,
                bought_on=date(2026, 1, 5),
            )
        )  # fmt: skip
    await session.commit()
    desk, compliance = await product.client(hq), await product.client(zhoulan)
    await desk.post(f"/products/{sold.code}/holders/export", {"reason": "到期承接"})
    asked = await the_request(session)
    assert sold.name in await compliance.text("/system/exports")
    assert (await compliance.post(f"/system/exports/{asked.id}/refuse")).status == 303
    assert (await desk.post(f"/system/exports/{asked.id}/file")).status == 404
    await desk.post(f"/products/{sold.code}/holders/export", {"reason": "到期承接，第二次"})
    again = select(ExportRequest).where(col(ExportRequest.agreed).is_(None))
    second = (await session.execute(again)).scalar_one()
    await compliance.post(f"/system/exports/{second.id}/agree")
    assert len(await rows_of(desk, f"/system/exports/{second.id}/file")) == 1 + ALONE + 1

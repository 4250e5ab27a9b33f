"""Everyone who received a withdrawn version, so that they can be told."""

import csv
import io
import re
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution import touchpoints
from attribution.models import TouchpointKind
from bank.models import AuditEntry, Role
from bot import recipients
from bot.models import ServiceAccount, ServiceMessage, ServiceSession, ServiceSpeaker
from content.models import Version
from desk.signed import Signed
from knowledge.models import Suggestion, SuggestionState
from tests.builders import (
    MONDAY,
    a_branch,
    a_customer,
    a_follow,
    a_staff,
    an_approved_material,
)
from tests.conftest import Product


async def test_replies_touches_quotations_and_service_answers_are_all_listed(
    product: Product, session: AsyncSession
) -> None:
    branch = await a_branch(session)
    rm = await a_staff(session, Role.RM, branch=branch, name="王敏")
    other = await a_staff(session, Role.RM, branch=branch, name="陈浩")
    compliance = await a_staff(session, Role.COMPLIANCE)
    version = await an_approved_material(session, title="赎回说明")
    beside = await an_approved_material(session, title="另一份")
    people = [
        await a_customer(session, name=name) for name in ("甲女士", "乙先生", "丙女士", "=丁")
    ]
    await a_follow(session, rm, people[0])
    kinds = (TouchpointKind.REPLY_SENT, TouchpointKind.TOUCH_DELIVERED)
    for number, (customer, kind) in enumerate(zip((people[0], people[3]), kinds, strict=True)):
        await touchpoints.record(
            session,
            touchpoints.Seen(
                customer.id, rm.id if number == 0 else other.id, kind, "single_chat",
                MONDAY - timedelta(hours=number), "suggestion", str(number), version.id,
            ),
        )  # fmt: skip
    # A question the customer wrote is nothing they received; another version neither.
    for source, version_id in (("message", None), ("touch", beside.id)):
        seen = touchpoints.Seen(
            people[0].id, rm.id, TouchpointKind.TOUCH_DELIVERED, "single_chat", MONDAY,
            source, "x", version_id,
        )  # fmt: skip
        await touchpoints.record(session, seen)
    session.add(
        Suggestion(
            question_key="typed:1", customer_id=people[1].id, staff_id=other.id,
            channel="single_chat", question="?", created_at=MONDAY, state=SuggestionState.EDITED,
            tier="answer", confidence=1, draft="", writer="quoting", generation="g",
            version_id=beside.id, decided_at=MONDAY,
            citations=[{"version_id": str(version.id)}, {"version_id": str(beside.id)}],
        )
    )  # fmt: skip
    session.add(ServiceAccount(open_kfid="wk1", name="客服"))
    await session.flush()
    for contact, nickname in ((people[2].external_userid, "丙"), ("wmSTRANGER", "路人")):
        chat = ServiceSession(
            open_kfid="wk1", external_userid=contact, nickname=nickname,
            opened_at=MONDAY, changed_at=MONDAY,
        )  # fmt: skip
        session.add(chat)
        await session.flush()
        for speaker, failure in ((ServiceSpeaker.ROBOT, ""), (ServiceSpeaker.ROBOT, "发送失败")):
            session.add(
                ServiceMessage(
                    msgid=f"{nickname}{failure}", session_id=chat.id, speaker=speaker, kind="text",
                    text="…", sent_at=MONDAY, stored_at=MONDAY, failure=failure,
                    version_ids=[str(version.id)],
                )
            )  # fmt: skip
    await session.commit()
    address = f"/content/versions/{version.id}/recipients"
    desk = await product.client(compliance)
    page = await desk.text(address)
    for name in ("甲女士", "乙先生", "丙女士", "=丁", "路人"):
        assert name in page
    assert "5 位客户收到过" in page
    answer = await desk.post(f"{address}/export")
    rows = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig"))))
    assert rows[0][:2] == ["客户", "客户编号"]
    assert sorted(row[0] for row in rows[1:]) == sorted(
        ["甲女士", "乙先生", "丙女士", "'=丁", "路人"]
    )
    assert {row[6] for row in rows[1:]} == {
        f"{compliance.name}（{compliance.userid}）2026-11-23 10:00 导出"
    }
    lines = select(AuditEntry).where(AuditEntry.action == "content:version:recipients")
    [line] = (await session.execute(lines)).scalars()
    assert (line.actor, line.detail["read"]) == (compliance.userid, 5)


async def test_an_rm_sees_only_customers_of_the_own_book(
    product: Product, session: AsyncSession
) -> None:
    rm, other = await a_staff(session, Role.RM), await a_staff(session, Role.RM)
    version = await an_approved_material(session)
    mine, theirs = await a_customer(session, name="我的"), await a_customer(session, name="他的")
    await a_follow(session, rm, mine)
    await a_follow(session, other, theirs)
    for customer in (mine, theirs):
        seen = touchpoints.Seen(
            customer.id, rm.id, TouchpointKind.REPLY_SENT, "single_chat", MONDAY,
            "suggestion", customer.name, version.id,
        )  # fmt: skip
        await touchpoints.record(session, seen)
    await session.commit()
    page = await (await product.client(rm)).text(f"/content/versions/{version.id}/recipients")
    assert "我的" in page
    assert "他的" not in page
    assert "1 位客户" in page


async def test_a_long_list_is_read_page_by_page_and_in_portions_without_a_row_twice(
    product: Product, session: AsyncSession
) -> None:
    compliance, rm = await a_staff(session, Role.COMPLIANCE), await a_staff(session, Role.RM)
    version = await an_approved_material(session)
    for number in range(101):
        customer = await a_customer(session, name=f"客户{number:03d}")
        # All at one moment: only the rest of the order tells the rows apart.
        seen = touchpoints.Seen(
            customer.id, rm.id, TouchpointKind.REPLY_SENT, "single_chat", MONDAY,
            "suggestion", str(number), version.id,
        )  # fmt: skip
        await touchpoints.record(session, seen)
    await session.commit()
    desk = await product.client(compliance)
    address = f"/content/versions/{version.id}/recipients"
    pages = [await desk.text(f"{address}?page={number}") for number in (1, 2, 3)]
    named = [set(re.findall(r"客户\d{3}", page)) for page in pages]
    assert [len(names) for names in named] == [50, 50, 1]
    assert len(set.union(*named)) == 101
    assert all("101 位客户收到过" in page for page in pages)
    who = Signed(compliance.id, "c", "c", frozenset({Role.COMPLIANCE}), None, "")
    sent = select(Version.id).where(Version.id == version.id)
    parts = [part async for part in recipients.portions(session, sent, who, size=40)]
    assert [len(part) for part in parts] == [40, 40, 21]
    assert len({one.customer for part in parts for one in part}) == 101


async def test_nobody_received_it_is_said_and_a_draft_has_no_list(
    product: Product, session: AsyncSession
) -> None:
    compliance = await a_staff(session, Role.COMPLIANCE)
    version = await an_approved_material(session)
    await session.commit()
    desk = await product.client(compliance)
    page = await desk.text(f"/content/versions/{version.id}/recipients")
    assert "没有客户收到过这一版本" in page
    missing = "/content/versions/00000000-0000-4000-8000-000000000000/recipients"
    assert (await desk.get(missing)).status == 404

"""Content gaps: grouped by meaning, from open over being written to answered, or put aside."""

import re
from datetime import datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role, Staff
from content.models import Material
from customers.models import Customer
from knowledge import gap_rows, gaps
from knowledge.encoder import StaticEncoder
from knowledge.gaps import ALIKE, grouped
from knowledge.models import (
    ContentGap,
    GapQuestion,
    GapState,
    HeardQuestion,
    Suggestion,
    SuggestionState,
)
from tests.builders import MONDAY, a_customer, a_follow, a_staff, an_approved_material
from tests.conftest import Product

VAULT = "保管箱一年租金多少"


async def asked(
    session: AsyncSession,
    text: str,
    customer: Customer,
    rm: Staff,
    at: datetime = MONDAY,
    **more: int,
) -> Suggestion:
    """A question of this customer that nothing answered."""
    row = Suggestion(
        question_key=f"message:{uuid4()}", customer_id=customer.id, staff_id=rm.id,
        channel="single_chat", question=text, unanswered=text, created_at=at,
        state=SuggestionState.NO_MATCH,
        tier="none", confidence=0.0, draft="", writer="", generation="g", **more,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    return row


@pytest.fixture
async def rm(session: AsyncSession) -> Staff:
    return await a_staff(session, Role.RM)


async def caught_up(product: Product, session: AsyncSession) -> int:
    """One round of the loop that follows what was asked."""
    await session.commit()
    async with product.parts.sessions.begin() as own:
        await product.parts.index.catch_up(own, product.clock())
        return await gaps.catch_up(own, product.parts.index, product.clock())


async def the_gap(session: AsyncSession) -> ContentGap:
    return (
        await session.execute(select(ContentGap).execution_options(populate_existing=True))
    ).scalar_one()


def test_a_question_joins_the_nearest_wording_that_is_alike_and_no_other() -> None:
    turn = np.arccos(ALIKE)
    angles = [0.0, turn - 0.01, 2 * (turn - 0.01), 2 * (turn - 0.01) + turn + 0.01]
    vectors = np.array([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)
    assert grouped([], vectors) == [0, 0, 0, 1]
    assert grouped([7], vectors) == [7, 7, 8]


async def test_the_same_questions_are_one_gap_with_its_customers_counted(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    first, second = await a_customer(session), await a_customer(session)
    for number, customer in enumerate((first, first, second)):
        await asked(session, VAULT, customer, rm, MONDAY + timedelta(hours=number))
    await asked(session, "保管箱一年的租金是多少", second, rm, MONDAY + timedelta(hours=5))
    await asked(session, "停车场周末收不收费", second, rm)
    await asked(session, "停车场周末收不收费", second, rm, variant=1)
    assert await caught_up(product, session) == 5
    found = (await gap_rows.gaps(session, GapState.OPEN)).rows
    assert [(row.gap.question, row.times, row.customers) for row in found] == [
        (VAULT, 4, 2),
        ("停车场周末收不收费", 1, 1),
    ]
    assert found[0].newest == MONDAY + timedelta(hours=5)
    assert found[0].examples == ["保管箱一年的租金是多少", VAULT]


async def test_questions_are_grouped_alike_whichever_encoder_searches(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    # One to which every text is the same.
    product.parts.index.encoder = StaticEncoder(np.ones((8, 4)), np.ones(8))
    customer = await a_customer(session)
    for question in (VAULT, "保管箱一年的租金是多少", "停车场周末收不收费"):
        await asked(session, question, customer, rm)
    assert await caught_up(product, session) == 3
    found = (await gap_rows.gaps(session, GapState.OPEN)).rows
    assert [row.times for row in found] == [2, 1]


async def test_grouping_again_changes_nothing_and_a_late_question_joins(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    customer = await a_customer(session)
    await asked(session, VAULT, customer, rm)
    assert await caught_up(product, session) == 1
    assert await caught_up(product, session) == 0
    await asked(session, VAULT, customer, rm, MONDAY + timedelta(days=1))
    assert await caught_up(product, session) == 1
    assert len((await session.execute(select(GapQuestion))).all()) == 2
    await the_gap(session)


async def test_asked_in_a_chat_and_in_a_group_it_is_one_gap_until_both_are_answered(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    customer = await a_customer(session)
    await asked(session, VAULT, customer, rm)
    for number, member in enumerate((str(customer.external_userid), "wmSTRANGER")):
        heard = HeardQuestion(
            source_id=uuid4(), member_id=member, question="保管箱一年的租金是多少",
            customer_id=None if number else customer.id, created_at=MONDAY + timedelta(hours=1),
        )  # fmt: skip
        session.add(heard)
    words = {
        "body": "保管箱按箱型收取年租金，以网点公示为准。",
        "questions": (VAULT, "租保管箱要多少钱"),
    }
    await an_approved_material(session, title="保管箱租金", channels=("single_chat",), **words)
    assert await caught_up(product, session) == 3
    [row] = (await gap_rows.gaps(session, GapState.OPEN)).rows
    assert (row.times, row.customers, row.in_groups) == (3, 2, 2)
    assert row.examples == ["保管箱一年的租金是多少", VAULT]
    [found] = (await gap_rows.gaps(session, GapState.OPEN, text="租金是")).rows
    assert found.gap.id == row.gap.id
    await an_approved_material(session, title="保管箱租金（群用）", channels=("group",), **words)
    await caught_up(product, session)
    assert (await the_gap(session)).state is GapState.ANSWERED


FORM = {
    "title": "保管箱租金", "kind": "faq", "use": "accompany",
    "body": "保管箱按箱型收取年租金，以网点公示为准。",
    "questions": f"{VAULT}\n租保管箱要多少钱\n保管箱怎么收费",
}  # fmt: skip


async def test_a_gap_is_written_for_and_answered_by_what_goes_live(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    editor = await a_staff(session, Role.EDITOR)
    await asked(session, VAULT, await a_customer(session), rm)
    await caught_up(product, session)
    gap = await the_gap(session)
    desk = await product.client(editor)
    page = await desk.text("/gaps")
    address = f"/content/new?gap={gap.id}&amp;question=%E4%BF%9D"
    assert address in page
    form = await desk.text(f"/content/new?gap={gap.id}&question={VAULT}")
    assert f'name="gap" value="{gap.id}"' in form
    assert f"\n{VAULT}</textarea>" in form

    saved = await desk.post("/content/new", FORM | {"gap": str(gap.id)})
    assert saved.status == 303, await saved.text()
    await caught_up(product, session)
    material = (await session.execute(select(Material))).scalar_one()
    gap = await the_gap(session)
    assert (gap.state, gap.material_id) == (GapState.WRITING, material.id)
    assert "《保管箱租金》" in await desk.text("/gaps?state=writing")

    live = await an_approved_material(
        session, title="保管箱租金", body=FORM["body"], questions=FORM["questions"].splitlines()
    )
    await caught_up(product, session)
    gap = await the_gap(session)
    assert (gap.state, gap.material_id) == (GapState.ANSWERED, live.material_id)


async def test_an_answer_that_ends_opens_the_gap_again(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    approver = await a_staff(session, Role.APPROVER)
    live = await an_approved_material(
        session, title="保管箱租金", body=FORM["body"], questions=FORM["questions"].splitlines()
    )
    await asked(session, VAULT, await a_customer(session), rm)
    await caught_up(product, session)
    assert (await the_gap(session)).state is GapState.ANSWERED
    desk = await product.client(approver)
    gone = await desk.post(f"/content/versions/{live.id}/withdraw", {"reason": "停办"})
    assert gone.status == 303
    await caught_up(product, session)
    gap = await the_gap(session)
    assert (gap.state, gap.material_id) == (GapState.OPEN, None)


def here(page: str) -> str:
    """What the page's forms keep of where one is."""
    found = re.search(r'/dismiss\?([^"]*)"', page)
    assert found
    return found[1].replace("&amp;", "&")


async def test_a_gap_is_put_aside_with_a_reason_and_taken_up_again(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    editor, compliance = (
        await a_staff(session, Role.EDITOR),
        await a_staff(session, Role.COMPLIANCE),
    )
    await asked(session, VAULT, await a_customer(session), rm)
    await caught_up(product, session)
    gap = await the_gap(session)
    desk = await product.client(editor)
    without = await desk.post(f"/gaps/{gap.id}/dismiss", {"reason": " "})
    assert without.status == 422
    assert "请写明不处理的原因" in await without.text()
    listed = await desk.text("/gaps?sort=newest")
    done = await desk.post(f"/gaps/{gap.id}/dismiss?{here(listed)}", {"reason": "由网点答复"})
    assert done.status == 303
    assert done.headers["Location"].startswith("/gaps?state=open&sort=newest&page=1&done=")
    await caught_up(product, session)
    assert (await the_gap(session)).state is GapState.DISMISSED
    assert "由网点答复" in await desk.text("/gaps?state=dismissed")
    again = await desk.post(f"/gaps/{gap.id}/dismiss", {"reason": "由网点答复"})
    assert again.status == 422
    watching = await product.client(compliance)
    assert (await watching.post(f"/gaps/{gap.id}/reopen")).status == 403
    assert (await desk.post(f"/gaps/{gap.id}/reopen")).status == 303
    assert (await the_gap(session)).state is GapState.OPEN


async def test_the_number_opens_the_questions_of_ones_own_customers(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    mine, other = await a_customer(session, name="赵女士"), await a_customer(session, name="钱先生")
    await a_follow(session, rm, mine)
    for customer in (mine, other):
        await asked(session, VAULT, customer, rm)
    await caught_up(product, session)
    gap = await the_gap(session)
    compliance = await a_staff(session, Role.COMPLIANCE)
    await session.commit()
    watching = await product.client(compliance)
    assert f'href="/suggestions?gap={gap.id}"' in await watching.text("/gaps")
    assert "共 2 条" in await watching.text(f"/suggestions?gap={gap.id}")
    own = await (await product.client(rm)).text(f"/suggestions?gap={gap.id}")
    assert "赵女士" in own
    assert "钱先生" not in own


async def test_what_only_groups_asked_opens_no_empty_list(
    product: Product, session: AsyncSession, rm: Staff
) -> None:
    heard = HeardQuestion(
        source_id=uuid4(), member_id="wmSTRANGER", question=VAULT, created_at=MONDAY
    )
    session.add(heard)
    await caught_up(product, session)
    gap = await the_gap(session)
    hq = await a_staff(session, Role.HQ)
    await session.commit()
    desk = await product.client(hq)
    page = await desk.text("/gaps")
    assert "客户群 1 次" in page
    assert "/suggestions?gap=" not in page
    await asked(session, VAULT, await a_customer(session), rm)
    await caught_up(product, session)
    assert f'href="/suggestions?gap={gap.id}">2<' in await desk.text("/gaps")
    listed = await desk.text(f"/suggestions?gap={gap.id}")
    assert "共 1 条" in listed
    assert "客户群里的提问在" in listed

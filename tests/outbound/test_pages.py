"""发出记录: found by its filters, told whole on its page, open to compliance and audit alone."""

import pytest
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from content.models import State
from outbound import records
from tests.builders import a_staff
from tests.conftest import Product, Visitor
from tests.outbound.worlds import World, a_world

BLOCKED = "您好，这款产品保本保息，您放心买。"
PATH = "/system/outbound"


@pytest.fixture
async def world(session: AsyncSession) -> World:
    """Something was sent, something edited waits, something was refused."""
    made = await a_world(session)
    await made.cleared(source="s1")
    await records.sent(session, "suggestion", "s1", made.now)
    await made.cleared("李女士，" + made.version.body, source="s2")
    await made.refused(BLOCKED)
    await session.commit()
    return made


async def auditor(product: Product, session: AsyncSession) -> Visitor:
    """Somebody who may look."""
    staff = await a_staff(session, Role.AUDITOR)
    await session.commit()
    return await product.client(staff)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("state=refused", 1),
        ("state=sent", 1),
        ("edited=1", 2),
        ("door=touch", 0),
        ("days=7", 3),
        ("q=保本保息", 1),
        ("q=王敏", 3),
        ("q=%25", 0),
        ("alerts=1", 0),
        ("state=nonsense&page=99", 3),
    ],
)
async def test_what_was_said_is_found_by_its_filters(
    product: Product, session: AsyncSession, world: World, query: str, found: int
) -> None:
    page = await (await auditor(product, session)).text(f"{PATH}?{query}")
    assert page.count(f'href="{PATH}/') == found
    assert ("没有符合条件的记录" in page) == (found == 0)


async def test_all_uses_of_one_version_are_found(
    product: Product, session: AsyncSession, world: World
) -> None:
    desk = await auditor(product, session)
    assert (await desk.text(f"{PATH}?version={world.version.id}")).count(f'href="{PATH}/') == 3
    assert "没有符合条件的记录" in await desk.text(f"{PATH}?version={world.rm.id}")


async def test_an_empty_book_says_what_will_stand_in_it(
    product: Product, session: AsyncSession
) -> None:
    assert "还没有发出记录" in await (await auditor(product, session)).text(PATH)


async def test_the_page_of_a_message_tells_why(
    product: Product, session: AsyncSession, world: World
) -> None:
    [sent] = [row for row in await world.rows() if row.state.value == "sent"]
    page = await (await auditor(product, session)).text(f"{PATH}/{sent.id}")
    for told in (
        world.version.body,
        world.version.sha256,
        sent.text_hash,
        world.rm.name,
        world.customer.name,
        "C3",
        "不涉及产品",
        "服务信息",
        "文本版本 2026-01",
        "逐字引用已审批段落",
        "已上线",
    ):
        assert told in page, told
    assert "指纹不一致" not in page


async def test_the_page_of_a_refusal_says_what_stood_against_it(
    product: Product, session: AsyncSession, world: World
) -> None:
    [kept] = [row for row in await world.rows() if row.state.value == "refused"]
    page = await (await auditor(product, session)).text(f"{PATH}/{kept.id}")
    assert BLOCKED in page
    assert "为什么没有发出" in page
    assert all(reason in page for reason in kept.reasons)


async def test_what_changed_since_is_shown(
    product: Product, session: AsyncSession, world: World
) -> None:
    [sent] = [row for row in await world.rows() if row.state.value == "sent"]
    world.version.state = State.WITHDRAWN
    await session.execute(
        sql("UPDATE outbound_message SET text = '改过' WHERE id = :id"), {"id": sent.id}
    )
    await session.commit()
    page = await (await auditor(product, session)).text(f"{PATH}/{sent.id}")
    assert "已下线" in page
    assert "指纹不一致" in page


async def test_nobody_else_opens_it_and_a_strange_address_is_nowhere(
    product: Product, session: AsyncSession, world: World
) -> None:
    rm = await product.client(world.rm)
    assert (await rm.get(PATH)).status == 403
    desk = await auditor(product, session)
    for address in ("nothing", str(world.rm.id)):
        assert (await desk.get(f"{PATH}/{address}")).status == 404

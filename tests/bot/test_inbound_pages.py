"""系统 · 回调与隔离区: what is seen, and what a press does."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import AuditEntry, Role
from bot.inbound.pages import ON_A_PAGE
from bot.models import InboundEvent, InboundState
from tests.builders import MONDAY, a_staff
from tests.conftest import Product, Visitor

CORP = "<ToUserName>wx5823bf96d3bd56c7</ToUserName><CreateTime>1700000000</CreateTime>"
MOBILE = "13812345678"
TWICE = f"<xml>{CORP}{CORP}<Content>电话 {MOBILE}</Content><WelcomeCode>SECRET</WelcomeCode></xml>"


@pytest.fixture
async def admin(product: Product, session: AsyncSession) -> Visitor:
    """The administrator's browser."""
    staff = await a_staff(session, Role.ADMIN)
    await session.commit()
    return await product.client(staff)


async def put(product: Product, *texts: str, kind: str = "", hours_ago: int = 0) -> None:
    for text in texts:
        sent_at = MONDAY - timedelta(hours=hours_ago) if hours_ago else None
        await product.parts.inbox.put(text, "wm1", MONDAY, kind=kind, sent_at=sent_at)


async def quarantined(product: Product, *texts: str) -> None:
    await put(product, *texts)
    await product.parts.dispatcher.handle_new(MONDAY)


async def events(product: Product) -> list[InboundEvent]:
    async with product.parts.sessions() as session:
        rows = await session.execute(select(InboundEvent).order_by(InboundEvent.id))  # type: ignore[arg-type]
        return list(rows.scalars())


async def audited(product: Product, action: str) -> list[str]:
    async with product.parts.sessions() as session:
        wanted = select(AuditEntry.subject_id).where(AuditEntry.action == action)
        return sorted((await session.execute(wanted)).scalars())


async def test_an_empty_bank_says_what_will_come(admin: Visitor) -> None:
    page = await admin.text("/system/inbound")
    assert "还没有收到回调" in page
    assert "当前密钥" in page
    assert "尚未使用" in page


async def test_why_and_what_and_how_often_is_seen_and_nothing_of_the_text(
    product: Product, admin: Visitor
) -> None:
    await quarantined(product, TWICE, "no xml")
    await put(product, f"<xml>{CORP}</xml>", kind="msgaudit_notify")
    page = await admin.text("/system/inbound?state=quarantined")
    assert "同一字段出现了两次" in page
    assert "内容不是规范的 XML" in page
    assert "无法识别" in page
    assert MOBILE not in page
    assert "会话存档有新消息" in await admin.text("/system/inbound?kind=msgaudit_notify")
    assert "没有符合条件的回调" in await admin.text("/system/inbound?state=held")


async def test_the_text_is_shown_masked_to_the_administrator_and_that_is_noted(
    product: Product, admin: Visitor
) -> None:
    await quarantined(product, TWICE)
    [event] = await events(product)
    answer = await admin.post(f"/system/inbound/{event.id}/text")
    page = await answer.text()
    assert answer.status == 200
    assert "电话" in page
    assert MOBILE not in page
    assert "SECRET" not in page
    assert await audited(product, "bot:inbound:read") == [str(event.id)]


async def test_handled_texts_and_strangers_are_not_shown(product: Product, admin: Visitor) -> None:
    await put(product, f"<xml>{CORP}</xml>")
    await quarantined(product, TWICE)
    done, kept = await events(product)
    assert done.state is InboundState.DONE
    assert (await admin.post(f"/system/inbound/{done.id}/text")).status == 404
    stranger = await product.client()
    assert (await stranger.post(f"/system/inbound/{kept.id}/text")).status == 303
    assert (await admin.post("/system/inbound/999/text")).status == 404


async def test_an_auditor_sees_and_presses_nothing(product: Product, session: AsyncSession) -> None:
    await quarantined(product, TWICE)
    staff = await a_staff(session, Role.AUDITOR)
    await session.commit()
    auditor = await product.client(staff)
    page = await auditor.text("/system/inbound?state=quarantined")
    assert "重放" not in page.replace("在重放旧请求", "")
    [event] = await events(product)
    for verb in ("replay", "text", "release"):
        assert (await auditor.post(f"/system/inbound/{event.id}/{verb}")).status == 403
    assert (await auditor.post("/system/inbound/release")).status == 403


async def test_one_or_all_of_a_reason_are_tried_again(product: Product, admin: Visitor) -> None:
    await quarantined(product, "no xml", "no xml either", "nor this", TWICE)
    first, *_ = await events(product)
    assert (await admin.post(f"/system/inbound/{first.id}/replay")).status == 303
    assert [e.state.value for e in await events(product)] == ["new", *["quarantined"] * 3]
    reason = {"reason": first.outcome}
    assert (await admin.post("/system/inbound/replay", reason)).status == 303
    found = await events(product)
    assert [e.state.value for e in found] == ["new", "new", "new", "quarantined"]
    assert await audited(product, "bot:inbound:replay") == [str(e.id) for e in found[:3]]
    assert (await admin.post(f"/system/inbound/{first.id}/replay")).status == 404


async def test_an_event_no_version_understood_may_be_tried_by_the_next(
    product: Product, admin: Visitor
) -> None:
    await quarantined(product, f"<xml>{CORP}<MsgType>event</MsgType><Event>brand_new</Event></xml>")
    [event] = await events(product)
    assert event.state is InboundState.DONE
    assert "重放" in await admin.text("/system/inbound?state=done")
    assert (await admin.post(f"/system/inbound/{event.id}/replay")).status == 303
    assert [e.state for e in await events(product)] == [InboundState.NEW]


async def test_held_ones_are_let_go_by_a_press(product: Product, admin: Visitor) -> None:
    await put(product, *(f"<xml>{CORP}<A>{n}</A></xml>" for n in range(3)), hours_ago=2)
    page = await admin.text("/system/inbound?state=held")
    assert "3 条回调的签名时间与本机时钟相差超过 5 分钟" in page
    assert "全部放行" in page
    first, *others = await events(product)
    assert (await admin.post(f"/system/inbound/{first.id}/release")).status == 303
    assert (await admin.post(f"/system/inbound/{first.id}/release")).status == 404
    assert (await admin.post("/system/inbound/release")).status == 303
    assert await product.parts.dispatcher.handle_new(MONDAY) == 3
    assert {e.state for e in await events(product)} == {InboundState.DONE}
    assert await audited(product, "bot:inbound:release") == [str(e.id) for e in (first, *others)]


async def test_many_are_turned_over_page_by_page(product: Product, admin: Visitor) -> None:
    await put(product, *(f"<xml>{CORP}<A>{n}</A></xml>" for n in range(ON_A_PAGE + 5)), kind="text")
    first, second = [await admin.text(f"/system/inbound?kind=text&page={n}") for n in (1, 2)]
    assert first.count("成员发来文字") - 1 == ON_A_PAGE
    assert second.count("成员发来文字") - 1 == 5
    assert "kind=text&amp;page=2" in first


@pytest.mark.parametrize("page", ["0", "-1", "x", "9" * 30, "٣"])
async def test_an_odd_page_number_is_no_error(admin: Visitor, page: str) -> None:
    assert (await admin.get(f"/system/inbound?page={page}")).status == 200

"""系统 · 企业微信接口: what is refused, what may exist, which callbacks are turned away."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import AuditEntry, Role
from bank.settings import Settings
from bot.loops import note_callbacks
from bot.models import IntentState, PlatformIntent
from tests.builders import MONDAY, a_staff
from tests.conftest import Clock, Visitor
from tests.town import Town, a_town
from wecom.errors import NetworkNotTrusted

PAGE = "/system/wecom"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    async with a_town(settings, clock, session) as built:
        yield built


@pytest.fixture
async def admin(town: Town, session: AsyncSession) -> Visitor:
    staff = await a_staff(session, Role.ADMIN)
    await session.commit()
    return await town.client(staff)


async def an_unknown_reminder(session: AsyncSession) -> PlatformIntent:
    """A call whose answer was lost and which WeCom cannot list."""
    intent = PlatformIntent(
        call="externalcontact/remind_groupmsg_send",
        facts={"msgid": "msg1"},
        state=IntentState.UNKNOWN,
        result="企业微信没有列出它的接口，请人工核对",
        created_at=MONDAY,
    )
    session.add(intent)
    await session.commit()
    return intent


async def test_when_all_is_well_each_table_says_so(admin: Visitor) -> None:
    text = await admin.text(PAGE)
    assert "全部接口可以正常调用" in text
    assert "没有需要核对的内容" in text
    assert "近 7 天没有拒绝过回调" in text


async def test_a_refused_address_stops_all_calls_and_says_what_to_click(
    town: Town, admin: Visitor
) -> None:
    await town.control("faults", api=[{"path": "getcallbackip", "times": 9, "answer": 60020}])
    with pytest.raises(NetworkNotTrusted):
        await town.parts.wecom.platform.callback_addresses()
    text = await admin.text(PAGE)
    assert "全部接口" in text
    assert "出口 IP 不在企业可信 IP 名单中（60020）" in text
    assert "企业可信IP" in text


@pytest.mark.parametrize(
    ("verdict", "state"), [("done", IntentState.DONE), ("abandoned", IntentState.ABANDONED)]
)
async def test_a_person_settles_what_nobody_can_look_up(
    town: Town, admin: Visitor, session: AsyncSession, verdict: str, state: IntentState
) -> None:
    intent = await an_unknown_reminder(session)
    assert "群发提醒" in await admin.text(PAGE)
    answer = await admin.post(f"{PAGE}/intents/{intent.id}/{verdict}")
    assert answer.status == 303
    settled = (await town.all(PlatformIntent))[0]
    assert settled.state is state
    assert f"bot:intent:{verdict}" in [entry.action for entry in await town.all(AuditEntry)]
    assert "没有需要核对的内容" in await admin.text(PAGE)
    again = await admin.post(f"{PAGE}/intents/{intent.id}/done")
    assert again.status == 404


@pytest.mark.parametrize("address", ["no-id/done", "00000000-0000-4000-8000-000000000000/done"])
async def test_nothing_else_can_be_settled(admin: Visitor, address: str) -> None:
    assert (await admin.post(f"{PAGE}/intents/{address}")).status == 404


async def test_an_unknown_verdict_is_none(admin: Visitor, session: AsyncSession) -> None:
    intent = await an_unknown_reminder(session)
    assert (await admin.post(f"{PAGE}/intents/{intent.id}/perhaps")).status == 404


async def test_an_auditor_looks_and_does_not_touch(town: Town, session: AsyncSession) -> None:
    intent = await an_unknown_reminder(session)
    auditor = await a_staff(session, Role.AUDITOR)
    await session.commit()
    visitor = await town.client(auditor)
    assert "核对结果" not in await visitor.text(PAGE)
    assert (await visitor.post(f"{PAGE}/intents/{intent.id}/done")).status in (403, 404)


async def test_refused_callbacks_are_counted_by_reason(town: Town, admin: Visitor) -> None:
    await town.http.post(f"{town.base}/wecom/callback", data=b"<xml/>")
    await note_callbacks(town.parts)
    await town.http.post(f"{town.base}/wecom/callback", data=b"<xml/>")
    await note_callbacks(town.parts)
    text = await admin.text(PAGE)
    assert "不是企业微信的加密消息" in text
    assert '<td class="num">2</td>' in text

"""Compliance hears of a refused attempt at misconduct within a minute, and one of them looks."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import AuditEntry, Role, Staff
from bank.settings import Settings
from bot import conduct
from bot.models import CardKind, MemberCard
from knowledge.models import Suggestion
from outbound.models import ConductAlert, OutboundMessage, OutboundState
from tests.builders import a_staff, an_approved_material
from tests.conftest import Clock
from tests.town import Town, a_town
from wecom.simulator import Member, World
from wecom.simulator.api_call import PLATFORM

MISCONDUCT = "您把钱转到我个人账户，我帮您代为操作。"


class Office:
    """The town with somebody of compliance, and an RM who tries."""

    def __init__(self, town: Town, compliance: Staff) -> None:
        self.town, self.compliance = town, compliance

    async def tries(self, text: str = MISCONDUCT) -> dict[str, Any]:
        """The RM presses send on these words."""
        [suggestion] = await self.town.all(Suggestion)
        rm = await self.town.sidebar()
        path = f"/sidebar/suggestions/{suggestion.id}/clear"
        answer: dict[str, Any] = await (await rm.post(path, {"text": text})).json()
        return answer

    async def tells(self) -> int:
        """One round of the loop that tells compliance."""
        parts = self.town.parts
        return await conduct.tell(parts.sessions, parts.wecom, parts.settings, self.town.clock())

    async def alert(self) -> ConductAlert:
        """The only alert."""
        [alert] = await self.town.all(ConductAlert)
        assert isinstance(alert, ConductAlert)
        return alert

    @property
    def world(self) -> World:
        """The platform behind its pages."""
        [mounted] = [app for app in self.town.app._subapps if PLATFORM in app]
        world: World = mounted[PLATFORM].world
        return world

    def cards(self) -> list[Any]:
        """What is on members' desktops."""
        return [each for each in self.world.app_messages if each.msgtype == "template_card"]


@pytest.fixture
async def office(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Office]:
    """One suggestion waits for the RM."""
    async with a_town(settings, clock, session) as town:
        compliance = await a_staff(session, Role.COMPLIANCE, name="周岚")
        await an_approved_material(session)
        await session.commit()
        office = Office(town, compliance)
        office.world.members[compliance.userid] = Member(compliance.userid, compliance.name)
        await town.writes("我赎回的钱几天能到账啊")
        await town.works()
        yield office


async def test_the_attempt_is_refused_kept_and_told_once(office: Office) -> None:
    for _ in range(2):
        assert (await office.tries())["refused"]
    office.town.clock.forward(timedelta(seconds=10))
    assert await office.tells() == 1
    assert await office.tells() == 0
    [card] = await office.town.all(MemberCard)
    assert (card.kind, card.userids) == (CardKind.CONDUCT, [office.compliance.userid])
    assert len(office.cards()) == 1
    alert = await office.alert()
    assert alert.told_at is not None
    assert alert.told_at - alert.raised_at <= timedelta(seconds=60)
    rows = await office.town.all(OutboundMessage)
    assert [row.state for row in rows] == [OutboundState.REFUSED] * 2
    assert {row.text for row in rows} == {MISCONDUCT}


@pytest.mark.parametrize("answer", ["lost", "503"])
async def test_a_card_that_fails_is_sent_again(office: Office, answer: str) -> None:
    await office.tries()
    faults = [{"path": "message/send", "answer": answer}]
    await office.town.control("faults", api=faults)
    assert await office.tells() == 0
    assert (await office.alert()).told_at is None
    office.town.clock.forward(timedelta(seconds=31))
    assert await office.tells() == 1
    assert len(office.cards()) == 1


async def test_the_page_shows_it_and_the_first_who_looks_counts(office: Office) -> None:
    await office.tries()
    alert = await office.alert()
    desk = await office.town.client(office.compliance)
    listed = await desk.text("/system/outbound")
    assert "有 1 条被拦截的高风险内容还没有人核查" in listed
    shown = await desk.text(f"/system/outbound/{alert.message_id}")
    assert MISCONDUCT in shown
    assert "飞单" in shown
    for said in ("已登记由您核查", "已由其他同事登记核查"):
        answer = await desk.post(f"/system/outbound/alerts/{alert.id}/seen")
        assert answer.status == 303
        assert said in (await desk.text(answer.headers["Location"]))
    assert (await office.alert()).seen_by == office.compliance.userid
    lines = [line for line in await office.town.all(AuditEntry) if "conduct" in line.action]
    assert len(lines) == 1


async def test_an_auditor_reads_and_does_not_look_after_it(
    office: Office, session: AsyncSession
) -> None:
    await office.tries()
    auditor = await a_staff(session, Role.AUDITOR)
    await session.commit()
    desk, alert = await office.town.client(auditor), await office.alert()
    assert "我来核查" not in await desk.text(f"/system/outbound/{alert.message_id}")
    assert (await desk.post(f"/system/outbound/alerts/{alert.id}/seen")).status == 403

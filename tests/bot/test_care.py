"""A complaint, a refusal, a customer who needs care: heard at once, looked at by a person."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import AuditEntry, Role, Staff
from bank.settings import Settings
from bot import care_cards
from bot.models import CardKind, MemberCard
from content.models import Material, Use, Version
from customers.models import CareAlert, CareKind, CareState, Consent
from knowledge.models import Suggestion, SuggestionState
from outbound.models import OutboundMessage, OutboundState
from tests.builders import a_branch, a_staff, an_approved_material
from tests.conftest import Clock
from tests.town import Town, a_town
from wecom.simulator import Member, World
from wecom.simulator.api_call import PLATFORM

COMPLAINT = "我要投诉你们，我的手机是13812345678"


class Care:
    """The town with the branch's manager and somebody of compliance."""

    def __init__(self, town: Town, manager: Staff, compliance: Staff) -> None:
        self.town, self.manager, self.compliance = town, manager, compliance

    async def hears(self, text: str) -> None:
        """The customer writes, and the loops have run."""
        await self.town.writes(text)
        await self.town.works()

    async def tells(self) -> int:
        """One round of the loop that tells superiors."""
        parts = self.town.parts
        return await care_cards.tell(parts.sessions, parts.wecom, parts.settings, self.town.clock())

    async def alert(self) -> CareAlert:
        """The only alert."""
        [alert] = await self.town.all(CareAlert)
        assert isinstance(alert, CareAlert)
        return alert

    async def decides(self, verb: str, reason: str, who: Staff | None = None) -> int:
        """Somebody looks at it; the answer's status."""
        desk = await self.town.client(who or self.manager)
        path = f"/care/{(await self.alert()).id}/{verb}"
        return (await desk.post(path, {"reason": reason})).status

    async def advertises(self) -> dict[str, Any]:
        """The RM picks something that sells and presses send."""
        rm = await self.town.sidebar()
        contact = self.town.customer.external_userid
        [version] = [m for m in await self.town.all(Material) if m.use is Use.CONVERT]
        [sold] = [v for v in await self.town.all(Version) if v.material_id == version.id]
        await rm.post(f"/sidebar/{contact}/pick", {"version": str(sold.id)})
        picked = [s for s in await self.town.all(Suggestion) if s.tier == "picked"]
        newest = max(picked, key=lambda s: s.created_at)
        path = f"/sidebar/suggestions/{newest.id}/clear"
        said: dict[str, Any] = await (await rm.post(path, {"text": newest.draft})).json()
        return said


@pytest.fixture
async def care(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Care]:
    """One approved answer and one text that sells."""
    async with a_town(settings, clock, session) as town:
        manager = await a_staff(session, Role.BRANCH_MANAGER, name="陈行长")
        manager.branch_id = town.rm.branch_id
        compliance = await a_staff(session, Role.COMPLIANCE, name="周岚")
        await an_approved_material(session)
        sells = await an_approved_material(session, title="新客礼遇", body="新客户可了解专属服务。")
        (await session.get_one(Material, sells.material_id)).use = Use.CONVERT
        await session.commit()
        [mounted] = [app for app in town.app._subapps if PLATFORM in app]
        world: World = mounted[PLATFORM].world
        for one in (manager, compliance):
            world.members[one.userid] = Member(one.userid, one.name)
        yield Care(town, manager, compliance)


async def test_a_complaint_reaches_the_manager_and_stops_marketing_until_it_is_closed(
    care: Care,
) -> None:
    assert "text" in await care.advertises()
    await care.hears(COMPLAINT)
    alert = await care.alert()
    assert (alert.kind, alert.state) == (CareKind.COMPLAINT, CareState.OPEN)
    assert "13812345678" not in alert.sentence
    assert "我要投诉你们" in alert.sentence
    care.town.clock.forward(timedelta(seconds=10))
    assert await care.tells() == 1
    assert await care.tells() == 0
    [card] = await care.town.all(MemberCard)
    assert (card.kind, card.userids) == (CardKind.CARE, [care.manager.userid])
    told = (await care.alert()).told_at
    assert told is not None
    assert told - alert.raised_at <= timedelta(seconds=60)
    assert "投诉还没有办结" in (await care.advertises())["refused"][0]
    assert await care.decides("confirm", "已致电客户，客户认可") == 303
    assert "text" in await care.advertises()
    rows = await care.town.all(OutboundMessage)
    assert OutboundState.REFUSED in {row.state for row in rows}


async def test_a_complaint_gets_no_suggestion_and_the_rm_is_told_what_to_do(care: Care) -> None:
    await care.hears(COMPLAINT)
    [made] = await care.town.all(Suggestion)
    assert made.state is SuggestionState.HELD
    page = await (await care.town.sidebar()).text(
        f"/sidebar/{care.town.customer.external_userid}/suggest"
    )
    assert "请您亲自答复" in page
    assert "不要承诺赔付" in page


async def test_the_same_message_again_is_one_alert(care: Care) -> None:
    await care.town.control("faults", callbacks={"duplicate": 3})
    await care.hears(COMPLAINT)
    await care.town.works()
    assert (await care.alert()).kind is CareKind.COMPLAINT


async def test_a_refusal_ends_the_consent_and_can_be_taken_back_with_a_reason(care: Care) -> None:
    await care.hears("别再给我发广告了")
    assert (await care.alert()).kind is CareKind.REFUSAL
    assert await ended(care)
    assert "refused" in await care.advertises()
    assert await care.decides("undo", " ") == 422
    assert await ended(care)
    assert await care.decides("undo", "客户说的是别家银行") == 303
    assert not await ended(care)
    assert "text" in await care.advertises()
    assert await care.decides("confirm", "再看一次") == 422
    actions = {line.action for line in await care.town.all(AuditEntry)}
    assert {
        "customers:care_alert:refusal",
        "customers:consent:withdraw",
        "customers:care_alert:undo",
        "customers:consent:restore",
    } <= actions


async def ended(care: Care) -> bool:
    [consent] = await care.town.all(Consent)
    return consent.withdrawn_at is not None


async def test_a_confirmed_refusal_stays(care: Care) -> None:
    await care.hears("退订")
    assert await care.decides("confirm", "已与客户核实") == 303
    assert await ended(care)
    desk = await care.town.client(care.manager)
    done = await desk.text("/care?state=confirmed")
    assert "已与客户核实" in done
    assert "陈行长" in done


async def test_nobody_decides_about_words_written_to_themselves_or_elsewhere(
    care: Care, session: AsyncSession
) -> None:
    care.town.rm.roles = [Role.RM.value, Role.BRANCH_MANAGER.value]
    await session.merge(care.town.rm)
    elsewhere = await a_staff(session, Role.BRANCH_MANAGER, branch=await a_branch(session, "城西"))
    auditor = await a_staff(session, Role.AUDITOR)
    await session.commit()
    await care.hears(COMPLAINT)
    assert await care.decides("undo", "误会", care.town.rm) == 422
    assert await care.decides("undo", "误会", elsewhere) == 422
    assert await care.decides("undo", "误会", auditor) == 403
    assert COMPLAINT[:6] not in await (await care.town.client(elsewhere)).text("/care")
    assert "我要投诉你们" in await (await care.town.client(auditor)).text("/care")
    assert (await care.alert()).state is CareState.OPEN
    assert await care.decides("undo", "误会", care.compliance) == 303


async def test_without_a_manager_compliance_hears_of_it(care: Care, session: AsyncSession) -> None:
    manager = await session.merge(care.manager)
    manager.enabled = False
    await session.commit()
    await care.hears("我今年80岁了，老伴住院急用钱")
    assert (await care.alert()).kind is CareKind.VULNERABLE
    assert await care.tells() == 1
    [card] = await care.town.all(MemberCard)
    assert card.userids == [care.compliance.userid]


async def test_what_the_rm_types_is_heard_too(care: Care) -> None:
    rm = await care.town.sidebar()
    path = f"/sidebar/{care.town.customer.external_userid}/ask"
    assert (await rm.post(path, {"question": COMPLAINT})).status == 200
    assert (await care.alert()).source.startswith("typed:")


async def test_an_ordinary_question_raises_nothing(care: Care) -> None:
    await care.hears("我赎回的钱几天能到账啊")
    assert await care.town.all(CareAlert) == []
    assert "没有待复核的提醒" in await (await care.town.client(care.manager)).text("/care")


async def test_odd_addresses_are_answered(care: Care) -> None:
    desk = await care.town.client(care.compliance)
    for query in ("state=odd", "kind=odd", "page=x", "page=99999", "kind=%00"):
        assert (await desk.get(f"/care?{query}")).status == 200
    odd = "/care/00000000-0000-0000-0000-000000000001/undo"
    assert (await desk.post(odd, {"reason": "x"})).status == 422

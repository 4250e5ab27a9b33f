"""微信客服: complaint or need of care raise the alert; no machine answers until it is closed."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from bank.settings import Settings
from bot import care_cards
from bot.models import CardKind, ServiceSpeaker
from bot.service import words
from customers import care, follows
from customers.models import CareAlert, CareKind, CareState, Consent, Customer
from tests.bot.servicing import ASKED, Counter, a_counter
from tests.builders import a_staff
from tests.conftest import Clock
from wecom.simulator import Member

COMPLAINT = "我要投诉你们，我的手机是13812345678"
NEED = "我今年78岁了，这是我的养老钱"


class Cared:
    """The counter, the branch's manager and somebody of compliance."""

    def __init__(self, counter: Counter, manager: Staff, compliance: Staff) -> None:
        self.counter, self.manager, self.compliance = counter, manager, compliance

    async def hears(self, text: str, who: str = "") -> None:
        """Somebody writes at the counter, and the loops have run."""
        await self.counter.writes(text, **({"external_userid": who} if who else {}))
        await self.counter.works()

    async def alerts(self) -> list[CareAlert]:
        """All of them, the oldest first."""
        found: list[CareAlert] = await self.counter.town.all(CareAlert)
        return sorted(found, key=lambda alert: alert.raised_at)

    async def cards(self) -> list[list[str]]:
        """Whom the loop that tells superiors has told, after it has run."""
        parts = self.counter.town.parts
        await care_cards.tell(parts.sessions, parts.wecom, self.counter.settings, parts.now())
        cards = await self.counter.cards()
        return [card.userids for card in cards if card.kind is CardKind.CARE]

    async def sees(self, who: Staff) -> str:
        """What somebody reads under 关怀提醒."""
        desk = await self.counter.town.client(who)
        return await (await desk.get("/care")).text()

    async def decides(self, alert: CareAlert, who: Staff) -> int:
        """Somebody closes it; the answer's status."""
        desk = await self.counter.town.client(who)
        return (await desk.post(f"/care/{alert.id}/confirm", {"reason": "已致电说明"})).status

    async def a_stranger(self) -> str:
        """Somebody at the counter whom no RM follows."""
        made = await self.counter.hand("service_enter", name="路过的人", scene="web")
        return str(made["external_userid"])


@pytest.fixture
async def cared(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Cared]:
    async with a_counter(settings, clock, session) as counter:
        manager = await a_staff(session, Role.BRANCH_MANAGER, name="陈行长")
        compliance = await a_staff(session, Role.COMPLIANCE, name="周岚")
        manager.branch_id = counter.town.rm.branch_id
        await session.commit()
        for one in (manager, compliance):
            counter.platform.world.members[one.userid] = Member(one.userid, one.name)
        yield Cared(counter, manager, compliance)


@pytest.mark.parametrize(
    ("text", "kind"), [(COMPLAINT, CareKind.COMPLAINT), (NEED, CareKind.VULNERABLE)]
)
async def test_the_alert_is_the_one_of_a_chat_and_the_superior_hears_of_it(
    cared: Cared, text: str, kind: CareKind
) -> None:
    await cared.hears(text)
    [alert] = await cared.alerts()
    town = cared.counter.town
    assert (alert.kind, alert.state) == (kind, CareState.OPEN)
    assert (alert.customer_id, alert.staff_id) == (town.customer.id, town.rm.id)
    assert "13812345678" not in alert.sentence
    assert await cared.cards() == [[cared.manager.userid]]
    page = await cared.sees(cared.manager)
    assert "不自动答复" in page
    assert f"/service/{(await cared.counter.chat()).id}" in page


async def test_a_complaint_there_pauses_marketing(cared: Cared, session: AsyncSession) -> None:
    await cared.hears(COMPLAINT)
    assert await care.complains(session, cared.counter.town.customer.id)


async def test_a_refusal_there_ends_the_consent(cared: Cared, session: AsyncSession) -> None:
    await cared.hears("别再给我发广告了")
    [consent] = await cared.counter.town.all(Consent)
    assert consent.withdrawn_at is not None


async def test_the_answer_that_was_decided_before_is_not_sent_any_more(cared: Cared) -> None:
    """The question is answered in writing; before it goes out, the customer complains."""
    counter = cared.counter
    await counter.writes(ASKED)
    await counter.hears()
    assistant = counter.assistant
    question = await assistant._claim(ServiceSpeaker.CUSTOMER, counter.clock())
    assert question is not None
    await assistant._decide(question, counter.clock())
    await counter.writes(COMPLAINT)
    await counter.works()
    assert counter.got() == [words.HANDOVER]
    assert counter.state() == 2


async def test_no_machine_answers_until_somebody_has_closed_it(cared: Cared) -> None:
    """The session ends and another begins: the complaint is still open, and a person answers."""
    counter = cared.counter
    await cared.hears(COMPLAINT)
    await _served_and_over(counter)
    await cared.hears(ASKED)
    assert counter.got() == [words.HANDOVER, words.HANDOVER]
    assert await counter.note() == words.CARED_FOR
    [alert] = await cared.alerts()
    assert await cared.decides(alert, cared.manager) == 303
    await _served_and_over(counter)
    await cared.hears(ASKED)
    assert counter.got()[-1].startswith("【AI生成】")


async def test_one_heard_in_an_rms_chat_keeps_machines_away_here_too(cared: Cared) -> None:
    await cared.counter.town.writes(COMPLAINT)
    await cared.counter.town.works()
    await cared.hears(ASKED)
    assert cared.counter.got() == [words.HANDOVER]


async def test_whoever_is_no_customer_yet_is_looked_after_by_compliance(
    cared: Cared, session: AsyncSession
) -> None:
    stranger = await cared.a_stranger()
    await cared.hears(COMPLAINT, stranger)
    [alert] = await cared.alerts()
    assert (alert.customer_id, alert.staff_id, alert.contact) == (None, None, stranger)
    assert await cared.cards() == [[cared.compliance.userid]]
    assert "微信客服访客" in await cared.sees(cared.compliance)
    assert "微信客服访客" not in await cared.sees(cared.manager)
    assert await cared.decides(alert, cared.manager) == 422
    session.add(Customer(external_userid=stranger, name="何先生", created_at=alert.raised_at))
    await session.commit()
    known = await follows.by_contact(session, stranger)
    assert known is not None
    assert await care.complains(session, known.id)
    assert await cared.decides(alert, cared.compliance) == 303
    assert not await care.complains(session, known.id)


async def test_it_is_heard_where_no_machine_answers_and_once(cared: Cared) -> None:
    await cared.counter.switch(on=False)
    await cared.hears(COMPLAINT)
    await cared.counter.pulls()
    assert len(await cared.alerts()) == 1
    assert cared.counter.got() == []


async def test_a_plain_question_raises_nothing(cared: Cared) -> None:
    await cared.hears(ASKED)
    assert await cared.alerts() == []
    assert len(cared.counter.got()) == 1


async def _served_and_over(counter: Counter) -> None:
    """A colleague takes over, answers, and ends the session."""
    servicer = counter.town.rm.userid
    await counter.hand("service_accept", external_userid=counter.who, servicer=servicer)
    await counter.hand("service_end", external_userid=counter.who)
    await counter.works()

"""A customer leaves: the RM gets one card, presses 「知道了」, and the audit book keeps it."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import AuditEntry
from bank.settings import Settings
from bot.models import CardKind, InboundEvent, InboundState, MemberCard
from tests.conftest import Clock
from tests.town import Town, a_town
from wecom.simulator.api_call import PLATFORM
from wecom.simulator.platform import Platform
from wecom.simulator.state import AppMessage

SEEN = "bot:card:churn_seen"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, one RM, one customer."""
    async with a_town(settings, clock, session) as made:
        yield made


def platform(town: Town) -> Platform:
    """The simulated platform, to look behind its pages."""
    [mounted] = [app for app in town.app._subapps if PLATFORM in app]
    return mounted[PLATFORM]


def desktop(town: Town) -> list[AppMessage]:
    """What the RM was sent, oldest first."""
    return [m for m in platform(town).world.app_messages if m.userid == town.rm.userid]


def says(town: Town, message: AppMessage) -> str:
    """What the card's button says now; empty while it can be pressed."""
    return platform(town).world.cards.face(message.msgid, message.userid).replace_name


async def leaves(town: Town) -> None:
    """The customer deletes the RM."""
    contact = town.customer.external_userid
    await town.control("delete_follow", userid=town.rm.userid, external_userid=contact)
    await heard(town)


async def comes_back(town: Town) -> None:
    """The customer adds the RM again."""
    contact = town.customer.external_userid
    await town.control("add_contact", userid=town.rm.userid, external_userid=contact, name="李女士")
    await heard(town)


async def heard(town: Town) -> None:
    """Every callback so far has come and is handled."""
    town.clock.forward(timedelta(seconds=3))
    await town.control("settle")
    await town.works()


async def presses(town: Town, message: AppMessage) -> None:
    """The RM presses 「知道了」."""
    await town.control("press_card", userid=message.userid, msgid=message.msgid, key="seen")
    await heard(town)


async def handled_again(town: Town) -> None:
    """Everything stored is handled once more, as after a crash."""
    async with town.parts.sessions.begin() as session:
        for event in await town.all(InboundEvent):
            again = await session.get_one(InboundEvent, event.id)
            again.state, again.attempts, again.lease_until = InboundState.NEW, 0, None
    await town.works()


async def seen(town: Town) -> list[tuple[str, str]]:
    """Who has taken note of whose leaving."""
    return [(e.actor, e.subject_id) for e in await town.all(AuditEntry) if e.action == SEEN]


async def test_the_card_says_who_left_and_that_nothing_more_is_sent(town: Town) -> None:
    await leaves(town)
    [message] = desktop(town)
    assert message.body["main_title"]["title"] == "客户删除了您的企业微信"
    told = {fact["keyname"]: fact["value"] for fact in message.body["horizontal_content_list"]}
    assert told == {"客户": "李女士", "时间": "2026-11-23 10:00", "触达计划": "已全部停止"}
    assert [button["text"] for button in message.body["button_list"]] == ["知道了"]


async def test_the_press_is_audited_and_the_card_says_so(town: Town) -> None:
    await leaves(town)
    [message] = desktop(town)
    await presses(town, message)
    assert says(town, message) == "王敏已知悉"
    assert await seen(town) == [(town.rm.userid, str(town.customer.id))]
    [card] = await town.all(MemberCard)
    assert (card.kind, card.pressed_by) == (CardKind.CHURN, town.rm.userid)


async def test_everything_again_tells_and_audits_nothing_twice(town: Town) -> None:
    await leaves(town)
    [message] = desktop(town)
    await presses(town, message)
    await handled_again(town)
    assert desktop(town) == [message]
    assert len(await seen(town)) == 1


async def test_a_lost_answer_shows_the_card_once(town: Town) -> None:
    await town.control("faults", api=[{"path": "message/send", "answer": "lost"}])
    await leaves(town)
    for _ in range(3):
        town.clock.forward(timedelta(minutes=15))
        await town.works()
    assert len(desktop(town)) == 1
    [note] = [e for e in await town.all(InboundEvent) if e.kind == "note.churn"]
    assert (note.state, note.outcome) == (InboundState.DONE, "RM was told")


async def test_who_is_back_before_the_rm_was_told_is_not_called_lost(town: Town) -> None:
    away = [{"path": "message/send", "times": -1, "answer": "502"}]
    await town.control("faults", api=away)
    await leaves(town)
    await comes_back(town)
    await town.control("faults", api=[])
    for _ in range(3):
        town.clock.forward(timedelta(minutes=15))
        await town.works()
    assert desktop(town) == []


async def test_who_leaves_twice_is_told_of_twice(town: Town) -> None:
    for _ in range(2):
        await leaves(town)
        town.clock.forward(timedelta(minutes=1))
        await comes_back(town)
    first, second = desktop(town)
    await presses(town, second)
    assert (says(town, first), says(town, second)) == ("", "王敏已知悉")

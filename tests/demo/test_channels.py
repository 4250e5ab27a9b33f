"""The demo bank's codes and welcomes: at the platform as in the tables, and in approved words."""

from collections import Counter

from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Touchpoint
from bank.models import Role, Staff
from bot.demo.world import seeded_world
from bot.models import ContactWay, WayState, Welcome, WelcomeState
from bot.welcoming import contact_ways, welcome_text
from bot.welcoming.welcome_text import Words
from customers.models import Follow
from outbound.facts import policy_of
from tests.demo.looking import BANK, MIDNIGHT, by_id, every


async def test_every_code_in_use_can_be_scanned_at_the_platform(bank: AsyncSession) -> None:
    staff = await by_id(bank, Staff)
    world = await seeded_world(bank)
    live = [way for way in await every(bank, ContactWay) if way.state is WayState.LIVE]
    assert len(live) == 60
    assert len(world.contact_ways) == 60
    for way in live:
        known = world.contact_ways[way.config_id]
        assert (known.state, known.users) == (way.key, [staff[way.staff_id].userid])
        assert way.config_id in way.qr_code


async def test_customers_who_came_by_a_code_have_its_channel(bank: AsyncSession) -> None:
    follows = await every(bank, Follow)
    named = await contact_ways.channels_of(bank, {follow.source for follow in follows})
    came = [named[follow.source] for follow in follows if follow.source in named]
    assert len(came) > 200
    assert set(came) == {"大堂扫码", "沙龙活动", "社区宣讲", "代发工资签约"}


async def test_a_customer_of_any_rm_would_be_welcomed_now(bank: AsyncSession) -> None:
    for rm in await every(bank, Staff):
        if rm.roles != [Role.RM]:
            continue
        for way in [None, *(w for w in await every(bank, ContactWay) if w.staff_id == rm.id)]:
            words = await welcome_text.words_for(bank, rm, way, policy_of(BANK), MIDNIGHT)
            assert isinstance(words, Words), words
            assert rm.name in words.text


async def test_every_welcome_sent_is_a_touchpoint(bank: AsyncSession) -> None:
    welcomes = await every(bank, Welcome)
    sent = {str(w.id) for w in welcomes if w.state is WelcomeState.SENT}
    points = [point for point in await every(bank, Touchpoint) if point.source == "welcome"]
    assert Counter(point.source_id for point in points) == Counter(sent)
    assert 60 < len(sent) < len(welcomes)

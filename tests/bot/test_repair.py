"""Callbacks that never came: found by comparing with WeCom, mended by the road of the events."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from bank.settings import Settings
from bot.inbound import repair
from bot.inbound.repair import Kind
from bot.models import Repair
from customers.models import Customer, CustomerGroup, CustomerTag, Follow, FollowState
from scheduler.models import Enrolment, EnrolmentState
from tests.builders import a_staff
from tests.conftest import Clock
from tests.journeys.test_relations import a_colleague, a_running_sop, heard
from tests.town import Town, a_town

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, one RM, one customer."""
    async with a_town(settings, clock, session) as made:
        yield made


async def compares(town: Town, asked: Kind | None = None) -> list[Kind]:
    """The rounds that are due now."""
    parts = town.parts
    return await repair.run_due(parts.sessions, parts.wecom, town.clock, asked)


async def mended(town: Town, kind: Kind) -> dict[str, int]:
    """What the newest round of that kind mended."""
    rounds = [one for one in await town.all(Repair) if one.kind == kind.value]
    return max(rounds, key=lambda one: one.id).mended  # type: ignore[no-any-return]


async def live(town: Town, rm: Staff) -> set[str]:
    """The customers we think this RM serves."""
    contacts = {c.id: c.external_userid for c in await town.all(Customer)}
    rows = [f for f in await town.all(Follow) if f.staff_id == rm.id]
    return {str(contacts[f.customer_id]) for f in rows if f.state is FollowState.ACTIVE}


def missed(what: str) -> float:
    return REGISTRY.get_sample_value("siyu_missed_callbacks_total", {"what": what}) or 0.0


async def test_an_hour_with_five_in_a_hundred_lost_is_mended_in_two_rounds(
    town: Town, session: AsyncSession
) -> None:
    await a_running_sop(session, town)
    other = await a_colleague(session, town)
    await compares(town)
    await town.control("faults", callbacks={"drop_rate": 0.05}, seed=11)
    before = missed("relation_began")
    contacts = [f"wmHOUR{number:026d}" for number in range(60)]
    for number, contact in enumerate(contacts):
        town.clock.forward(timedelta(seconds=60))
        rm = (town.rm, other)[number % 2]
        await town.control("add_contact", userid=rm.userid, external_userid=contact, name="客户")
        if number % 4 == 3:
            gone = contacts[number - 2]
            await town.control("delete_follow", userid=rm.userid, external_userid=gone)
    await heard(town)
    await town.control("faults", clear=True)
    town.clock.forward(TEN_MINUTES)
    first = await compares(town)
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    assert Kind.RELATIONS in first
    for rm in (town.rm, other):
        told = await town.parts.wecom.contacts.of_member(rm.userid)
        assert await live(town, rm) == set(told)
    assert missed("relation_began") > before
    enrolments = await town.all(Enrolment)
    assert len({e.customer_id for e in enrolments}) == len(enrolments)
    serving = {(f.staff_id, f.customer_id) for f in await town.all(Follow) if f.removed_at is None}
    for one in enrolments:
        active = one.state is EnrolmentState.ACTIVE
        assert not active or (one.staff_id, one.customer_id) in serving
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    assert await mended(town, Kind.RELATIONS) == {}


async def test_what_is_waiting_in_the_inbox_was_not_missed(town: Town) -> None:
    await town.control("add_contact", userid=town.rm.userid, name="陈先生")
    await town.control("settle")
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    assert await mended(town, Kind.RELATIONS) == {}
    await town.works()
    assert len(await town.all(Customer)) == 2


async def test_an_event_that_comes_after_the_repair_says_how_it_ended(town: Town) -> None:
    contact = str(town.customer.external_userid)
    await town.control("faults", callbacks={"delay": 1})
    await town.control("delete_follow", userid=town.rm.userid, external_userid=contact)
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    [follow] = await town.all(Follow)
    assert follow.state is FollowState.GONE
    assert await mended(town, Kind.RELATIONS) == {"relation_ended": 1}
    await town.control("release")
    await heard(town)
    [follow] = await town.all(Follow)
    assert follow.state is FollowState.REMOVED_BY_CUSTOMER


async def test_groups_nobody_told_us_of_are_found_changed_and_ended(town: Town) -> None:
    await town.control("faults", callbacks={"drop_rate": 1.0})
    contact = str(town.customer.external_userid)
    made = await town.control(
        "create_group", owner=town.rm.userid, name="理财交流群", customers=[contact]
    )
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    [group] = await town.all(CustomerGroup)
    assert (group.name, group.owner_userid) == ("理财交流群", town.rm.userid)
    await town.control("change_group", chat_id=made["chat_id"], name="稳健理财群")
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    assert await mended(town, Kind.GROUPS) == {"group_changed": 1}
    await town.control("dismiss_group", chat_id=made["chat_id"])
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    [group] = await town.all(CustomerGroup)
    assert (group.name, group.dismissed_at is not None) == ("稳健理财群", True)


async def test_at_night_remarks_and_tags_are_compared(town: Town) -> None:
    await compares(town)
    await town.control("faults", callbacks={"drop_rate": 1.0})
    tags = (await town.control("create_tag", group="客户层级", names=["私行"]))["tags"]
    people = {"userid": town.rm.userid, "external_userid": town.customer.external_userid}
    await town.control("tag_customer", **people, add=[tags["私行"]])
    await town.control("edit_remark", **people, remark="夜里对账")
    town.clock.forward(timedelta(days=1))
    assert set(await compares(town)) == set(Kind)
    [follow], [tag] = await town.all(Follow), await town.all(CustomerTag)
    assert (follow.remark, tag.name, tag.source) == ("夜里对账", "私行", "wecom")
    assert await mended(town, Kind.DETAILS) == {"details": 1}
    town.clock.forward(timedelta(hours=1))
    assert Kind.DETAILS not in await compares(town)


async def test_a_member_out_of_range_stops_nobody_and_an_outage_is_told(
    town: Town, session: AsyncSession
) -> None:
    stranger = await a_staff(session, Role.RM, name="新人")  # not known to the platform
    await session.commit()
    await town.control("add_contact", userid=town.rm.userid, name="陈先生")
    await town.control("faults", callbacks={"drop_rate": 1.0})
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    assert stranger.id not in {f.staff_id for f in await town.all(Follow)}
    [done] = [one for one in await town.all(Repair) if one.kind == Kind.RELATIONS]
    assert done.failure.endswith("× 1")
    away = {"path": "externalcontact/list", "times": 9, "answer": 60020}
    await town.control("faults", api=[away])
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    rounds = sorted(await town.all(Repair), key=lambda one: one.id)
    assert "60020" in [one for one in rounds if one.kind == Kind.RELATIONS][-1].failure


async def test_the_page_tells_of_rounds_and_an_admin_may_ask_for_one(
    town: Town, session: AsyncSession
) -> None:
    admin, auditor = await a_staff(session, Role.ADMIN), await a_staff(session, Role.AUDITOR)
    await session.commit()
    desk = await town.client(admin)
    assert "还没有对账记录" in await desk.text("/system/repairs")
    await town.control("faults", callbacks={"drop_rate": 1.0})
    await town.control("add_contact", userid=town.rm.userid, name="陈先生")
    town.clock.forward(TEN_MINUTES)
    await compares(town)
    assert "新建立的关系 1" in await desk.text("/system/repairs")
    with town.parts.bells.ear(repair.BELL) as ear:
        answer = await desk.post("/system/repairs/tags/run")
        assert answer.status == 303
        assert await ear.get() == "tags"
    assert await compares(town, Kind.TAGS) == [Kind.TAGS]
    assert (await (await town.client(auditor)).post("/system/repairs/tags/run")).status == 403
    assert (await desk.post("/system/repairs/everything/run")).status == 404

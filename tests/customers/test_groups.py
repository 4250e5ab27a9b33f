"""Customer groups: what their events do, and who sees which."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role
from bank.settings import Settings
from bot.models import InboundEvent, InboundState
from customers.models import CustomerGroup, GroupMember
from tests.builders import a_branch, a_staff
from tests.conftest import Clock
from tests.journeys.test_relations import a_colleague
from tests.town import Town, a_town

STRANGER = "wmNEIGHBOUR0000000000000000001"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, one RM, one customer."""
    async with a_town(settings, clock, session) as made:
        yield made


async def heard(town: Town) -> None:
    """Callbacks have come; two seconds later they are handled."""
    await town.control("settle")
    await town.works()
    town.clock.forward(timedelta(seconds=2))
    await town.works()


async def a_group(town: Town, **more: object) -> str:
    """The RM opens a group with the customer."""
    contact = str(town.customer.external_userid)
    wish = {"owner": town.rm.userid, "name": "稳健理财交流群", "customers": [contact]} | more
    made = await town.control("create_group", **wish)
    await heard(town)
    return str(made["chat_id"])


async def members(town: Town) -> dict[str, GroupMember]:
    return {member.member_id: member for member in await town.all(GroupMember)}


async def test_a_new_group_waits_two_seconds_and_is_taken_in(town: Town) -> None:
    contact = str(town.customer.external_userid)
    await town.control("create_group", owner=town.rm.userid, name="群", customers=[contact])
    await town.control("settle")
    await town.works()
    assert await town.all(CustomerGroup) == []
    [event] = await town.all(InboundEvent)
    assert (event.state, event.attempts) == (InboundState.NEW, 0)
    town.clock.forward(timedelta(seconds=2))
    await town.works()
    [group] = await town.all(CustomerGroup)
    assert (group.name, group.owner_userid) == ("群", town.rm.userid)
    assert (await members(town))[contact].customer_id == town.customer.id


async def test_people_come_by_a_code_and_go(town: Town) -> None:
    chat_id = await a_group(town)
    await town.control("seed", contacts=[{"external_userid": STRANGER, "name": "邻居"}])
    joining = {"chat_id": chat_id, "userids": [STRANGER], "scene": "code", "state": "lobby-group"}
    await town.control("join_group", **joining)
    await heard(town)
    came = (await members(town))[STRANGER]
    assert (came.join_scene, came.channel_key, came.customer_id) == (3, "lobby-group", None)
    await town.control("leave_group", chat_id=chat_id, userids=[STRANGER], removed=True)
    await heard(town)
    went = (await members(town))[STRANGER]
    assert (went.left_at is not None, went.quit_scene) == (True, 1)


async def test_names_and_notices_follow_and_a_dismissed_group_stays_dismissed(town: Town) -> None:
    chat_id = await a_group(town)
    await town.control("change_group", chat_id=chat_id, name="新名字", notice="请勿发布广告")
    await heard(town)
    [group] = await town.all(CustomerGroup)
    assert (group.name, group.notice) == ("新名字", "请勿发布广告")
    await town.control("dismiss_group", chat_id=chat_id)
    await heard(town)
    # Every callback once more, in the wrong order.
    async with town.parts.sessions.begin() as session:
        for event in (await session.execute(select(InboundEvent))).scalars():
            event.state, event.lease_until = InboundState.NEW, None
    await heard(town)
    [group] = await town.all(CustomerGroup)
    assert group.dismissed_at is not None
    assert all(member.left_at for member in (await members(town)).values())


async def test_a_stale_answer_does_not_take_the_members_back(town: Town) -> None:
    chat_id = await a_group(town)
    colleagues = [f"wmGROUP{number:025d}" for number in range(3)]
    await town.control(
        "seed", contacts=[{"external_userid": one, "name": "群友"} for one in colleagues]
    )
    await town.control("faults", callbacks={"reorder": 1})
    for one in colleagues:
        town.clock.forward(timedelta(seconds=5))
        await town.control("join_group", chat_id=chat_id, userids=[one], scene="invite")
    await heard(town)
    await heard(town)
    here = {id_ for id_, member in (await members(town)).items() if member.left_at is None}
    told = await town.parts.wecom.groups.get(chat_id)
    assert here == {seat.userid for seat in told.members}
    [group] = await town.all(CustomerGroup)
    assert group.member_version == told.member_version


async def test_a_group_is_seen_by_who_owns_it_sits_in_it_or_manages_them(
    town: Town, session: AsyncSession
) -> None:
    colleague = await a_colleague(session, town, "赵强")
    outsider = await a_colleague(session, town, "钱伟")
    manager = await a_staff(session, Role.BRANCH_MANAGER, name="孙行长")
    manager.branch_id = town.rm.branch_id
    elsewhere = await a_staff(session, Role.BRANCH_MANAGER, branch=await a_branch(session))
    auditor = await a_staff(session, Role.AUDITOR)
    await session.commit()
    await a_group(town, members=[colleague.userid])
    [group] = await town.all(CustomerGroup)
    for person in (town.rm, colleague, manager, auditor):
        desk = await town.client(person)
        assert "稳健理财交流群" in await desk.text("/groups"), person.name
        assert (await desk.get(f"/groups/{group.id}")).status == 200
    for person in (outsider, elsewhere):
        desk = await town.client(person)
        assert "还没有客户群" in await desk.text("/groups")
        assert (await desk.get(f"/groups/{group.id}")).status == 404


async def test_the_page_names_ones_own_customers_and_links_only_to_them(
    town: Town, session: AsyncSession
) -> None:
    colleague = await a_colleague(session, town, "赵强")
    await a_group(town, members=[colleague.userid])
    [group] = await town.all(CustomerGroup)
    link = f'href="/customers/{town.customer.id}"'
    own = await (await town.client(town.rm)).text(f"/groups/{group.id}")
    others = await (await town.client(colleague)).text(f"/groups/{group.id}")
    assert link in own
    assert "成员邀请" in own
    assert link not in others

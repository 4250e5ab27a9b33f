"""The demo bank's customer groups: as rows, at the platform, and on their pages."""

from collections import Counter
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from bot.demo.groups import script
from bot.demo.world import seeded_world
from bot.groups.recognising import question_of, why_private
from customers import group_book
from customers.models import Customer, CustomerGroup, Follow, GroupMember
from knowledge import gaps
from knowledge.encoder import load_encoder
from tests.demo.looking import MIDNIGHT, by_id, every


async def test_there_are_ten_groups_of_rms_and_one_is_over(bank: AsyncSession) -> None:
    groups = await every(bank, CustomerGroup)
    staff = {person.userid: person for person in await every(bank, Staff)}
    assert len({group.name for group in groups}) == len(groups) == 10
    assert sum(group.dismissed_at is not None for group in groups) == 1
    assert all(staff[group.owner_userid].roles == [Role.RM] for group in groups)
    seats = await every(bank, GroupMember)
    here = Counter(seat.group_id for seat in seats if seat.left_at is None)
    assert all(15 <= here[group.id] <= 60 for group in groups if group.dismissed_at is None)
    assert all(here[group.id] == 0 for group in groups if group.dismissed_at is not None)


async def test_who_is_in_a_group_came_after_it_opened_and_is_somebodys_customer_or_a_stranger(
    bank: AsyncSession,
) -> None:
    groups, customers = await by_id(bank, CustomerGroup), await by_id(bank, Customer)
    served = {follow.customer_id: follow.added_at for follow in await every(bank, Follow)}
    for seat in await every(bank, GroupMember):
        group = groups[seat.group_id]
        ended = group.dismissed_at or MIDNIGHT
        assert group.created_at <= seat.joined_at < (seat.left_at or ended) <= ended
        assert (seat.quit_scene is None) == (seat.left_at in (None, group.dismissed_at))
        assert bool(seat.channel_key) == (seat.join_scene == 3) != bool(seat.invited_by)
        if seat.customer_id is not None:
            assert customers[seat.customer_id].external_userid == seat.member_id
            assert seat.customer_id in served
    strangers = [s for s in await every(bank, GroupMember) if not (s.is_staff or s.customer_id)]
    assert len({s.nickname for s in strangers}) == len(strangers) > 40


async def test_this_week_some_came_and_some_left(bank: AsyncSession) -> None:
    groups = [g for g in await every(bank, CustomerGroup) if g.dismissed_at is None]
    lines = [await group_book.line_of(bank, group, MIDNIGHT) for group in groups]
    assert sum(line.joined for line in lines) > 5
    assert sum(line.left for line in lines) > 3
    seats = await every(bank, GroupMember)
    for group in groups:
        grown = group_book.growth([s for s in seats if s.group_id == group.id], MIDNIGHT)
        assert len({number for _, number in grown}) > 1


async def test_the_platform_knows_the_same_groups_and_their_codes_lead_in(
    bank: AsyncSession,
) -> None:
    world = await seeded_world(bank)
    groups = {group.chat_id: group for group in await every(bank, CustomerGroup)}
    seats = await every(bank, GroupMember)
    assert world.groups.keys() == groups.keys()
    for chat_id, told in world.groups.items():
        kept = {seat.member_id for seat in seats if seat.group_id == groups[chat_id].id}
        assert told.members.keys() <= kept
        assert told.owner in told.members
        for member in told.members:
            assert member in world.members or member in world.contacts
    assert len(world.join_ways) == 9
    for way in world.join_ways.values():
        [chat_id] = way.chat_ids
        keys = {s.channel_key for s in seats if s.group_id == groups[chat_id].id}
        assert keys == {"", way.state}


async def test_what_was_said_in_groups_was_heard_by_who_was_in_them(bank: AsyncSession) -> None:
    world = await seeded_world(bank)
    said = [message for message in world.messages if message.chat_id]
    assert len(said) > 20
    for message in said:
        group = world.groups[message.chat_id]
        assert MIDNIGHT - timedelta(days=4) < message.at < MIDNIGHT
        assert {message.userid or message.external_userid, *message.audience} <= set(group.members)


def test_one_group_asks_the_same_in_three_ways_and_something_private() -> None:
    [talk] = script()["asked"].values()
    asked = [question_of(told["text"]) for told in talk if told["by"] == "customer"]
    public = [text for text in asked if not why_private(text, [])]
    assert len(asked) - len(public) == 1
    numbers = gaps.grouped([], load_encoder("builtin").encode(public))
    assert sorted(Counter(numbers).values()) == [1, 1, 3]

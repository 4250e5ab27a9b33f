"""What else stands against words: an age, a group, a stop of models."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from compliance.suitability import Unsuitable
from content.models import Product
from desk.signed import Signed
from outbound import reasons, stops
from outbound.check import Cleared, Refused
from outbound.facts import Seat
from outbound.models import Door
from tests.builders import MONDAY, a_product, a_staff
from tests.outbound.worlds import POLICY, World, a_world

SEATS = (Seat("wmA", None, "赵先生", consents=True), Seat("wmB", None, "", consents=True))


async def into_a_group(world: World, text: str = "", **facts: Any) -> Cleared | Refused:
    """The RM sends the material into a customer group, as it stands."""
    given = {"door": Door.GROUP, "customer_id": None, "suggested": "", "chat_id": "wrGroup"}
    given |= {"recipients": SEATS, "branch_id": world.rm.branch_id, **facts}
    return await world.says(text, source="g1", **given)


async def refusals(world: World, text: str = "", **facts: Any) -> tuple[str, ...]:
    answer = await into_a_group(world, text, **facts)
    assert isinstance(answer, Refused), answer
    return answer.reasons


async def test_approved_material_goes_into_a_group_and_the_row_keeps_who_is_there(
    session: AsyncSession,
) -> None:
    world = await a_world(session)
    assert isinstance(await into_a_group(world), Cleared)
    row = await world.row()
    assert (row.door, row.channel, row.chat_id) == (Door.GROUP, "group", "wrGroup")
    assert row.recipients == [
        {"member_id": "wmA", "customer_id": ""},
        {"member_id": "wmB", "customer_id": ""},
    ]


async def test_material_not_approved_for_groups_is_refused(session: AsyncSession) -> None:
    world = await a_world(session, channels=("single_chat",))
    assert await refusals(world) == (reasons.NOT_FOR_GROUP,)


async def a_private_product(session: AsyncSession) -> Product:
    product = await a_product(session, rating=1, name="臻选私募一号")
    product.offering = "private"
    await session.flush()
    return product


async def test_a_private_offering_is_not_for_groups_as_material_or_by_name(
    session: AsyncSession,
) -> None:
    private = await a_private_product(session)
    of_material = await a_world(session, products=[private], risk=1)
    assert await refusals(of_material) == (reasons.NOT_FOR_GROUP,)
    world = await a_world(session)
    said = await refusals(world, f"{world.version.body}臻选私募一号也在其中。")
    assert reasons.PRIVATE_IN_GROUP.format(name=private.name) in said


@pytest.mark.parametrize(("allowed", "passes"), [(2, True), (1, False), (0, False)])
async def test_a_product_above_the_groups_level_is_refused(
    session: AsyncSession, allowed: int, passes: bool
) -> None:
    product = await a_product(session, rating=2)
    world = await a_world(session, products=[product], risk=2)
    world.policy = replace(POLICY, group_level=allowed)
    assert isinstance(await into_a_group(world), Cleared) is passes


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("联系电话13800138000。", reasons.PERSONAL_IN_GROUP.format(what="手机号")),
        ("赵先生昨天也问过。", reasons.NAMES_IN_GROUP.format(name="赵先生")),
    ],
)
async def test_nobodys_personal_data_goes_into_a_group(
    session: AsyncSession, more: str, why: str
) -> None:
    world = await a_world(session)
    assert why in await refusals(world, f"{world.version.body}{more}")


async def test_advertising_needs_the_consent_of_everybody_in_the_group(
    session: AsyncSession,
) -> None:
    world = await a_world(session)
    some = (SEATS[0], replace(SEATS[1], consents=False))
    told = await refusals(world, marketing=True, recipients=some)
    assert told == (reasons.NO_GROUP_CONSENT.format(count=1),)
    assert isinstance(await into_a_group(world, marketing=True), Cleared)


async def test_an_empty_group_gets_nothing(session: AsyncSession) -> None:
    assert await refusals(await a_world(session), recipients=()) == (reasons.GROUP_EMPTY,)


async def aged(world: World, years: int) -> None:
    """The customer is that old."""
    world.customer.born_on = (MONDAY - timedelta(days=366 * years)).date()
    await world.session.flush()


async def test_sixty_five_and_r3_needs_the_special_notice_and_the_row_says_it_was_given(
    session: AsyncSession,
) -> None:
    product = await a_product(session, rating=3)
    world = await a_world(session, products=[product], risk=3)
    await aged(world, 70)
    answer = await world.refused()
    assert answer.reasons == (Unsuitable.SENIOR_NEEDS_NOTICE.label,)
    await world.cleared(notice_given=True, source="s2")
    told = {row.source_id: row.special_notice for row in await world.rows()}
    assert told == {"s1": False, "s2": True}


async def test_a_notice_ticked_where_none_is_due_is_not_kept_as_given(
    session: AsyncSession,
) -> None:
    world = await a_world(session)
    await world.cleared(notice_given=True)
    assert not (await world.row()).special_notice


async def test_nobody_under_eighteen_gets_advertising(session: AsyncSession) -> None:
    world = await a_world(session)
    await aged(world, 16)
    assert (await world.refused(marketing=True)).reasons == (reasons.MINOR,)
    assert isinstance(await world.says(source="s2"), Cleared)


async def somebody(session: AsyncSession, *roles: Role) -> Signed:
    """A member of staff with these roles, signed in."""
    staff = await a_staff(session, *roles)
    return Signed(staff.id, staff.userid, staff.name, frozenset(roles), None, "token")


async def test_a_models_words_do_not_go_out_while_models_are_stopped(
    session: AsyncSession,
) -> None:
    world = await a_world(session)
    officer = await somebody(session, Role.COMPLIANCE)
    assert await stops.stop(session, by=officer, reason="抽检发现编造", now=MONDAY)
    assert not await stops.stop(session, by=officer, reason="再按一次", now=MONDAY)
    answer = await world.refused(writer="openai:qwen")
    assert answer.reasons == (reasons.MODEL_STOPPED,)
    assert isinstance(await world.says(source="s2"), Cleared)


async def test_lifting_needs_head_office_to_ask_and_another_person_of_compliance_to_agree(
    session: AsyncSession,
) -> None:
    officer = await somebody(session, Role.COMPLIANCE)
    both = await somebody(session, Role.HQ, Role.COMPLIANCE)
    await stops.stop(session, by=officer, reason="抽检发现编造", now=MONDAY)
    why = "复测 688 句全部通过"

    async def lifted(by: Signed) -> object:
        return await stops.lift(session, by=by, now=MONDAY)

    assert await lifted(officer) == stops.Refused(stops.NOT_ASKED)
    not_hq = await stops.ask(session, by=officer, because=why, now=MONDAY)
    assert not_hq == stops.Refused(stops.NOT_HEAD_OFFICE)
    short = await stops.ask(session, by=both, because="好", now=MONDAY)
    assert short == stops.Refused(stops.SAY_WHY)
    await stops.ask(session, by=both, because=why, now=MONDAY)
    assert await lifted(both) == stops.Refused(stops.SAME_PERSON)
    assert await lifted(await somebody(session, Role.HQ)) == stops.Refused(stops.NOT_COMPLIANCE)
    assert not isinstance(await lifted(officer), stops.Refused)
    assert await stops.current(session) is None
    assert await lifted(officer) == stops.Refused(stops.NOT_STOPPED)

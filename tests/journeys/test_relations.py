"""Customers come, go and change hands: what each event does, in one transaction and only once."""

import asyncio
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import AuditEntry, Role, Staff
from bot.models import InboundEvent, InboundState, MemberCard
from customers.models import CorpTag, Customer, CustomerTag, Follow, FollowState, Stage
from scheduler import results, sending
from scheduler.models import (
    Enrolment,
    EnrolmentState,
    LatePolicy,
    Sop,
    SopState,
    Step,
    Touch,
    TouchState,
    Trigger,
)
from tests.builders import MONDAY, a_staff, an_approved_material
from tests.town import Town

NEWCOMER = "wmNEWCOMER00000000000000000001"
TAKEOVER_SECONDS = 5


async def a_running_sop(session: AsyncSession, town: Town) -> Sop:
    """A SOP for new customers: one touch in three days, nobody in control."""
    version = await an_approved_material(session)
    sop = Sop(
        code="NEW",
        name="新客欢迎",
        kind="welcome",
        goal="熟悉服务",
        trigger=Trigger.FOLLOW_ADDED,
        control_percent=0,
        marketing=False,
        state=SopState.RUNNING,
        owner_id=town.rm.id,
        created_at=MONDAY,
    )
    session.add(sop)
    await session.flush()
    session.add(
        Step(
            sop_id=sop.id,
            position=1,
            day=3,
            at=time(10),
            material_id=version.material_id,
            late=LatePolicy.SEND,
        )
    )
    await session.commit()
    return sop


async def a_colleague(session: AsyncSession, town: Town, name: str = "赵强") -> Staff:
    """Another RM of the same branch, known to the platform too."""
    rm = await a_staff(session, Role.RM, name=name)
    rm.branch_id = town.rm.branch_id
    await session.commit()
    await town.control("seed", members=[{"userid": rm.userid, "name": rm.name}])
    return rm


async def comes(town: Town, rm: Staff | None = None, **more: Any) -> None:
    """A new customer adds the RM, and the product has heard of it."""
    wish = {"external_userid": NEWCOMER, "name": "陈先生"} | more
    await town.control("add_contact", userid=(rm or town.rm).userid, **wish)
    await heard(town)


async def heard(town: Town) -> None:
    """Every callback so far has come and is handled."""
    town.clock.forward(timedelta(seconds=3))
    await town.control("settle")
    await town.works()


async def newcomer(town: Town) -> Customer:
    [found] = [c for c in await town.all(Customer) if c.external_userid == NEWCOMER]
    return found  # type: ignore[no-any-return]


async def follow_of(town: Town, rm: Staff, customer: Customer) -> Follow:
    rows = await town.all(Follow)
    [found] = [f for f in rows if (f.staff_id, f.customer_id) == (rm.id, customer.id)]
    return found  # type: ignore[no-any-return]


async def outcomes(town: Town) -> list[str]:
    return [e.outcome for e in sorted(await town.all(InboundEvent), key=lambda e: e.id)]


async def cards_on_desktop(town: Town, rm: Staff) -> list[dict[str, Any]]:
    async with town.http.get(f"{town.platform}/control/state") as response:
        world = (await response.json())["world"]
    messages = world["app_messages"]
    rows = messages["newest"] if isinstance(messages, dict) else messages
    return [m for m in rows if m["userid"] == rm.userid and m["msgtype"] == "template_card"]


# ------------------------------------------------------------------------------- they come


async def test_a_new_customer_is_taken_in_with_channel_way_and_remark(
    town: Town, session: AsyncSession
) -> None:
    sop = await a_running_sop(session, town)
    await comes(town, state="lobby-01", add_way=1)
    await town.control(
        "edit_remark", userid=town.rm.userid, external_userid=NEWCOMER, remark="大堂认识的陈先生"
    )
    await heard(town)
    customer = await newcomer(town)
    follow = await follow_of(town, town.rm, customer)
    assert (follow.state, follow.source, follow.add_way) == (FollowState.ACTIVE, "lobby-01", 1)
    assert follow.remark == "大堂认识的陈先生"
    assert customer.branch_id == town.rm.branch_id
    [enrolled] = await town.all(Enrolment)
    assert (enrolled.sop_id, enrolled.customer_id, enrolled.staff_id) == (
        sop.id,
        customer.id,
        town.rm.id,
    )


async def test_half_added_first_and_whole_later_starts_the_sop_once(
    town: Town, session: AsyncSession
) -> None:
    await a_running_sop(session, town)
    await comes(town, half=True)
    assert await town.all(Enrolment) == []
    await comes(town)
    assert len(await town.all(Enrolment)) == 1


async def test_company_tags_are_put_on_renamed_and_taken_off(town: Town) -> None:
    await comes(town)
    tags = (await town.control("create_tag", group="客户层级", names=["私行", "财富"]))["tags"]
    await heard(town)
    people = {"userid": town.rm.userid, "external_userid": NEWCOMER}
    await town.control("tag_customer", **people, add=[tags["私行"], tags["财富"]])
    await heard(town)
    assert await worn(town) == {"私行", "财富"}
    await town.control("rename_tag", id=tags["私行"], name="私人银行")
    await heard(town)
    assert await worn(town) == {"私人银行", "财富"}
    await town.control("delete_tag", id=tags["财富"])
    await heard(town)
    assert await worn(town) == {"私人银行"}
    kept = {tag.name: tag.deleted_at is not None for tag in await town.all(CorpTag)}
    assert kept == {"私人银行": False, "财富": True}


async def worn(town: Town) -> set[str]:
    customer = await newcomer(town)
    tags = await town.all(CustomerTag)
    return {t.name for t in tags if t.customer_id == customer.id and t.source == "wecom"}


async def test_agreeing_to_archiving_is_kept_with_the_relation_and_shown(town: Town) -> None:
    await comes(town)
    await town.control("agree_archive", userid=town.rm.userid, external_userid=NEWCOMER)
    await heard(town)
    customer = await newcomer(town)
    assert (await follow_of(town, town.rm, customer)).archive_agreed_at is not None
    page = await (await town.client(town.rm)).text(f"/customers/{customer.id}")
    assert "已同意会话存档" in page


# --------------------------------------------------------------------------------- they go


async def test_a_customer_who_leaves_stops_everything_and_the_rm_is_told_once(
    town: Town, session: AsyncSession
) -> None:
    await a_running_sop(session, town)
    await comes(town)
    await town.control("delete_follow", userid=town.rm.userid, external_userid=NEWCOMER)
    await heard(town)
    customer = await newcomer(town)
    follow = await follow_of(town, town.rm, customer)
    assert follow.state is FollowState.REMOVED_BY_CUSTOMER
    assert customer.stage is Stage.LOST
    [enrolled], [touch] = await town.all(Enrolment), await town.all(Touch)
    assert (enrolled.state, touch.state) == (EnrolmentState.LEFT, TouchState.CANCELLED)
    [card] = await town.all(MemberCard)
    assert (card.userids, card.subject_id) == ([town.rm.userid], str(customer.id))
    assert len(await cards_on_desktop(town, town.rm)) == 1
    assert (await (await town.client(town.rm)).get(f"/customers/{customer.id}")).status == 404
    # Again, as a restarted process would: nobody is told twice.
    async with town.parts.sessions.begin() as other:
        for event in (await other.execute(select(InboundEvent))).scalars():
            event.state, event.attempts, event.lease_until = InboundState.NEW, 0, None
    await town.works()
    assert len(await cards_on_desktop(town, town.rm)) == 1
    assert (await follow_of(town, town.rm, customer)).state is FollowState.REMOVED_BY_CUSTOMER


async def test_a_customer_who_comes_back_is_as_before_and_gets_no_second_sop(
    town: Town, session: AsyncSession
) -> None:
    await a_running_sop(session, town)
    await comes(town)
    async with town.parts.sessions.begin() as other:
        (await other.get_one(Customer, (await newcomer(town)).id)).stage = Stage.FOLLOWING
    await town.control("delete_follow", userid=town.rm.userid, external_userid=NEWCOMER)
    await heard(town)
    assert (await newcomer(town)).stage is Stage.LOST
    await comes(town)
    customer = await newcomer(town)
    follow = await follow_of(town, town.rm, customer)
    assert (follow.state, follow.removed_at) == (FollowState.ACTIVE, None)
    assert customer.stage is Stage.FOLLOWING
    assert len(await town.all(Enrolment)) == 1


async def test_a_customer_another_rm_still_follows_is_not_lost(
    town: Town, session: AsyncSession
) -> None:
    other = await a_colleague(session, town)
    await comes(town)
    await comes(town, other)
    await town.control("delete_follow", userid=town.rm.userid, external_userid=NEWCOMER)
    await heard(town)
    assert (await newcomer(town)).stage is Stage.NEW


# ------------------------------------------------------------------------ they change hands


async def transfers(town: Town, to: Staff, **outcome: str) -> None:
    """A handover is asked for and happens, or fails for a reason."""
    asked = await town.parts.wecom.transfers.request(town.rm.userid, to.userid, [NEWCOMER])
    assert all(row.errcode == 0 for row in asked)
    await town.control("finish_transfer", external_userid=NEWCOMER, **outcome)


async def test_after_a_handover_the_old_rm_sees_nothing_and_sends_nothing(
    town: Town, session: AsyncSession
) -> None:
    await a_running_sop(session, town)
    taker = await a_colleague(session, town)
    await comes(town)
    customer = await newcomer(town)
    desk, sidebar = await town.client(town.rm), await town.sidebar()
    assert (await desk.get(f"/customers/{customer.id}")).status == 200
    stream = await sidebar.get(f"/sidebar/{NEWCOMER}/stream")
    assert b"look" in await stream.content.readuntil(b"\n\n")
    await transfers(town, taker)
    await heard(town)
    # Two nudges at most, the end of the stream after them: within five seconds on any clock.
    async with asyncio.timeout(TAKEOVER_SECONDS):
        rest = await stream.content.read()
    assert b"look" in rest
    assert (await sidebar.get(f"/sidebar/{NEWCOMER}/stream")).status == 404
    assert "不在您的客户名单中" in await sidebar.text(f"/sidebar/{NEWCOMER}/suggest")
    assert (await desk.get(f"/customers/{customer.id}")).status == 404
    assert (await (await town.client(taker)).get(f"/customers/{customer.id}")).status == 200
    old, new = await follow_of(town, town.rm, customer), await follow_of(town, taker, customer)
    assert (old.state, new.state) == (FollowState.TRANSFERRED, FollowState.ACTIVE)
    assert {touch.state for touch in await town.all(Touch)} == {TouchState.CANCELLED}
    assert {e.state for e in await town.all(Enrolment)} == {EnrolmentState.LEFT}


async def test_the_takers_add_alone_moves_access_before_the_deletion_is_heard_of(
    town: Town, session: AsyncSession
) -> None:
    taker = await a_colleague(session, town)
    await comes(town)
    customer = await newcomer(town)
    desk = await town.client(town.rm)
    await town.control("faults", callbacks={"delay": 1})  # the deletion comes late
    await transfers(town, taker)
    await heard(town)
    assert (await desk.get(f"/customers/{customer.id}")).status == 404
    assert (await follow_of(town, town.rm, customer)).state is FollowState.GONE
    await town.control("release")
    await heard(town)
    assert (await follow_of(town, town.rm, customer)).state is FollowState.TRANSFERRED


async def test_a_failed_handover_is_noted_and_shown(town: Town, session: AsyncSession) -> None:
    taker = await a_colleague(session, town)
    await comes(town)
    await transfers(town, taker, reason="customer_refused")
    await heard(town)
    customer = await newcomer(town)
    follow = await follow_of(town, town.rm, customer)
    assert (follow.state, follow.transfer_failure) == (FollowState.ACTIVE, "customer_refused")
    page = await (await town.client(town.rm)).text(f"/customers/{customer.id}")
    assert "客户拒绝" in page


# ------------------------------------------------------------------------------ late and odd


async def test_two_different_events_of_one_second_are_both_handled(town: Town) -> None:
    """F-06: the platform counts in seconds; what tells events apart is their whole text."""
    await town.control("add_contact", userid=town.rm.userid, external_userid=NEWCOMER, name="陈")
    people = {"userid": town.rm.userid, "external_userid": NEWCOMER}
    await town.control("edit_remark", **people, remark="备注一")
    await town.control("agree_archive", **people)
    await heard(town)
    kinds = {e.kind for e in await town.all(InboundEvent) if e.order_key == NEWCOMER}
    assert len(kinds) == 3
    follow = await follow_of(town, town.rm, await newcomer(town))
    assert (follow.remark, follow.archive_agreed_at is not None) == ("备注一", True)


async def test_a_mass_send_that_finds_no_friend_ends_the_relation(
    town: Town, session: AsyncSession
) -> None:
    await a_running_sop(session, town)
    await comes(town)
    customer = await newcomer(town)
    await town.control("faults", callbacks={"drop": 9})
    town.clock.at(datetime(2026, 11, 26, 2, 5, tzinfo=MONDAY.tzinfo))
    parts = town.parts
    await sending.send_due(parts.sessions, parts.wecom, parts.settings, town.clock())
    await town.control("delete_follow", userid=town.rm.userid, external_userid=NEWCOMER)
    async with town.http.get(f"{town.platform}/control/state") as response:
        tasks = (await response.json())["world"]["tasks"]
    [msgid] = tasks["newest"] if isinstance(tasks, dict) and "newest" in tasks else list(tasks)
    await town.control("confirm_task", msgid=msgid, userid=town.rm.userid)
    town.clock.forward(timedelta(minutes=1))
    await results.collect(parts.sessions, parts.wecom, town.clock())
    follow = await follow_of(town, town.rm, customer)
    assert follow.state is FollowState.REMOVED_BY_CUSTOMER
    assert (await newcomer(town)).stage is Stage.LOST
    assert {sop.state for sop in await town.all(Sop)} == {SopState.RUNNING}


async def test_what_ended_is_in_the_audit_book_once(town: Town) -> None:
    await comes(town)
    await town.control("delete_follow", userid=town.rm.userid, external_userid=NEWCOMER)
    await heard(town)
    async with town.parts.sessions() as session:
        query = select(AuditEntry).where(col(AuditEntry.action) == "customers:follow:end")
        [line] = (await session.execute(query)).scalars()
    assert line.detail == {"how": "removed_by_customer"}

"""What every event does: every kind its own, and the same end in whatever order they come."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution.models import Touchpoint
from bank.models import Role, Staff
from bank.settings import Settings
from bot.inbound.effects import ROUTES, Later, Work, handle, outcome_label
from bot.models import InboundEvent, InboundState
from customers.models import Customer, CustomerTag, Follow, FollowState
from scheduler.models import Enrolment, EnrolmentState
from tests.builders import a_staff
from tests.conftest import Clock
from tests.journeys.test_relations import a_running_sop
from tests.town import Town, a_town
from wecom import event_kinds
from wecom.event_kinds import Event, MemberAction, MemberMessage

CORP = "wx5823bf96d3bd56c7"
numbers = count(1)


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform, one RM, one customer."""
    async with a_town(settings, clock, session) as made:
        yield made


def said(event: str, fields: str, at: datetime, *, change: str = "") -> str:
    changed = f"<ChangeType>{change}</ChangeType>" if change else ""
    return (
        f"<xml><ToUserName>{CORP}</ToUserName><FromUserName>sys</FromUserName>"
        f"<CreateTime>{int(at.timestamp())}</CreateTime><MsgType>event</MsgType>"
        f"<Event>{event}</Event>{changed}{fields}</xml>"
    )


def between(userid: str, contact: str, change: str, at: datetime, more: str = "") -> str:
    people = f"<UserID>{userid}</UserID><ExternalUserID>{contact}</ExternalUserID>"
    return said("change_external_contact", people + more, at, change=change)


async def done(town: Town, body: str) -> str | Later:
    """The event's effect, at the town's present moment."""
    parts = town.parts
    async with parts.sessions.begin() as session:
        work = Work(
            session=session,
            sessions=parts.sessions,
            wecom=parts.wecom,
            archive=None,
            settings=parts.settings,
            now=town.clock(),
            received_at=town.clock(),
        )
        return await handle(work, body)


# --------------------------------------------------------------------------------- the table


def test_every_kind_of_event_has_its_line_in_the_table() -> None:
    named = [kind for kind in vars(event_kinds).values() if isinstance(kind, type)]
    kinds = {kind for kind in named if issubclass(kind, Event)}
    assert ROUTES.keys() == kinds - {Event, MemberMessage, MemberAction}


@pytest.mark.parametrize(
    ("event", "fields", "change", "words"),
    [
        ("sys_approval_change", "<ApprovalInfo><SpNo>1</SpNo></ApprovalInfo>", "", "已记录"),
        ("batch_job_result", "<BatchJob><JobId>j</JobId></BatchJob>", "", "已记录"),
        ("change_contact", "<UserID>li</UserID>", "update_user", "已记录"),
        ("low_active_alert", "<AgentID>1</AgentID>", "", "已在系统页面告警"),
        ("active_restored", "<AgentID>1</AgentID>", "", "平台已解除预警"),
        ("customer_acquisition", "<LinkId>ca1</LinkId>", "balance_low", "已在系统页面告警"),
        ("something_new", "", "", "当前版本不识别的事件（something_new）"),
    ],
)
async def test_what_was_done_is_said_in_words(
    town: Town, event: str, fields: str, change: str, words: str
) -> None:
    outcome = await done(town, said(event, fields, town.clock(), change=change))
    assert isinstance(outcome, str)
    assert words in outcome_label(outcome)


async def test_a_customer_of_a_link_who_wrote_is_a_touchpoint_once(town: Town) -> None:
    people = (
        f"<UserID>{town.rm.userid}</UserID>"
        f"<ExternalUserID>{town.customer.external_userid}</ExternalUserID>"
        "<LinkId>ca1</LinkId><ChatSeq>3</ChatSeq><ChatKey>K</ChatKey>"
    )
    wrote = said("customer_acquisition", people, town.clock(), change="message_from_customer")
    assert await done(town, wrote) == await done(town, wrote) == "customer wrote"
    [seen] = await town.all(Touchpoint)
    assert (seen.customer_id, seen.kind) == (town.customer.id, "customer_wrote")


async def test_an_unknown_kind_is_kept_and_handled_by_the_version_that_knows_it(
    town: Town, session: AsyncSession
) -> None:
    """As after an upgrade: the text is there, its kind has a handler by now."""
    contact = str(town.customer.external_userid)
    body = between(town.rm.userid, contact, "edit_external_contact", town.clock())
    await town.parts.inbox.put(body, contact, town.clock(), kind="change_external_contact.edit")
    async with town.parts.sessions.begin() as other:
        stored = (await other.execute(select(InboundEvent))).scalar_one()
        stored.state, stored.outcome = InboundState.DONE, "not handled: edit_external_contact"
        number = stored.id
    admin = await a_staff(session, Role.ADMIN)
    await session.commit()
    desk = await town.client(admin)
    assert "当前版本不识别的事件" in await desk.text("/system/inbound")
    assert (await desk.post(f"/system/inbound/{number}/replay")).status == 303
    await town.works()
    [handled] = await town.all(InboundEvent)
    assert (handled.state, handled.outcome) == (InboundState.DONE, "relation updated")


# ------------------------------------------------------------ any order, any delay, any number

ACTS = ("add", "add_other", "leave", "leave_other", "remove", "remark", "agree")


@dataclass
class Story:
    """One contact, what happened on the platform, and the events it made."""

    town: Town
    other: Staff
    contact: str
    events: list[str]

    async def act(self, act: str) -> str | None:
        """Do it on the platform if it is possible; the event it makes."""
        rm = self.other if act.endswith("_other") else self.town.rm
        change, verb, wish = {
            "add": ("add_external_contact", "add_contact", {"name": "陈先生", "state": "c1"}),
            "leave": ("del_follow_user", "delete_follow", {}),
            "remove": ("del_external_contact", "delete_follow", {"by": "member"}),
            "remark": ("edit_external_contact", "edit_remark", {"remark": f"第{len(self.events)}"}),
            "agree": ("msg_audit_approved", "agree_archive", {}),
        }[act.removesuffix("_other")]
        people = {"userid": rm.userid, "external_userid": self.contact}
        address = f"{self.town.platform}/control/{verb}"
        async with self.town.http.post(address, json=people | wish) as answer:
            if answer.status != 200:
                return None
        event = between(rm.userid, self.contact, change, self.town.clock())
        self.events.append(event)
        return event

    async def state(self) -> dict[str, Any]:
        """What we know of the contact, as far as WeCom still tells it."""
        async with self.town.parts.sessions() as session:
            found = select(Customer).where(Customer.external_userid == self.contact)
            customer = (await session.execute(found)).scalar_one()
            query = select(Follow).where(Follow.customer_id == customer.id)
            follows = (await session.execute(query)).scalars().all()
            tags = select(CustomerTag.name).where(CustomerTag.customer_id == customer.id)
            worn = sorted((await session.execute(tags)).scalars())
        return {
            "stage": customer.stage,
            "tags": worn,
            "follows": {str(f.staff_id): _told(f) for f in follows},
        }

    async def enrolments(self) -> list[EnrolmentState]:
        async with self.town.parts.sessions() as session:
            found = select(Customer.id).where(Customer.external_userid == self.contact)
            mine = (await session.execute(found)).scalar_one()
            query = select(Enrolment.state).where(Enrolment.customer_id == mine)
            states = (await session.execute(query)).scalars()
            return sorted(EnrolmentState(state) for state in states)


def _told(follow: Follow) -> tuple[Any, ...]:
    if follow.state is not FollowState.ACTIVE:
        return follow.state, follow.removed_at
    return (
        follow.state,
        follow.added_at,
        follow.source,
        follow.remark,
        follow.add_way,
        follow.archive_agreed_at,
    )


async def a_story(town: Town, other: Staff) -> Story:
    """A contact whom the bank knows from elsewhere."""
    contact = f"wmSTORY{next(numbers):024d}"
    async with town.parts.sessions.begin() as session:
        session.add(Customer(external_userid=contact, name="陈先生", created_at=town.clock()))
    return Story(town, other, contact, [])


async def same_end(
    town: Town, other: Staff, acts: Sequence[str], order: Sequence[int], again: Sequence[int]
) -> None:
    """One story told three ways: as it happens, late in order, and late in any order."""
    told, late, shuffled = [await a_story(town, other) for _ in range(3)]
    for act in acts:
        town.clock.forward(timedelta(minutes=7))
        for story in (told, late, shuffled):
            event = await story.act(act)
            if event and story is told:
                await done(town, event)
    town.clock.forward(timedelta(hours=20))
    for event in late.events:
        await done(town, event)
    places = sorted(range(len(shuffled.events)), key=lambda at: order[at])
    for at in [*places, *(place for place in again if place < len(places))]:
        await done(town, shuffled.events[at])
    if not told.events:
        return
    ends = [await story.state() for story in (told, late, shuffled)]
    assert ends[0] == ends[1] == ends[2]
    assert await late.enrolments() == await shuffled.enrolments()
    active = any(end[0] is FollowState.ACTIVE for end in ends[0]["follows"].values())
    for story in (told, late, shuffled):
        states = await story.enrolments()
        assert len(states) <= 1
        assert active or EnrolmentState.ACTIVE not in states


async def test_any_order_delay_and_repetition_of_events_comes_to_the_same_end(
    town: Town, session: AsyncSession
) -> None:
    """I7 and F-05: nothing is started twice, and the end is what WeCom says."""
    await a_running_sop(session, town)
    other = await a_staff(session, Role.RM, name="赵强")
    await session.commit()
    await town.control("seed", members=[{"userid": other.userid, "name": other.name}])
    await town.control("faults", callbacks={"drop_rate": 1.0})
    loop = asyncio.get_running_loop()

    @trying(
        max_examples=60,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(
        st.lists(st.sampled_from(ACTS), min_size=1, max_size=5),
        st.permutations(range(5)),
        st.lists(st.integers(0, 4), max_size=3),
    )
    def stories(acts: list[str], order: list[int], again: list[int]) -> None:
        telling = same_end(town, other, ["add", *acts][:5], order, again)
        asyncio.run_coroutine_threadsafe(telling, loop).result()

    await asyncio.to_thread(stories)


async def test_a_deletion_counts_though_wecom_still_lists_the_customer(town: Town) -> None:
    """Some who delete their RM stay in WeCom's list; what ended comes back only with a new add."""
    contact = str(town.customer.external_userid)
    at = town.clock() + timedelta(minutes=1)
    town.clock.forward(timedelta(minutes=2))
    left = between(town.rm.userid, contact, "del_follow_user", at)
    assert await done(town, left) == "relation ended"
    edited = between(town.rm.userid, contact, "edit_external_contact", at)
    assert await done(town, edited) == "not handled: the relation is over already"
    [follow] = await town.all(Follow)
    assert (follow.state, follow.removed_at) == (FollowState.REMOVED_BY_CUSTOMER, at)

"""A sender dies at every marked point: never two tasks at the platform, and none is lost.

before intent · after intent · before the call · called, no answer · answered, not settled ·
settled
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.database import Sessions
from scheduler import reconciling, touches
from scheduler.models import TaskState, Touch, TouchState
from tests.scheduler.worlds import Bank
from wecom.answer import Answer
from wecom.client import WeComClient
from wecom.mass_sends import MassSend
from wecom.to_customers import MASS_SEND, ToCustomers

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    """The process is gone."""


class DyingSessions:
    """Sessions whose transaction number `at` never commits."""

    def __init__(self, sessions: Sessions, at: int) -> None:
        self.sessions, self.left = sessions, at

    def __call__(self) -> AsyncSession:
        return self.sessions()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A transaction; the chosen one is lost with the process."""
        self.left -= 1
        async with self.sessions.begin() as session:
            yield session
            if self.left == 0:
                raise Killed


class DyingCaller:
    """A client whose process dies before or after creating the task."""

    def __init__(self, wecom: WeComClient, *, called: bool) -> None:
        self.wecom, self.called = wecom, called
        self.calls, self.media, self.service = self, wecom.media, wecom.service

    async def post(self, path: str, fields: dict[str, object], *, once: bool = False) -> Answer:
        """Die; if `called`, the platform has heard it."""
        assert path == MASS_SEND
        if self.called:
            await self.wecom.calls.post(path, fields, once=once)
        raise Killed


async def settle_everything(bank: Bank) -> None:
    """The product runs again for a while, and the RM presses send."""
    for _ in range(8):
        await bank.send()
        await bank.reconcile()
        bank.clock.forward(timedelta(seconds=30))
    await bank.platform.press_send()
    await bank.collect()


async def one_of_each(bank: Bank) -> None:
    """Everybody got it, once."""
    carried = [contact for task in bank.platform.tasks for contact in task]
    assert len(carried) == len(set(carried)) == 3
    saw = [contact for contact, _, _ in await bank.platform.seen()]
    assert sorted(saw) == sorted(carried)
    assert await bank.states() == {TouchState.DELIVERED: 3}
    assert len(await bank.touchpoints()) == 3


@pytest.fixture
async def due(the_bank: Bank) -> Bank:
    """Three customers of one RM are due."""
    rm = await the_bank.rm()
    sop = await the_bank.sop()
    for _ in range(3):
        await the_bank.enrol(sop, await the_bank.customer(rm), rm)
    return the_bank


async def test_killed_before_the_intent_is_committed(due: Bank):
    with pytest.raises(Killed):
        await due.send(sessions=DyingSessions(due.sessions, 2))
    assert await due.states() == {TouchState.PLANNED: 3}
    await settle_everything(due)
    await one_of_each(due)


async def test_killed_after_the_intent_and_before_the_call(due: Bank):
    with pytest.raises(Killed):
        await due.send(DyingCaller(due.wecom, called=False))
    assert (await due.task()).state == TaskState.INTENT
    assert due.platform.tasks == []
    await settle_everything(due)
    await one_of_each(due)


async def test_killed_after_the_call_and_before_its_answer(due: Bank):
    with pytest.raises(Killed):
        await due.send(DyingCaller(due.wecom, called=True))
    assert (await due.task()).state == TaskState.INTENT
    await settle_everything(due)
    await one_of_each(due)


async def test_killed_after_the_answer_and_before_it_was_settled(due: Bank):
    with pytest.raises(Killed):
        await due.send(sessions=DyingSessions(due.sessions, 3))
    assert (await due.task()).state == TaskState.INTENT
    assert len(due.platform.tasks) == 1
    await settle_everything(due)
    await one_of_each(due)


@pytest.mark.parametrize("point", ["not called", "called"])
async def test_a_real_kill_around_the_call(due: Bank, point: str):
    arguments = (due.settings.database_url, due.platform.base, point, due.clock().isoformat())
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.scheduler.dying_sender", *arguments, cwd=ROOT
    )
    assert await sender.wait() == -signal.SIGKILL
    assert (await due.task()).state == TaskState.INTENT
    assert len(due.platform.tasks) == (point == "called")
    await settle_everything(due)
    await one_of_each(due)


async def test_the_answer_never_arrives(due: Bank):
    await due.platform.fault("add_msg_template", "lost")
    assert (await due.send()).unknown == 3
    assert await due.states() == {TouchState.UNKNOWN: 3}
    assert (await due.reconcile()).found == 1
    assert await due.states() == {TouchState.HANDED: 3}
    await settle_everything(due)
    await one_of_each(due)


async def test_the_call_dies_on_the_platforms_side(due: Bank):
    await due.platform.fault("add_msg_template", "500")
    assert (await due.send()).unknown == 3
    assert due.platform.tasks == []
    assert (await due.reconcile()).waiting == 1
    due.clock.forward(timedelta(minutes=2))
    assert (await due.reconcile()).released == 1
    assert await due.states() == {TouchState.PLANNED: 3}
    await settle_everything(due)
    await one_of_each(due)


async def test_nothing_is_released_while_the_list_cannot_be_read(due: Bank):
    await due.platform.fault("add_msg_template", "lost")
    await due.send()
    due.clock.forward(timedelta(hours=1))
    await due.platform.fault("get_groupmsg_list_v2", 45009)
    assert (await due.reconcile()).waiting == 1
    assert await due.states() == {TouchState.UNKNOWN: 3}


async def test_nothing_is_released_while_the_platform_still_hands_tasks_out(due: Bank):
    await due.platform.control("settings", dispatch_seconds=600)
    await due.platform.fault("add_msg_template", "lost")
    await due.send()
    due.clock.forward(timedelta(minutes=5))
    assert (await due.reconcile()).waiting == 1
    due.clock.forward(timedelta(minutes=5))
    assert (await due.reconcile()).found == 1


async def test_two_fitting_tasks_wait_for_a_person(due: Bank):
    await due.platform.fault("add_msg_template", "lost")
    await due.send()
    [task] = due.platform.world.tasks.values()
    [rm] = task.members
    contacts = tuple(target.external_userid for target in task.targets)
    await ToCustomers(due.wecom).mass_send(MassSend(rm, contacts, task.text))
    due.clock.forward(timedelta(minutes=10))
    assert (await due.reconcile()).ambiguous == 1
    stuck = await due.task()
    assert (stuck.state, stuck.error) == (TaskState.UNKNOWN, reconciling.TWO_LISTED)
    assert (await due.send()).handed == 0
    assert await due.states() == {TouchState.UNKNOWN: 3}


async def test_a_like_task_for_other_customers_is_not_taken_for_ours(due: Bank):
    rm = await due.rm(name="赵磊")
    other = await due.customer(rm)
    await due.platform.fault("add_msg_template", "lost")
    await due.send()
    [task] = due.platform.world.tasks.values()
    await ToCustomers(due.wecom).mass_send(
        MassSend(rm.userid, (other.external_userid or "",), task.text)
    )
    assert (await due.reconcile()).found == 1
    assert (await due.task()).msgid == task.msgid


async def test_what_was_reconciled_away_is_not_called_by_a_late_sender(due: Bank):
    class Slow:
        """A sender that is held up so long that its task is released before it calls."""

        def __init__(self, bank: Bank) -> None:
            self.bank, self.made = bank, 0
            self.calls = self.mass_sends = self.messages = self
            self.media, self.service = bank.wecom.media, bank.wecom.service

        async def post(self, path: str, fields: dict[str, object], *, once: bool = False) -> Answer:
            """The first call takes three minutes."""
            assert path == MASS_SEND
            self.made += 1
            self.bank.clock.forward(timedelta(minutes=3))
            await self.bank.reconcile()
            return await self.bank.wecom.calls.post(path, fields, once=once)

        async def cancel(self, msgid: str) -> None:
            """Recall it."""
            await self.bank.wecom.mass_sends.cancel(msgid)

        async def send(self, userids: list[str], content: object) -> None:
            """Nobody is told."""

    rm = await due.rm(name="赵磊")
    other_sop = await due.sop()
    await due.enrol(other_sop, await due.customer(rm), rm)
    slow = Slow(due)
    await due.send(slow)
    assert slow.made == 1
    await settle_everything(due)
    saw = [contact for contact, _, _ in await due.platform.seen()]
    assert len(saw) == len(set(saw)) == 4
    assert await due.states() == {TouchState.DELIVERED: 4}


async def test_a_refused_task_is_not_tried_again(due: Bank):
    await due.platform.fault("add_msg_template", 40058)
    assert (await due.send()).failed == 3
    await settle_everything(due)
    assert due.platform.tasks == []
    touch = (await due.touches())[0]
    assert (touch.state, touch.reasons) == (
        TouchState.NOT_REACHED,
        ["企业微信拒绝了这条群发（40058）"],
    )


async def test_a_rate_limit_only_delays(due: Bank):
    await due.platform.fault("add_msg_template", 45009)
    assert (await due.send()).deferred == 3
    assert {t.reasons[0] for t in await due.touches()} == {"企业微信接口限流，稍后自动重试"}
    await settle_everything(due)
    assert len(due.platform.tasks) <= 1


async def test_two_senders_claim_disjoint_touches(due: Bank):
    rm = await due.rm(name="赵磊")
    sop = await due.sop()
    for _ in range(6):
        await due.enrol(sop, await due.customer(rm), rm)
    now = due.clock()

    async def claim() -> list[Touch]:
        async with due.sessions.begin() as session:
            claimed = await touches.claim_due(session, now, 5)
            await asyncio.sleep(0)
            return claimed

    groups = await asyncio.gather(claim(), claim(), claim())
    ids = [touch.id for group in groups for touch in group]
    assert len(ids) == len(set(ids)) == 9


async def test_two_senders_at_once_hand_over_each_touch_once(due: Bank):
    await asyncio.gather(due.send(), due.send(), due.send())
    await settle_everything(due)
    await one_of_each(due)


async def test_a_claim_without_intent_is_given_again_after_its_lease(due: Bank):
    async with due.sessions.begin() as session:
        await touches.claim_due(session, due.clock(), 10)
    assert (await due.send()).handed == 0
    due.clock.forward(touches.LEASE)
    assert (await due.send()).handed == 3

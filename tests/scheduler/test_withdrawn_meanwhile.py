"""F-20: a material withdrawn while its touches are being sent goes out to nobody after that."""

import asyncio
import random
from typing import Any
from uuid import UUID

from sqlmodel import select

from content import review
from content.models import State, Version
from scheduler import sending
from scheduler.models import (
    Enrolment,
    EnrolmentState,
    SendTask,
    TaskState,
    Touch,
    TouchState,
)
from scheduler.touches import DEAD_MATERIAL, LEASE, claim_due
from tests.builders import a_staff
from tests.scheduler.worlds import Bank
from wecom.answer import Answer
from wecom.to_customers import MASS_SEND

ROUNDS = 12


class Watched:
    """The real client, which lets a test act at the moment of the call and notes when it went."""

    def __init__(self, wecom: Any, before: Any) -> None:
        self._wecom, self._before = wecom, before
        self.calls = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wecom, name)

    async def post(self, path: str, fields: dict[str, Any], *, once: bool = False) -> Answer:
        if path == MASS_SEND:
            await self._before(fields)
        return await self._wecom.calls.post(path, fields, once=once)


async def test_withdrawn_between_the_gates_and_the_call_nothing_is_called(the_bank: Bank) -> None:
    version = await the_bank.material()
    await the_bank.enrolled_with(version)
    sent = sending.Sent()
    async with the_bank.sessions.begin() as session:
        orders = await sending.prepare(
            session, the_bank.settings, the_bank.clock(), 200, sent, the_bank.files
        )
    assert len(orders) == 1
    await the_bank.withdraw(version)
    handed = await sending._hand_over(
        the_bank.sessions, the_bank.wecom, the_bank.files, orders[0], the_bank.clock(), sent
    )
    assert not handed
    assert the_bank.platform.tasks == []
    async with the_bank.sessions() as session:
        touch = (await session.execute(select(Touch))).scalar_one()
        task = (await session.execute(select(SendTask))).scalar_one()
    assert (touch.state, touch.reasons) == (TouchState.REFUSED, [DEAD_MATERIAL])
    assert (task.state, sent.refused) == (TaskState.FAILED, 1)


async def test_a_withdrawal_during_the_call_waits_for_its_end(the_bank: Bank) -> None:
    version = await the_bank.material()
    await the_bank.enrolled_with(version)
    order: list[str] = []
    withdrawing: list[asyncio.Task[None]] = []

    async def withdraw() -> None:
        await the_bank.withdraw(version)
        order.append("withdrawn")

    async def during(_: dict[str, Any]) -> None:
        withdrawing.append(asyncio.create_task(withdraw()))
        await asyncio.sleep(0.2)
        order.append("called")

    await the_bank.send(wecom=Watched(the_bank.wecom, during))
    await withdrawing[0]
    assert order == ["called", "withdrawn"]


async def test_no_call_is_made_after_a_withdrawal_committed(the_bank: Bank) -> None:
    """Many materials on their way, each withdrawn at a random moment of the sending."""
    rng = random.Random(20)
    versions = {}
    for number in range(ROUNDS):
        version = await the_bank.material(title=f"素材{number}")
        rm, _, _ = await the_bank.enrolled_with(version)
        versions[rm.userid] = version.id
    states: list[State] = []

    async def look(task: dict[str, Any]) -> None:
        async with the_bank.sessions() as session:
            stored = select(Version.state).where(Version.id == versions[task["sender"]])
            states.append((await session.execute(stored)).scalar_one())

    async def withdraw_later(version_id: UUID) -> None:
        await asyncio.sleep(rng.random() * 0.4)
        async with the_bank.sessions.begin() as session:
            by = the_bank.compliance(await a_staff(session, name="周岚"))
            done = await review.withdraw(
                session, version_id, by=by, reason="有误", now=the_bank.clock()
            )
            assert isinstance(done, review.Withdrawn)

    looking = Watched(the_bank.wecom, look)
    await asyncio.gather(
        the_bank.send(wecom=looking), *(withdraw_later(id_) for id_ in versions.values())
    )
    assert set(states) <= {State.APPROVED}
    assert len(the_bank.platform.tasks) == len(states)
    before = len(states)
    await the_bank.send(wecom=looking)
    assert len(states) == before, "all are withdrawn: nothing more is called"


async def test_what_is_queued_ends_in_the_withdrawals_own_transaction(the_bank: Bank) -> None:
    version = await the_bank.material()
    rm, _, _ = await the_bank.enrolled_with(version, days=(0, 3))
    other = await the_bank.material(title="另一份")
    await the_bank.enrolled_with(other)
    await the_bank.send()
    async with the_bank.sessions() as session:
        by = the_bank.compliance(await a_staff(session, name="周岚"))
        await review.withdraw(session, version.id, by=by, reason="有误", now=the_bank.clock())
        await session.rollback()
    assert TouchState.REFUSED not in await the_bank.states()
    await the_bank.withdraw(version)
    touches = {(t.state, *t.reasons) for t in await the_bank.touches() if t.staff_id == rm.id}
    assert touches == {(TouchState.REFUSED, DEAD_MATERIAL)}
    assert (await the_bank.states())[TouchState.HANDED] == 1, "other material goes on"
    await the_bank.send()
    ended = {one.state for one in await the_bank.rows(Enrolment) if one.staff_id == rm.id}
    assert ended == {EnrolmentState.COMPLETED}


async def test_expired_and_suspended_material_ends_its_touches_and_a_newer_version_keeps_them(
    the_bank: Bank,
) -> None:
    expired, suspended, replaced = [
        await the_bank.material(title=title) for title in ("到期", "暂停", "新版")
    ]
    rms = [(await the_bank.enrolled_with(each))[0] for each in (expired, suspended, replaced)]
    await the_bank.change(expired, state=State.EXPIRED, ended_at=the_bank.clock())
    await the_bank.change(
        suspended, suspended_at=the_bank.clock(), suspended_reason="评级由 R2 调整为 R3"
    )
    await the_bank.change(replaced, state=State.SUPERSEDED, ended_at=the_bank.clock())
    states = {touch.staff_id: touch.state for touch in await the_bank.touches()}
    refused, planned = TouchState.REFUSED, TouchState.PLANNED
    assert [states[rm.id] for rm in rms] == [refused, refused, planned]


async def test_a_withdrawal_waits_for_no_sender_and_no_sender_for_it_in_a_ring(
    the_bank: Bank,
) -> None:
    """A sender that holds the touches is passed by; it looks at the version itself."""
    version = await the_bank.material()
    await the_bank.enrolled_with(version)
    async with the_bank.sessions.begin() as sender:
        assert len(await claim_due(sender, the_bank.clock(), 10)) == 1
        await asyncio.wait_for(the_bank.withdraw(version), 5)
    assert (await the_bank.touch()).state is TouchState.CLAIMED
    the_bank.clock.forward(LEASE)
    await the_bank.send()
    assert (await the_bank.touch()).state is TouchState.REFUSED
    assert the_bank.platform.tasks == []

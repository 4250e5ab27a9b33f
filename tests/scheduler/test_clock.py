"""The ticks: one process at a time does each work, and a failed tick comes again."""

from datetime import timedelta

from sqlalchemy import text

from bank import audit
from bank.audit_heads import open_heads
from bank.audit_keeping import Keeper
from bank.models import AuditCheck
from scheduler import clock, sending
from scheduler.models import TouchState
from tests.scheduler.worlds import Bank

SEND, COLLECT, RECONCILE, EXPIRE, RENEW, ENROL, WEIGH, ANCHOR, MATCH = clock.JOBS
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'touch'::regclass"
OTHERS = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND pid <> pg_backend_pid() AND (state LIKE '%transaction%' OR wait_event_type = 'Lock')"""


async def run(bank: Bank, job: clock.Job) -> bool:
    """That tick, as the clock runs it."""
    return await clock.run(job, bank.sessions, bank.wecom, bank.settings, bank.clock())


async def test_the_ticks_carry_a_touch_the_whole_road(the_bank: Bank):
    await the_bank.enrolled()
    for job in (ENROL, EXPIRE, WEIGH, SEND, RECONCILE):
        assert await run(the_bank, job)
    await the_bank.platform.press_send()
    assert await run(the_bank, COLLECT)
    assert await the_bank.states() == {TouchState.DELIVERED: 1}


async def test_another_process_at_the_same_work_lets_us_skip(the_bank: Bank):
    await the_bank.enrolled()
    async with the_bank.sessions.begin() as leader:
        assert await sending.alone(leader, "scheduler.sending")
        assert not await run(the_bank, SEND)
        assert not await run(the_bank, RECONCILE)
        assert await run(the_bank, COLLECT)
    assert the_bank.platform.tasks == []
    assert await run(the_bank, SEND)
    assert len(the_bank.platform.tasks) == 1


async def test_expired_material_ends_and_its_touches_with_it(the_bank: Bank):
    await the_bank.enrolled(days=(0, 365))
    the_bank.clock.forward(timedelta(days=181))
    assert await run(the_bank, EXPIRE)
    assert await run(the_bank, SEND)
    assert await the_bank.states() == {TouchState.REFUSED: 2}


async def test_the_audit_book_gets_its_head_once_a_day(the_bank: Bank):
    heads = open_heads(the_bank.settings)
    async with the_bank.sessions.begin() as session:
        audit.record(session, "desk:staff:signin", "x", by="x", now=the_bank.clock())
    await Keeper(the_bank.sessions, heads).link(the_bank.clock())
    assert await run(the_bank, ANCHOR)
    assert await run(the_bank, ANCHOR)
    assert len(heads.read()) == len(await the_bank.rows(AuditCheck)) == 1
    the_bank.clock.forward(timedelta(days=1))
    assert await run(the_bank, ANCHOR)
    assert len(heads.read()) == 2


async def test_it_starts_and_stops(the_bank: Bank):
    works = clock.Clockwork(the_bank.settings, the_bank.sessions, the_bank.wecom, the_bank.clock)
    await works.stop()
    works.start()
    await works.stop()


async def test_a_tick_that_is_cut_short_lets_go_of_the_database(the_bank: Bank):
    works = clock.Clockwork(the_bank.settings, the_bank.sessions, the_bank.wecom, the_bank.clock)
    async with the_bank.sessions.begin() as session:
        await session.execute(text("LOCK TABLE touch IN ACCESS EXCLUSIVE MODE"))
        works.start()
        while not (await session.execute(text(WAITING))).scalar_one():
            pass
        await works.stop()
        assert (await session.execute(text(OTHERS))).scalar_one() == 0

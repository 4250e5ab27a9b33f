"""Runs: everybody once, resumable, replaced; and nothing that does not hold is ever read."""

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import openings, touchpoints
from attribution.models import Device, Opener, Opening, TouchpointKind, TrackedLink
from attribution.touchpoints import Seen
from bank.database import Sessions, open_engine, open_sessions
from bank.models import Role
from bank.settings import Settings
from content.models import Kind, Product, SaleStatus, State, Use, Version
from customers.models import Consent, Customer, Purpose
from knowledge import match_reading, matches, nightly
from knowledge.encoder import load_encoder
from knowledge.match_reading import Shown
from knowledge.match_shelf import Stockroom
from knowledge.models import CustomerMatch, MatchRun
from scheduler import clock
from tests.builders import (
    MONDAY,
    a_branch,
    a_customer,
    a_follow,
    a_product,
    a_staff,
    an_approved_material,
)
from tests.customers.worlds import a_holding
from tests.knowledge.test_gaps import asked

ENCODER = load_encoder("builtin")
LATER = MONDAY + timedelta(hours=1)
TITLES = ("赎回多久到账", "什么是净值型理财", "如何修改手机银行密码", "养老金账户有什么优惠")


async def on_the_shelf(session: AsyncSession, titles: Sequence[str] = TITLES) -> list[Version]:
    """Materials of different subjects, for everybody."""
    return [
        await an_approved_material(
            session, title=title, body=f"{title}，说明如下。", questions=[title]
        )
        for title in titles
    ]


async def profiled(session: AsyncSession, customer: Customer) -> None:
    """The customer agrees to personal recommendations."""
    session.add(
        Consent(
            customer_id=customer.id, purpose=Purpose.PROFILING, channel="wecom",
            text_version="2026-01", granted_at=MONDAY - timedelta(days=50),
        )
    )  # fmt: skip
    await session.flush()


async def ran(sessions: Sessions, session: AsyncSession, **more: Any) -> int:
    """A run over what was arranged."""
    await session.commit()
    return await matches.run(sessions, ENCODER, MONDAY, **more)


async def rows(session: AsyncSession) -> list[CustomerMatch]:
    """Everything stored."""
    query = select(CustomerMatch).order_by(col(CustomerMatch.customer_id), col(CustomerMatch.place))
    fresh = query.execution_options(populate_existing=True)
    return list((await session.execute(fresh)).scalars())


async def shown_to(session: AsyncSession, customer: Customer, at: Any = LATER) -> list[Shown]:
    """What the customer's page would show."""
    await session.commit()
    return await match_reading.of_customer(session, customer, Stockroom(ENCODER), at)


def titles_of(found: Sequence[Shown]) -> list[str]:
    """Titles in order."""
    return [one.piece.title for one in found]


async def test_what_a_customer_asked_comes_first_and_says_so(
    sessions: Sessions, session: AsyncSession
) -> None:
    await on_the_shelf(session)
    rm, customer = await a_staff(session, Role.RM), await a_customer(session)
    await a_follow(session, rm, customer)
    await profiled(session, customer)
    await asked(session, "我的密码忘了怎么改", customer, rm, MONDAY - timedelta(days=2))
    assert await ran(sessions, session) == 1
    first = (await shown_to(session, customer))[0]
    assert first.piece.title == "如何修改手机银行密码"
    assert [told.text for told in first.now] == ["2 天前问过“我的密码忘了怎么改”"]


async def opened(
    session: AsyncSession, customer: Customer, version: Version, *ago: int, **facts: Any
) -> None:
    """The customer opened a link to it so many days ago, each time for a minute."""
    code = f"{customer.id}:{version.id}"
    session.add(
        TrackedLink(
            code=code, source="suggestion", source_id=code, version_id=version.id,
            customer_id=customer.id, channel="single_chat", made_at=MONDAY - timedelta(days=60),
        )
    )  # fmt: skip
    await session.flush()
    told = {"device": Device.PHONE, "opener": Opener.PRESUMED, "timed": True, "seconds": 60}
    session.add_all(
        Opening(
            code=code, version_id=version.id, material_id=version.material_id,
            customer_id=customer.id, at=MONDAY - timedelta(days=days), **(told | facts),
        )
        for days in ago
    )  # fmt: skip
    await session.flush()


async def a_reader(session: AsyncSession, **facts: Any) -> Customer:
    """Two customers who differ in one thing: this one opened something about passwords."""
    await on_the_shelf(session)
    about = await an_approved_material(
        session, title="手机银行密码安全提示", body="请妥善保管密码。", questions=["密码安全"],
        kind=Kind.EDUCATION, channels=["group"],
    )  # fmt: skip
    customer = await a_customer(session)
    await profiled(session, customer)
    await opened(session, customer, about, 2, 3, **facts)
    return customer


async def test_what_a_customer_read_comes_first_and_says_so(
    sessions: Sessions, session: AsyncSession
) -> None:
    other = await a_customer(session)
    await profiled(session, other)
    customer = await a_reader(session)
    await ran(sessions, session)
    first = (await shown_to(session, customer))[0]
    assert first.piece.title == "如何修改手机银行密码"
    assert (await shown_to(session, other))[0].piece.title != "如何修改手机银行密码"
    assert "近 7 天看过 2 次投资者教育类内容" in [told.text for told in first.now]
    await session.execute(update(Opening).values(at=MONDAY - timedelta(days=20)))
    await ran(sessions, session, afresh=True)
    first = (await shown_to(session, customer))[0]
    assert "20 天前看过投资者教育类内容" in [told.text for told in first.him]


@pytest.mark.parametrize(
    "facts", [{"seconds": 4}, {"opener": Opener.OTHER}], ids=["a glance", "a forwarded link"]
)
async def test_a_glance_or_somebody_elses_reading_is_no_need(
    sessions: Sessions, session: AsyncSession, facts: dict[str, Any]
) -> None:
    customer = await a_reader(session, **facts)
    blank = await a_customer(session)
    await profiled(session, blank)
    await ran(sessions, session)
    theirs, others = await shown_to(session, customer), await shown_to(session, blank)
    assert titles_of(theirs) == titles_of(others)
    assert not any("看过" in told.text for one in theirs for told in one.reasons)


async def test_what_was_read_by_oneself_is_not_recommended_again(
    sessions: Sessions, session: AsyncSession
) -> None:
    first, *_ = await on_the_shelf(session)
    customer = await a_customer(session)
    await profiled(session, customer)
    await opened(session, customer, first, 1)
    await ran(sessions, session)
    shown = await shown_to(session, customer)
    assert first.title not in titles_of(shown)
    assert shown


async def test_reading_counts_for_nothing_once_consent_or_the_record_is_gone(
    sessions: Sessions, session: AsyncSession, settings: Settings
) -> None:
    customer = await a_reader(session)
    blank = await a_customer(session)
    await ran(sessions, session)
    before = titles_of(await shown_to(session, customer))
    await session.execute(
        update(Consent)
        .where(col(Consent.purpose) == Purpose.PROFILING)
        .values(withdrawn_at=MONDAY - timedelta(minutes=1))
    )
    # At once, not when the next run has made the matches anew.
    without = await shown_to(session, customer)
    assert titles_of(without) == titles_of(await shown_to(session, blank)) != before
    assert not any("看过" in told.text for one in without for told in one.reasons)
    # The customer agrees again: what was read before has been removed by then.
    assert await openings.purge(session, settings, MONDAY) == 2
    await profiled(session, customer)
    await profiled(session, blank)
    await ran(sessions, session, afresh=True)
    again = await shown_to(session, customer)
    assert titles_of(again) == titles_of(await shown_to(session, blank))


async def test_a_maturing_holding_brings_its_product(
    sessions: Sessions, session: AsyncSession
) -> None:
    product = await a_product(session, rating=2)
    await on_the_shelf(session)
    await an_approved_material(
        session, title="安心添利90天说明", kind=Kind.PRODUCT_NOTE, risk=2, products=[product]
    )
    customer = await a_customer(session)
    await profiled(session, customer)
    soon = (MONDAY + timedelta(days=6)).date()
    await a_holding(session, customer, product=product.code, matures_on=soon)
    await ran(sessions, session)
    first = (await shown_to(session, customer))[0]
    assert first.piece.title == "安心添利90天说明"
    assert "6 天后到期：安心添利90天" in [told.text for told in first.now]
    assert "风险等级 R2，不高于客户的 C3" in [told.text for told in first.him]


async def test_without_consent_to_profiling_opposite_customers_get_the_same_order(
    sessions: Sessions, session: AsyncSession
) -> None:
    product = await a_product(session)
    await on_the_shelf(session)
    rm = await a_staff(session, Role.RM)
    one, other = await a_customer(session), await a_customer(session)
    await asked(session, "密码忘了怎么改", one, rm, MONDAY - timedelta(days=1))
    await a_holding(session, other, product=product.code)
    await ran(sessions, session)
    assert titles_of(await shown_to(session, one)) == titles_of(await shown_to(session, other))


async def test_a_run_matches_everybody_once_and_again_only_when_asked(
    sessions: Sessions, session: AsyncSession
) -> None:
    await on_the_shelf(session)
    for _ in range(3):
        await a_customer(session)
    assert await ran(sessions, session) == 3
    assert await ran(sessions, session) == 0
    assert await ran(sessions, session, afresh=True) == 3
    [run] = (await session.execute(select(MatchRun))).scalars()
    assert (run.customers, run.matches, run.materials) == (3, 12, 4)
    assert run.done_at == MONDAY
    assert len(await rows(session)) == 12


async def test_a_run_goes_on_from_its_cursor(
    sessions: Sessions, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matches, "AT_ONCE", 2)
    await on_the_shelf(session)
    for _ in range(5):
        await a_customer(session)
    assert await ran(sessions, session, portions=1) == 2
    run = (await session.execute(select(MatchRun))).scalar_one()
    assert (run.customers, run.done_at) == (2, None)
    assert sum(run.shown.values()) == 8
    assert await ran(sessions, session) == 3
    of_each = select(func.count(col(CustomerMatch.place))).group_by(col(CustomerMatch.customer_id))
    assert list((await session.execute(of_each)).scalars()) == [4] * 5


KILLED = """
import asyncio, sys
from bank.database import open_engine, open_sessions
from knowledge import matches
from knowledge.encoder import load_encoder
from tests.builders import MONDAY
matches.AT_ONCE = 1
print("ready", flush=True)
sessions = open_sessions(open_engine(sys.argv[1]))
asyncio.run(matches.run(sessions, load_encoder("builtin"), MONDAY))
"""


async def test_a_process_that_is_killed_loses_nothing_and_doubles_nothing(
    sessions: Sessions, session: AsyncSession, database: str
) -> None:
    await on_the_shelf(session)
    for _ in range(60):
        await a_customer(session)
    await session.commit()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, database)
    done = select(func.max(MatchRun.customers))
    while (reached := (await session.execute(done)).scalar_one() or 0) < 5:
        await session.rollback()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await session.rollback()
    assert 5 <= reached < 60
    left = await matches.run(sessions, ENCODER, MONDAY)
    assert 0 < left <= 55
    run = (
        await session.execute(select(MatchRun).execution_options(populate_existing=True))
    ).scalar_one()
    assert run.customers == 60
    assert len(await rows(session)) == 240


async def test_two_processes_share_a_run(database: str, session: AsyncSession) -> None:
    await on_the_shelf(session)
    for _ in range(8):
        await a_customer(session)
    await session.commit()
    engine = open_engine(database)
    others = open_sessions(engine)
    done = await asyncio.gather(*(matches.run(others, ENCODER, MONDAY) for _ in range(2)))
    await engine.dispose()
    assert sum(done) == 8
    assert len(await rows(session)) == 32


async def test_the_next_run_replaces_what_the_last_one_made(
    sessions: Sessions, session: AsyncSession
) -> None:
    [gone, *_] = await on_the_shelf(session)
    await a_customer(session)
    await ran(sessions, session)
    gone.state, gone.reason, gone.ended_at = State.WITHDRAWN, "过时", LATER
    await session.commit()
    await matches.run(sessions, ENCODER, MONDAY + timedelta(days=1))
    made = await rows(session)
    assert len(made) == 3
    assert gone.id not in {row.version_id for row in made}
    assert {row.generation for row in made} == {2}


async def test_a_withdrawn_an_expired_and_a_suspended_version_are_never_read(
    sessions: Sessions, session: AsyncSession
) -> None:
    withdrawn, expired, suspended, left = await on_the_shelf(session)
    customer = await a_customer(session)
    await ran(sessions, session)
    assert len(await shown_to(session, customer)) == 4
    withdrawn.state, withdrawn.reason, withdrawn.ended_at = State.WITHDRAWN, "过时", LATER
    expired.valid_until = LATER
    suspended.suspended_at, suspended.suspended_reason = LATER, "产品变更"
    assert [one.piece.version_id for one in await shown_to(session, customer)] == [left.id]
    assert len(await rows(session)) == 4


async def test_what_no_longer_suits_is_never_read(
    sessions: Sessions, session: AsyncSession
) -> None:
    product, branch = await a_product(session, rating=2), await a_branch(session)
    version = await an_approved_material(
        session, kind=Kind.PRODUCT_NOTE, risk=2, products=[product], branch_ids=[branch.id]
    )
    customer = await a_customer(session, branch=branch)
    await ran(sessions, session)

    async def reads(at: Any = LATER) -> bool:
        return bool(await shown_to(session, customer, at))

    assert await reads()
    for change, back in (
        (update(Product).values(bank_rating=4), update(Product).values(bank_rating=2)),
        (
            update(Product).values(sale_status=SaleStatus.SUSPENDED),
            update(Product).values(sale_status=SaleStatus.ON_SALE),
        ),
        (update(Product).values(offering="private"), update(Product).values(offering="public")),
        (update(Product).values(regime="?"), update(Product).values(regime="NFRA")),
        (
            update(Consent).values(withdrawn_at=LATER - timedelta(minutes=1)),
            update(Consent).values(withdrawn_at=None),
        ),
        (
            update(Version).values(channels=["group"]),
            update(Version).values(channels=["single_chat"]),
        ),
        (update(Customer).values(risk_level=1), update(Customer).values(risk_level=3)),
    ):
        await session.execute(change)
        assert not await reads(), change
        await session.execute(back)
        assert await reads()
    assert not await reads(LATER + timedelta(days=340))
    sent = Seen(
        customer.id, (await a_staff(session, Role.RM)).id, TouchpointKind.REPLY_SENT,
        "single_chat", MONDAY, "suggestion", "1", version.id,
    )  # fmt: skip
    await touchpoints.record(session, sent)
    assert not await reads()


async def test_every_stored_pair_was_allowed_and_is_in_order(
    sessions: Sessions, session: AsyncSession
) -> None:
    safe, bold = await a_product(session, rating=1), await a_product(session, rating=4)
    here, there = await a_branch(session), await a_branch(session)
    await an_approved_material(session, title="稳健", risk=1, products=[safe])
    await an_approved_material(session, title="进取", risk=4, products=[bold])
    await an_approved_material(session, title="本地", branch_ids=[there.id])
    await an_approved_material(session, title="群里", channels=["group"])
    await on_the_shelf(session)
    able = {"稳健", "进取", "本地", *TITLES}
    for risk, branch, consents, forbidden in (
        (5, there, True, set[str]()),
        (3, there, True, {"进取"}),
        (5, here, True, {"本地"}),
        (5, there, False, {"稳健", "进取"}),
        (None, here, True, {"稳健", "进取", "本地"}),
    ):
        customer = await a_customer(session, risk=risk, branch=branch, consents=consents)
        await session.commit()
        found = await match_reading.of_customer(session, customer, Stockroom(ENCODER), MONDAY)
        assert set(titles_of(found)) == able - forbidden
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)


async def test_a_script_that_a_sequence_sends_is_not_recommended_on_its_own(
    sessions: Sessions, session: AsyncSession
) -> None:
    """“您的产品明天到期” is true for the customer and the day the sequence chooses."""
    script = await an_approved_material(session, title="到期前一天提醒", kind=Kind.SCRIPT)
    [answer] = await on_the_shelf(session, TITLES[:1])
    customer = await a_customer(session)
    await ran(sessions, session)
    assert set(titles_of(await shown_to(session, customer))) == {script.title, answer.title}
    sent = {script.material_id, answer.material_id}
    shown = await match_reading.of_customer(session, customer, Stockroom(ENCODER), LATER, sent)
    assert titles_of(shown) == [answer.title]
    await ran(sessions, session, afresh=True, steps=sent)
    assert [row.version_id for row in await rows(session)] == [answer.id]


async def test_the_night_begins_a_run_and_the_day_does_not(
    sessions: Sessions, session: AsyncSession, settings: Settings
) -> None:
    await on_the_shelf(session)
    await a_customer(session)
    await session.commit()
    night, noon = MONDAY + timedelta(hours=16), MONDAY + timedelta(days=1, hours=2)
    assert await nightly.match(sessions, settings, MONDAY) == 1  # there was none at all
    assert await nightly.match(sessions, settings, MONDAY) == 0
    assert await nightly.match(sessions, settings, night) == 1  # midnight in Shanghai
    assert await nightly.match(sessions, settings, noon + timedelta(days=1)) == 0
    assert clock.match in {job.tick for job in clock.JOBS}


async def much_to_match(session: AsyncSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three customers and four materials, where two customers are a portion."""
    await on_the_shelf(session)
    for _ in range(3):
        await a_customer(session)
    await session.commit()
    monkeypatch.setattr(matches, "AT_ONCE", 2)


async def test_where_there_is_much_to_match_a_process_of_its_own_does_it(
    sessions: Sessions,
    session: AsyncSession,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here it would not do at all: `run` is taken away."""
    await much_to_match(session, monkeypatch)
    monkeypatch.delattr(matches, "run")
    sent = await an_approved_material(session, title="到期前一天提醒", kind=Kind.SCRIPT)
    await session.commit()
    assert await nightly.match(sessions, settings, MONDAY, {sent.material_id}) == 3
    assert len(await rows(session)) == 12
    assert await nightly.match(sessions, settings, MONDAY) == 0


async def test_who_stops_waiting_for_the_process_ends_it(
    sessions: Sessions,
    session: AsyncSession,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the run goes on from where it was."""
    await much_to_match(session, monkeypatch)
    start, begun, started = asyncio.create_subprocess_exec, [], asyncio.Event()

    async def noted(*command: str, **how: Any) -> Process:
        begun.append(await start(*command, **how))
        started.set()
        return begun[0]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    waiting = asyncio.create_task(nightly.match(sessions, settings, MONDAY))
    await started.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert begun[0].returncode == -signal.SIGKILL
    assert await matches.run(sessions, ENCODER, MONDAY) == 3


async def test_a_process_that_cannot_match_says_so(
    sessions: Sessions,
    session: AsyncSession,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With the kind and the place of the fault, as every log line has it."""
    await a_customer(session)
    await session.commit()
    monkeypatch.setattr(matches, "AT_ONCE", 0)
    broken = settings.model_copy(update={"encoder": "/nowhere/李女士", "log_format": "json"})
    with pytest.raises(nightly.MatchingStopped):
        await nightly.match(sessions, broken, MONDAY)
    told = capfd.readouterr().err
    assert "matching_stopped" in told
    assert "knowledge/encoder.py" in told
    assert "李女士" not in told


async def test_a_purpose_decides_what_is_marketing_on_the_shelf(
    sessions: Sessions, session: AsyncSession
) -> None:
    version = await an_approved_material(session, title="来看看", kind=Kind.ARTICLE)
    version.particulars = {"kind": "article", "use": Use.AROUSE.value}
    customer = await a_customer(session, consents=False)
    await ran(sessions, session)
    assert await shown_to(session, customer) == []

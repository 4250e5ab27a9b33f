"""Every measurement of `make bench` runs and gives figures that can be figures."""

from pathlib import Path

from rich.console import Console

from bot.bench import (
    audit,
    burst,
    callbacks,
    matching,
    search,
    shelf,
    sidebar,
    suggestions,
    tables,
    withdrawal,
)
from bot.bench.machine import bank_at, machine, percentile, postgresql_version
from bot.bench.processes import memory_of
from bot.inbound.inbox import AT_ONCE


def test_the_machine_is_named_with_its_database(database: str) -> None:
    here = machine(postgresql_version(database))
    assert here.cpu
    assert here.cores >= 1
    assert "fsync" in here.postgresql


def test_callbacks_are_measured_door_by_door_and_none_is_lost(
    database: str, tmp_path: Path
) -> None:
    plan = callbacks.Plan(rounds=1, requests=AT_ONCE // 10, warm_up=8, connections=4)
    found = callbacks.measure(bank_at(tmp_path, database), plan)
    assert set(found.doors) == set(tables.WORDS)
    assert all(door.per_second > 0 for door in found.doors.values())
    assert all(0 < door.p50_ms <= door.p99_ms for door in found.doors.values())
    assert found.stored == found.acknowledged == 2 * (plan.requests + plan.warm_up)
    tables.show_callbacks(Console(quiet=True), found)


def test_a_burst_is_measured_and_keeps_every_customers_order(database: str, tmp_path: Path) -> None:
    plan = burst.Plan(per_second=20, seconds=3.0, customers=12, connections=4)
    found = burst.measure(bank_at(tmp_path, database), plan)
    assert (found.acknowledged, found.refused) == (plan.callbacks, 0)
    assert sum(found.outcomes.values()) == plan.callbacks
    assert 0 < found.p50_ms <= found.p99_ms <= found.slowest_ms
    assert found.peak_rss_mib > 0
    assert found.welcomed == found.came == 15
    assert 0 < found.welcome_p50_s <= found.welcome_p99_s <= found.slowest_welcome_s
    tables.show_burst(Console(quiet=True), found)


def test_suggestions_are_measured_at_every_size(database: str, tmp_path: Path) -> None:
    plan = suggestions.Plan(sizes=(20, 40), questions=3, warm_up=1)
    found = suggestions.measure(bank_at(tmp_path, database), plan)
    smaller, larger = found.sizes
    assert 20 < smaller.rows < larger.rows
    for size in found.sizes:
        assert 0 < size.p50_ms <= size.p95_ms <= size.p99_ms <= size.slowest_ms
        assert list(size.parts_ms) == ["wait", *suggestions.MEASURED, "store", "rest"]
        assert min(size.parts_ms.values()) >= 0
        assert size.each.product_cpu_ms > 0
    assert 5 < larger.each.statements <= smaller.each.statements + 1
    assert all(sum(size.outcomes.values()) == plan.questions for size in found.sizes)
    tables.show_suggestions(Console(quiet=True), found)


def test_the_sidebar_is_opened_in_a_browser_until_the_draft_is_drawn(
    database: str, tmp_path: Path
) -> None:
    plan = sidebar.Plan(openings=2, warm_up=1, materials=40)
    found = sidebar.measure(bank_at(tmp_path, database), plan)
    for opened in (found.first, found.again):
        assert list(opened.steps_p50_ms) == list(sidebar.STEPS)
        assert 0 < opened.steps_p50_ms["frame"] < opened.steps_p50_ms["asked"] < opened.p50_ms
        assert opened.p50_ms <= opened.p95_ms <= opened.slowest_ms
        assert opened.requests > 5
        assert opened.statements >= 11  # The live stream may have begun to ask as well.
    assert found.again.kib < found.first.kib
    tables.show_sidebar(Console(quiet=True), found)


def test_every_index_is_measured_side_by_side(database: str, tmp_path: Path) -> None:
    told: list[str] = []
    plan = search.Plan(sizes=(500, 12_000), questions=10, tell=told.append)
    found = search.measure(bank_at(tmp_path, database), plan)
    kinds = [(each.rows, each.index.partition(",")[0]) for each in found.figures]
    assert kinds == [
        (500, "flat"),
        (500, "pgvector"),
        (12_000, "flat"),
        (12_000, "ivf"),
        (12_000, "pgvector"),
    ]
    assert len(told) == 2 * len(kinds)
    assert 0.2 < found.allowed < 0.6
    assert all(0 < each.p50_ms <= each.p95_ms for each in found.figures)
    assert all(each.recall > 0.95 for each in found.figures)
    tables.show_searching(Console(quiet=True), found)


def test_the_audit_book_is_measured_and_every_damage_is_found(
    database: str, tmp_path: Path
) -> None:
    plan = audit.Plan(writers=2, seconds=0.3, rounds=1, lines=300, times=2)
    found = audit.measure(bank_at(tmp_path, database), plan)
    assert [way.way for way in found.written] == list(audit.WAYS)
    assert all(way.per_second > 0 and 0 < way.p50_ms <= way.p99_ms for way in found.written)
    assert [(each.damage, each.found) for each in found.found] == [
        (damage, plan.times) for damage in audit.DAMAGES
    ]
    tables.show_audit(Console(quiet=True), found)


def test_withdrawals_are_measured_in_every_place(database: str, tmp_path: Path) -> None:
    plan = withdrawal.Plan(withdrawals=2, materials=8, questions_per_second=1.0, readers=1)
    found = withdrawal.measure(bank_at(tmp_path, database), plan)
    assert set(found.bounds) == set(tables.PLACES)
    assert all(0 < b.p50_ms <= b.p99_ms <= b.slowest_ms for b in found.bounds.values())
    tables.show_withdrawals(Console(quiet=True), found)


def test_matching_is_measured_beside_the_bare_product_and_shows_nothing_forbidden() -> None:
    plan = matching.Plan(customers=3_000, materials=700, slices=3, branches=2)
    found = matching.measure(plan)
    assert min(found.bare_seconds, found.bare_cpu_seconds) > 0
    assert min(found.ratio, found.cpu_ratio) > 0
    assert 0 < found.first_mib <= found.peak_mib
    assert found.forbidden == 0
    tables.show_matching(Console(quiet=True), found)


def test_the_library_grows_by_other_series_of_the_same_subjects() -> None:
    first, again = shelf.text_of(0), shelf.text_of(shelf.on_file_count())
    assert again.title.endswith(first.title)
    assert again.title != first.title
    assert len(again.questions) == len(first.questions)
    assert len(shelf.asked()) >= 100


def test_memory_is_summed_over_processes() -> None:
    assert memory_of([]).processes == 0


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([7.0], 0.99) == 7.0

"""The figures as people read them."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from bot.bench.audit import Auditing
from bot.bench.burst import Burst
from bot.bench.callbacks import GOAL, Callbacks
from bot.bench.checker import Checker, HeldOut, Rate
from bot.bench.extraction import MEGAPIXELS, Read
from bot.bench.idle import Idle
from bot.bench.install import Installed
from bot.bench.machine import Machine
from bot.bench.matching import GOAL as MATCHING_GOAL
from bot.bench.matching import Matching
from bot.bench.mix import SHARES
from bot.bench.processes import Memory
from bot.bench.search import Searching
from bot.bench.sidebar import Sidebar
from bot.bench.suggestions import Figures, Suggesting
from bot.bench.withdrawal import Withdrawals

WORDS = {
    "bare": "aiohttp, answers and does nothing",
    "opening": "verified, decrypted, parsed",
    "gathered": "siyu: durable, commits shared",
    "single": "siyu with a commit each",
}

PLACES = {
    "search": "gone from the sidebar's search",
    "index": "gone from the index",
    "sidebar": "open sidebar told to look again",
    "link": "public link answers 410",
    "touch": "queued touch refused",
}


def show_machine(console: Console, machine: Machine) -> None:
    """What everything below was measured on."""
    console.print(f"[bold]{machine.cpu}[/], {machine.cores} cores, {machine.memory_gib} GiB")
    console.print(f"{machine.system}, Python {machine.python}, PostgreSQL {machine.postgresql}")
    console.print(", ".join(f"{name} {number}" for name, number in machine.libraries.items()))
    console.print(f"load average before the first figure: {machine.load}\n")


def show_callbacks(console: Console, found: Callbacks) -> None:
    """Door by door, and the ratio."""
    plan = found.plan
    title = f"Callbacks: one process, one core, {plan.connections} connections"
    table = _table(title, "/s", "rounds", "p50 ms", "p99 ms", "CPU µs", "of core")
    for name, door in found.doors.items():
        table.add_row(
            WORDS[name],
            f"{door.per_second:,.0f}",
            f"{door.slowest_round:,.0f}–{door.fastest_round:,.0f}",
            f"{door.p50_ms:.1f}",
            f"{door.p99_ms:.1f}",
            f"{door.cpu_us:.0f}",
            f"{door.core_share:.0%}",
        )
    console.print(table)
    console.print(
        f"durable ÷ opened: {found.ratio:.2f} by rate, {found.cpu_ratio:.2f} by CPU "
        f"(goal {GOAL}); acknowledged {found.acknowledged:,} = stored {found.stored:,}\n"
    )


def show_burst(console: Console, found: Burst) -> None:
    """What the callers saw, and how long the product went on handling."""
    plan = found.plan
    title = (
        f"Burst: {plan.per_second} callbacks a second for {plan.seconds:.0f} s, all loops running"
    )
    table = _table(title, "")
    table.add_row("of which", ", ".join(f"{share} % {kind}" for kind, share in SHARES.items()))
    table.add_row("about", f"{plan.customers:,} customers and {plan.groups:,} groups edited")
    table.add_row("answered 200", f"{found.acknowledged:,} of {plan.callbacks:,}")
    table.add_row("p50, p99", f"{found.p50_ms:.1f} ms, {found.p99_ms:.1f} ms")
    table.add_row("slowest answer", f"{found.slowest_ms / 1000:.2f} s")
    table.add_row("handled while it came", f"{found.handled_meanwhile:,}")
    table.add_row("the rest was handled in", f"{found.drain_seconds:.1f} s")
    table.add_row("at a rate of", f"{found.drained_per_second:,.0f} /s")
    table.add_row("siyu, CPU per callback", f"{found.cpu_ms_each:.1f} ms")
    table.add_row("most memory of siyu", f"RSS {found.peak_rss_mib:.0f} MiB")
    table.add_row("welcomed", f"{found.welcomed} of {found.came} who came meanwhile")
    waits = (found.welcome_p50_s, found.welcome_p99_s, found.slowest_welcome_s)
    table.add_row("scan to phone, p50, p99, slowest", " / ".join(f"{s:.2f} s" for s in waits))
    became = ", ".join(f"{count:,} {word}" for word, count in sorted(found.outcomes.items()))
    table.add_row("became", became)
    console.print(table)
    console.print("nothing lost; each customer's events in the order they were sent\n")


def show_searching(console: Console, found: Searching) -> None:
    """Index by index at each size."""
    title = f"Ten nearest, {found.questions} questions, {found.allowed:.0%} of the rows allowed"
    head = ("index", "p50 ms", "p95 ms", "recall", "build s", "open s", "RAM MiB", "stored MiB")
    table = _table(title, *head)
    for each in found.figures:
        table.add_row(
            f"{each.rows:,} rows",
            each.index,
            f"{each.p50_ms:.1f}",
            f"{each.p95_ms:.1f}",
            f"{each.recall:.3f}",
            f"{each.build_seconds:.1f}",
            f"{each.open_seconds:.2f}",
            f"{each.memory_mib:.0f}",
            f"{each.stored_mib:.0f}",
        )
    console.print(table)


def show_suggestions(console: Console, found: Suggesting) -> None:
    """Size by size: how long, of which what, what it costs, and what tenfold growth costs."""
    title = f"Message to stored suggestion, {found.plan.questions} questions each"
    table = _table(title, "p50 ms", "p95 ms", "p99 ms", "max ms", "became")
    for size in found.sizes:
        became = ", ".join(f"{count} {state}" for state, count in sorted(size.outcomes.items()))
        figures = (size.p50_ms, size.p95_ms, size.p99_ms, size.slowest_ms)
        table.add_row(_size(size), *(f"{ms:.0f}" for ms in figures), became)
    console.print(table)
    _show_parts(console, found)
    _show_indexing(console, found)
    smallest, largest = found.sizes[0], found.sizes[-1]
    console.print(
        f"{largest.passages / smallest.passages:.0f} times the passages: "
        f"{largest.p50_ms / smallest.p50_ms:.1f} times the time to answer, "
        f"{largest.build_seconds / smallest.build_seconds:.1f} times the time to build\n"
    )


def _size(size: Figures) -> str:
    return f"{size.passages:,} passages, {size.rows:,} rows"


def _show_parts(console: Console, found: Suggesting) -> None:
    parts = list(found.sizes[0].parts_ms)
    costs = ("statements", "transactions", "CPU ms", "database CPU ms")
    table = _table("Of which on average, ms; and what one of many waiting costs", *parts, *costs)
    for size in found.sizes:
        each = size.each
        table.add_row(
            _size(size),
            *(f"{size.parts_ms[part]:.1f}" for part in parts),
            f"{each.statements:.1f}",
            f"{each.transactions:.1f}",
            f"{each.product_cpu_ms:.1f}",
            f"{each.database_cpu_ms:.1f}",
        )
    console.print(table)


def _show_indexing(console: Console, found: Suggesting) -> None:
    head = ("build s", "learn s", "restore s", "1 more ms", "RSS MiB")
    table = _table("The index", *head)
    for size in found.sizes:
        table.add_row(
            _size(size),
            f"{size.build_seconds:.1f}",
            f"{size.learn_seconds:.1f}",
            f"{size.restore_seconds:.1f}",
            f"{size.one_more_ms:.0f}",
            f"{size.memory_mib:.0f}",
        )
    console.print(table)


def show_sidebar(console: Console, found: Sidebar) -> None:
    """From navigation to the draft on the screen, step by step."""
    title = f"Sidebar opened {found.plan.openings} times, ms from navigation on"
    steps = ("frame", "scripts", "asks", "answered", "drawn")
    head = (*steps, "first paint p95", "p95", "max", "requests", "KiB", "statements")
    table = _table(title, *head)
    for name, opened in (("nothing kept", found.first), ("again", found.again)):
        slow = opened.painted_p95_ms, opened.p95_ms, opened.slowest_ms
        table.add_row(
            name,
            *(f"{ms:.0f}" for ms in opened.steps_p50_ms.values()),
            *(f"{ms:.0f}" for ms in slow),
            f"{opened.requests:.0f}",
            f"{opened.kib:.0f}",
            f"{opened.statements:.0f}",
        )
    console.print(table)
    console.print(f"goal: p95 below {found.plan.goal_ms:.0f} ms\n")


def show_checker(console: Console, held_out: HeldOut) -> None:
    """Each set category by category, then the disguises."""
    for found in held_out.sets:
        _show_checked(console, found)


def _show_checked(console: Console, found: Checker) -> None:
    title = f"Wording check on {found.sentences} sentences of {found.name}, 95 % intervals"
    table = _table(title, "violating", "recall", "acceptable", "stopped", "precision")
    for group in found.groups:
        table.add_row(
            group.name,
            str(group.caught.of),
            _rate(group.caught),
            str(group.stopped.of),
            _rate(group.stopped),
            _rate(group.precision) if group.caught.of else "–",
        )
    console.print(table)
    console.print(f"violations that carry their own category: {_rate(found.named)}")
    for name, rate in found.survived.items():
        console.print(f"still a violation, {name}: {rate.hits} of {rate.of} ({rate.share:.1%})")
    for name, rate in found.stayed.items():
        console.print(f"still harmless, {name}: {rate.hits} of {rate.of} ({rate.share:.1%})")
    console.print(f"300 characters: p50 {found.p50_ms:.1f} ms, p99 {found.p99_ms:.1f} ms\n")


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.share:.3f} ({low:.2f}–{high:.2f})" if rate.of else "–"


def show_audit(console: Console, found: Auditing) -> None:
    """What the writers of the audit book notice of its chain, and what a check finds."""
    plan = found.plan
    table = _table(f"Audit lines, {plan.writers} writers, a commit each", "/s", "p50 ms", "p99 ms")
    for way in found.written:
        figures = (f"{way.per_second:,.0f}", f"{way.p50_ms:.2f}", f"{way.p99_ms:.2f}")
        table.add_row(way.way, *figures)
    console.print(table)
    console.print(f"a line waited {found.behind_seconds:.1f} s at most for its link\n")
    table = _table(f"One damaged line among {plan.lines:,}", "tried", "found", "slowest check s")
    for each in found.found:
        counts = (f"{each.tried}", f"{each.found}")
        table.add_row(each.damage, *counts, f"{each.slowest_seconds:.1f}")
    console.print(table)
    console.print(
        f"linked in {found.link_seconds:.1f} s, checked in {found.check_seconds:.1f} s"
        " while nothing was wrong\n"
    )


def show_withdrawals(console: Console, found: Withdrawals) -> None:
    """Each place, and its bound."""
    plan = found.plan
    title = f"{plan.withdrawals} withdrawals from a shelf of {plan.materials}, from the commit on"
    table = _table(title, "p50 ms", "p99 ms", "max ms", "bound ms", "kept")
    for name, bound in found.bounds.items():
        figures = (bound.p50_ms, bound.p99_ms, bound.slowest_ms, bound.bound_ms)
        table.add_row(
            PLACES[name], *(f"{ms:,.0f}" for ms in figures), "yes" if bound.kept else "NO"
        )
    console.print(table)
    console.print(
        f"meanwhile: {found.questions} questions asked, {found.pages} sidebar pages read; "
        f"the withdrawal itself takes {found.commit_p99_ms:.0f} ms (p99)\n"
    )


def show_matching(console: Console, found: Matching) -> None:
    """Both sides, the ratio, memory."""
    plan = found.plan
    title = f"{plan.customers:,} customers × {plan.materials:,} materials, best {plan.kept} of each"
    table = _table(title, "seconds", "CPU seconds", "customers/s")
    bare = plan.customers / found.bare_seconds
    table.add_row(
        "bare matrix product",
        f"{found.bare_seconds:.1f}",
        f"{found.bare_cpu_seconds:.1f}",
        f"{bare:,.0f}",
    )
    table.add_row(
        "siyu, all filters",
        f"{found.seconds:.1f}",
        f"{found.cpu_seconds:.1f}",
        f"{found.per_second:,.0f}",
    )
    console.print(table)
    console.print(
        f"siyu ÷ bare: {found.ratio:.2f} by the clock, {found.cpu_ratio:.2f} by CPU "
        f"(goal {MATCHING_GOAL}); memory {found.first_mib:,.0f} MiB "
        f"after the first slice, {found.peak_mib:,.0f} MiB at most; "
        f"forbidden pairs: {found.forbidden}\n"
    )


def show_idle(console: Console, found: Idle) -> None:
    """Starting and resting."""
    table = _table(f"siyu demo, idle for {found.rest_seconds:.0f} s", "")
    table.add_row("first start to first page", f"{found.first_start_seconds:.1f} s")
    table.add_row("second start to first page", f"{found.second_start_seconds:.1f} s")
    table.add_row("memory of siyu", _memory(found.product))
    table.add_row("memory of PostgreSQL", _memory(found.postgresql))
    console.print(table, "")


def _memory(memory: Memory) -> str:
    return (
        f"PSS {memory.pss_mib:.0f} MiB, RSS {memory.rss_mib:.0f} MiB ({memory.processes} processes)"
    )


def show_installed(console: Console, found: Installed) -> None:
    """From the clone to the first page."""
    table = _table("Installing", "")
    table.add_row("git clone", f"{found.clone_seconds:.1f} s")
    table.add_row("make setup", f"{found.setup_seconds:.1f} s")
    table.add_row(".venv", f"{found.environment_mb:,.0f} MB, {found.packages} packages")
    table.add_row("make demo to the first page", f"{found.first_page_seconds:.1f} s")
    table.add_row("make demo again", f"{found.again_seconds:.1f} s")
    table.add_row("clone to first page", f"{found.whole_seconds:.1f} s")
    console.print(table, "")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=any(columns))
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def plain(found: Any) -> dict[str, Any]:
    """The same as JSON can hold it: every field, and what is derived from them."""
    derived = [name for name, of in vars(type(found)).items() if isinstance(of, property)]
    return asdict(found) | {name: getattr(found, name) for name in derived}


def show_extraction(console: Console, found: list[Read]) -> None:
    """A line a file."""
    table = Table(title="Reading an uploaded file in its child process", title_justify="left")
    for name in ("kind", "size", "KiB", "seconds", "peak MiB", ""):
        table.add_column(name, justify="left" if name in ("kind", "") else "right")
    for each in found:
        picture = each.kind in ("png", "jpg")
        size = f"{MEGAPIXELS[each.pages]} Mpx" if picture else f"{each.pages} pages"
        table.add_row(each.kind, size, f"{each.kilobytes:,.0f}", f"{each.seconds:.2f}",
                      f"{each.peak_mib:,.0f}", "" if each.taken else "refused")  # fmt: skip
    console.print(table)

"""What was found, as people read it."""

from typing import Any

from rich.console import Console
from rich.table import Table

from bot.chaos.found import Found
from bot.chaos.scenarios import Scenario, name_of

COLUMNS = ("runs", "events", "faults", "lost", "doubled", "broken", "seed", "seconds")


def show(console: Console, results: list[Found]) -> None:
    """One line a scenario, then the figures and whatever did not hold."""
    table = Table(title="Under faults", title_justify="left")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for found in results:
        table.add_row(found.name, *_cells(found), style="" if found.holds else "red")
    console.print(table)
    for found in results:
        faults = ", ".join(f"{name} {count:,}" for name, count in found.faults.items())
        figures = ", ".join(f"{name} {value}" for name, value in found.figures.items())
        console.print(f"[bold]{found.name}[/]  {faults}  [dim]{figures}[/]")
        for line in found.broken:
            console.print(f"    ✗ {line}", style="red")


def _cells(found: Found) -> list[str]:
    counts = (
        found.runs,
        found.events,
        sum(found.faults.values()),
        found.lost,
        found.doubled,
        found.failures,
    )
    return [f"{count:,}" for count in counts] + [str(found.seed), f"{found.seconds:.1f}"]


def again(scenario: Scenario, found: Found, share: float) -> str:
    """How to see the same failure again."""
    command = f"python -m bot.chaos {name_of(scenario)} --seed {found.seed} --share {share:g}"
    return f"{found.name} does not hold; run it again: {command}"


def plain(found: Found) -> dict[str, Any]:
    """The same as JSON can hold it."""
    return vars(found) | {"faults": dict(found.faults), "holds": found.holds}

"""The list of scenarios by the name they are called with."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from bot.chaos import (
    burst,
    canaries,
    days,
    forged,
    indexes,
    invented,
    killed,
    orders,
    outage,
    poison,
    refusals,
    tokens,
    unapproved,
    withdrawn,
)
from bot.chaos.found import Found
from bot.chaos.ground import Ground

Scenario = Callable[[Ground, int, float], Coroutine[Any, Any, Found]]

SCENARIOS: dict[str, Scenario] = {
    "F-01": killed.killed,
    "F-03": indexes.killed_rebuilding,
    "F-05": orders.orders,
    "F-06": poison.same_second,
    "F-07": refusals.failing,
    "F-08": refusals.limited,
    "F-09": tokens.dead_tokens,
    "F-11": outage.outages,
    "F-16": indexes.damaged,
    "F-17": poison.poisoned,
    "F-18": burst.burst,
    "F-20": withdrawn.withdrawn,
    "days": days.days,
    "L-01": unapproved.unapproved,
    "L-02": canaries.canaries,
    "L-08": invented.invented,
    "S-01": forged.forged,
    "S-02": forged.replayed,
    "S-03": forged.bombs,
    "S-04": forged.mismatched,
}


def chosen(names: Sequence[str]) -> list[Scenario]:
    """Those called for, in the order of the list; all without a name; KeyError for an unknown."""
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise KeyError(", ".join(unknown))
    return [SCENARIOS[name] for name in SCENARIOS if not names or name in names]


def name_of(scenario: Scenario) -> str:
    """What it is called with."""
    return next(name for name, each in SCENARIOS.items() if each is scenario)

"""What `python -m bot.chaos` says about a scenario: held or not, and how to run it again."""

import json

import pytest
from rich.console import Console

from bot.chaos.found import Found, share_of
from bot.chaos.scenarios import SCENARIOS, chosen
from bot.chaos.tables import again, plain, show


def test_anything_lost_doubled_or_broken_does_not_hold() -> None:
    assert Found("x", 1).holds
    assert not Found("x", 1, lost=1).holds
    assert not Found("x", 1, doubled=1).holds
    broken = Found("x", 1)
    broken.check(False, "an answer took 9 s")
    assert not broken.holds
    assert broken.broken == ["an answer took 9 s"]


def test_a_failure_says_how_to_run_it_again() -> None:
    found = Found("F-06 same second", 7, lost=1)
    assert again(SCENARIOS["F-06"], found, 0.05).endswith(
        "python -m bot.chaos F-06 --seed 7 --share 0.05"
    )


def test_results_are_printed_and_can_be_read_by_a_machine() -> None:
    found = Found("F-06 same second", 7, runs=3)
    found.faults["kill -9"] += 2
    console = Console(record=True, width=120)
    show(console, [found])
    assert "kill -9 2" in console.export_text()
    assert json.loads(json.dumps(plain(found)))["faults"] == {"kill -9": 2}


def test_a_share_is_never_nothing() -> None:
    assert share_of(1000, 0.05) == 50
    assert share_of(10, 0.001) == 1


def test_scenarios_are_called_by_name() -> None:
    assert chosen(["days", "F-01"]) == [SCENARIOS["F-01"], SCENARIOS["days"]]
    assert len(chosen([])) == len(SCENARIOS)
    with pytest.raises(KeyError, match="F-99"):
        chosen(["F-99"])

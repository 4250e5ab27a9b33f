"""`python -m bot.chaos`: every scenario; `python -m bot.chaos F-05 --seed 7`: one of them again."""

import json
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from bot.chaos.found import Found, hushed
from bot.chaos.ground import Ground, a_ground
from bot.chaos.scenarios import SCENARIOS, Scenario, chosen
from bot.chaos.tables import again, plain, show
from bot.serve import run as on_the_fastest_loop

WIDTH = 150


def chaos(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Of {', '.join(SCENARIOS)}; all when left out.")
    ] = None,
    share: Annotated[float, typer.Option(min=0.0001, help="Share of the full counts.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of every dice.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Run scenarios; exit 1 if anything was lost, doubled or did not hold."""
    try:
        picked = chosen(names or [])
    except KeyError as unknown:
        raise typer.BadParameter(f"{unknown}; there are {', '.join(SCENARIOS)}") from None
    hushed()
    console, results = Console(quiet=as_json, width=WIDTH), []
    with a_ground() as ground:
        for scenario in picked:
            found = run(scenario, ground, seed, share)
            results.append(found)
            if not found.holds:
                console.print(again(scenario, found, share), style="red")
    show(console, results)
    if as_json:
        typer.echo(json.dumps([plain(found) for found in results], ensure_ascii=False, indent=2))
    raise typer.Exit(0 if all(found.holds for found in results) else 1)


def run(scenario: Scenario, ground: Ground, seed: int, share: float) -> Found:
    """One scenario, timed."""
    began = perf_counter()
    found = on_the_fastest_loop(scenario(ground, seed, share))
    found.seconds = perf_counter() - began
    return found


if __name__ == "__main__":
    typer.run(chaos)

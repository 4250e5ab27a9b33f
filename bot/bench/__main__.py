"""`python -m bot.bench`: figures of this machine; what takes longer or needs more has a name."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bot.bench import (
    audit,
    burst,
    callbacks,
    checker,
    extraction,
    idle,
    install,
    intents,
    matching,
    questions,
    retrieval,
    retrieval_tables,
    search,
    sidebar,
    suggestions,
    tables,
    withdrawal,
)
from bot.bench.machine import Machine, a_bank, machine, postgresql_version, quiet, split_cores

WIDTH = 120

app = typer.Typer(
    help="Figures and ratios, side by side in one run.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _callbacks() -> callbacks.Callbacks:
    _, others = split_cores()
    with a_bank(database_on=others) as settings:
        return callbacks.measure(settings, callbacks.Plan())


def _suggestions() -> suggestions.Suggesting:
    with a_bank() as settings:
        return suggestions.measure(settings, suggestions.Plan())


def _sidebar() -> sidebar.Sidebar:
    with a_bank() as settings:
        return sidebar.measure(settings, sidebar.Plan())


MEASURED: dict[str, tuple[Callable[[], Any], Callable[[Console, Any], None]]] = {
    "callbacks": (_callbacks, tables.show_callbacks),
    "checker": (checker.measure, tables.show_checker),
    "suggestions": (_suggestions, tables.show_suggestions),
    "sidebar": (_sidebar, tables.show_sidebar),
    "demo": (idle.measure, tables.show_idle),
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    only: Annotated[str, typer.Option(help="Of callbacks,checker,suggestions,sidebar,demo.")] = "",
    as_json: AsJson = False,
) -> None:
    """Measure everything but the installation."""
    quiet()
    if context.invoked_subcommand is None:
        names = only.split(",") if only else list(MEASURED)
        if unknown := set(names) - set(MEASURED):
            raise typer.BadParameter(f"can measure {', '.join(MEASURED)}; got {', '.join(unknown)}")
        _print(names, as_json)


def _print(names: list[str], as_json: bool) -> None:
    console, here = Console(quiet=as_json, width=WIDTH), _machine()
    tables.show_machine(console, here)
    found = {"machine": tables.plain(here)}
    for name in names:
        measure, show = MEASURED[name]
        figures = measure()
        found[name] = tables.plain(figures)
        show(console, figures)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


def _machine() -> Machine:
    with a_bank() as settings:
        return machine(postgresql_version(settings.database_url))


def _console(as_json: bool) -> Console:
    """Where tables go, with what the figures are measured on."""
    console = Console(quiet=as_json, width=WIDTH)
    tables.show_machine(console, _machine())
    return console


def _tell(found: Any, as_json: bool) -> None:
    if as_json:
        told = (
            [tables.plain(each) for each in found]
            if isinstance(found, list)
            else tables.plain(found)
        )
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))


@app.command(name="install")
def install_command(as_json: AsJson = False) -> None:
    """Clone, set up and start a fresh copy; takes minutes and the package registry."""
    console, found = Console(quiet=as_json, width=WIDTH), install.measure()
    tables.show_installed(console, found)
    _tell(found, as_json)


@app.command(name="burst")
def burst_command(
    per_second: Annotated[int, typer.Option(help="Callbacks a second.")] = 500,
    seconds: Annotated[float, typer.Option(help="How long.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Ten times the ordinary rate with everything else running, until all of it is handled."""
    console, plan = _console(as_json), burst.Plan(per_second, seconds)
    with a_bank() as settings:
        found = burst.measure(settings, plan)
    tables.show_burst(console, found)
    _tell(found, as_json)


@app.command(name="audit")
def audit_command(
    lines: Annotated[int, typer.Option(help="Lines in the book that is checked.")] = 100_000,
    as_json: AsJson = False,
) -> None:
    """What the chain of the audit book costs its writers, and whether damage is always found."""
    console, plan = _console(as_json), audit.Plan(lines=lines)
    with a_bank() as settings:
        found = audit.measure(settings, plan)
    tables.show_audit(console, found)
    _tell(found, as_json)


@app.command(name="withdrawal")
def withdrawal_command(
    count: Annotated[int, typer.Option(help="How many are withdrawn.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Withdraw at random under load; how soon search, sidebar, links and touches know."""
    console = _console(as_json)
    plan = withdrawal.Plan(withdrawals=count, materials=count + 150)
    # Nobody answers at this bank's WeCom, and its loops say so again and again.
    quiet(logging.CRITICAL)
    with a_bank() as settings:
        found = withdrawal.measure(settings, plan)
    tables.show_withdrawals(console, found)
    _tell(found, as_json)


@app.command(name="matching")
def matching_command(
    customers: Annotated[str, typer.Option(help="How many, with commas.")] = "100000,1000000",
    materials: Annotated[int, typer.Option(help="How many.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Customers × materials with all filters, beside the bare matrix product; takes minutes."""
    console, found = _console(as_json), []
    for count in map(int, customers.split(",")):
        found.append(matching.measure(matching.Plan(count, materials), console.print))
        tables.show_matching(console, found[-1])
    _tell(found, as_json)


@app.command(name="search")
def search_command(
    sizes: Annotated[str, typer.Option(help="Rows, by commas.")] = "1000,10000,100000,1000000",
    indexes: Annotated[str, typer.Option(help="Of flat;ivf;pgvector, exact;pgvector, graph.")] = "",
    passages: Annotated[
        int, typer.Option(help="Then messages to suggestions, with so many passages.")
    ] = 0,
    vectors: Annotated[str, typer.Option(help="With which vectors: faiss or pgvector.")] = "faiss",
    as_json: AsJson = False,
) -> None:
    """Vectors exact, in cells and in the database, filters on, and recall against exact."""
    console = _console(as_json)
    rows = tuple(int(size) for size in sizes.split(",") if size)
    found: list[Any] = []
    if rows:
        wanted = tuple(name for name in indexes.split(";") if name)
        plan = search.Plan(rows, indexes=wanted, tell=console.print)
        with a_bank() as settings:
            found.append(search.measure(settings, plan))
        tables.show_searching(console, found[-1])
    if passages:
        with a_bank() as settings:
            at = settings.model_copy(update={"vectors": vectors})
            found.append(suggestions.measure(at, suggestions.Plan(sizes=(passages,))))
        tables.show_suggestions(console, found[-1])
    _tell(found, as_json)


@app.command(name="intents")
def intents_command(
    file: Annotated[
        Path | None, typer.Option(help="Messages by intent, YAML.", exists=True)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What messages are read as: the labelled examples in ten folds, or those of a file."""
    console, found = Console(quiet=as_json, width=WIDTH), intents.measure(file)
    intents.show(console, found)
    _tell(found, as_json)


@app.command(name="extraction")
def extraction_command(as_json: AsJson = False) -> None:
    """Time and memory of reading uploaded files, by kind at 1, 10 and 100 pages."""
    console, found = Console(quiet=as_json, width=WIDTH), extraction.measure()
    tables.show_extraction(console, found)
    _tell(found, as_json)


@app.command(name="retrieval")
def retrieval_command(
    data: Annotated[
        Path | None, typer.Option(help="Folder with corpus.jsonl, queries.jsonl, qrels.tsv.")
    ] = None,
    each: Annotated[int, typer.Option(help="At most so many questions of a suite; 0: all.")] = 0,
    documents: Annotated[int, typer.Option(help="So many documents at random; 0: all.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Whether questions find their documents: the demo library, and a collection in a folder."""
    console = Console(quiet=as_json, width=WIDTH)
    asked = questions.measure()
    retrieval_tables.show_questions(console, asked)
    found = {"questions": tables.plain(asked)}
    if data is not None:
        measured = retrieval.measure(data, each, documents)
        retrieval_tables.show_retrieval(console, measured)
        found["retrieval"] = tables.plain(measured)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    app()

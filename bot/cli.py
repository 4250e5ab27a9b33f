"""`siyu`: the verbs. Each reads the settings once and calls a function that tests call too."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast
from uuid import UUID

import typer

from bank.database import utc_now
from bank.settings import Settings
from bot import doctor as checkup
from bot import logs, serve, sidecar
from bot.demo import run, story
from bot.importing import KINDS, import_file
from bot.loops import Role
from bot.replaying import replayed
from compliance import guard as rules
from compliance.verdict import Role as Speaker
from knowledge import retrieve as retrieval
from knowledge.encoder import load_encoder
from migrations import migrate as bring_up

app = typer.Typer(
    name="siyu",
    help="Private-domain assistant for bank wealth management inside Enterprise WeChat.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run a verb: 0 done, 1 did not succeed (one line on stderr), 2 wrong usage."""
    try:
        app()
    except (RuntimeError, OSError, ValueError) as error:
        _fail(str(error).splitlines()[0] if str(error) else type(error).__name__)


def _fail(reason: str) -> NoReturn:
    typer.echo(f"siyu: {reason}", err=True)
    raise SystemExit(1)


def _settings() -> Settings:
    settings = Settings()
    logs.set_up(settings.log_format)
    return settings


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the first page.")] = 8800,
    once: Annotated[bool, typer.Option("--once", help="Play the story and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each step as JSON.")] = False,
) -> None:
    """The whole product with a demo bank and a simulated WeCom.

    Example: siyu demo --once --json
    """
    settings = run.demo_settings(_settings(), port)
    with serve.with_database(settings) as ready:
        if once:
            told = serve.run(story.play(ready, port, _teller(as_json)))
            raise SystemExit(0 if told else 1)
        typer.echo(f"{settings.public_url}  打开浏览器访问；按 Ctrl-C 停止。")
        serve.run(run.run_demo(ready, port))


def _teller(as_json: bool) -> Callable[[story.Step], None]:
    def tell(step: story.Step) -> None:
        line = json.dumps(step.facts(), ensure_ascii=False) if as_json else step.line()
        typer.echo(line)

    return tell


@app.command(name="serve")
def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8800,
    role: Annotated[str, typer.Option(help="all, web or worker.")] = "all",
) -> None:
    """A production process; any number of each role may share one database.

    Example: SIYU_DATABASE_URL=postgresql://… siyu serve --role worker
    """
    if role not in ("all", "web", "worker"):
        raise typer.BadParameter("role must be all, web or worker")
    with serve.with_database(_settings()) as ready:
        serve.run(serve.serve(ready, host, port, cast(Role, role)))


@app.command()
def migrate() -> None:
    """Bring the database to today's schema.

    Example: siyu migrate
    """
    with serve.with_database(_settings()) as ready:
        bring_up(ready.database_url)
    typer.echo("schema is current")


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print each finding as JSON.")] = False,
) -> None:
    """Check every setting against the outside and say what to click about each failure.

    Example: siyu doctor
    """
    with serve.with_database(_settings()) as ready:
        findings = asyncio.run(checkup.examine(ready, utc_now()))
    for finding in findings:
        told = [json.dumps(finding.facts(), ensure_ascii=False)] if as_json else finding.lines()
        typer.echo("\n".join(told))
    raise SystemExit(0 if all(finding.good for finding in findings) else 1)


@app.command()
def archive(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8810,
) -> None:
    """The conversation-archive sidecar, on a machine that has WeCom's library and the keys.

    Example: SIYU_ARCHIVE_LIBRARY=/opt/wecom/libWeWorkFinanceSdk_C.so siyu archive
    """
    serve.run(sidecar.serve_archive(_settings(), host, port))


@app.command(name="import")
def import_command(
    kind: Annotated[str, typer.Argument(help="What the file holds: products, nav or conversions.")],
    file: Annotated[Path, typer.Argument(help="CSV or XLSX file.", exists=True)],
    source: Annotated[str, typer.Option(help="System the file comes from.")] = "core",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, store nothing.")] = False,
) -> None:
    """Import rows of the bank's system; idempotent, rejected rows go to FILE.rejects.csv.

    Example: siyu import products products.xlsx --dry-run
    """
    if kind not in KINDS:
        raise typer.BadParameter(f"can import {', '.join(KINDS)}; got {kind}")
    with serve.with_database(_settings()) as ready:
        counts = asyncio.run(import_file(ready, kind, file, source, dry_run))
    typer.echo(json.dumps(counts, ensure_ascii=False))


@app.command()
def guard(
    role: Annotated[str, typer.Option(help="rm, bot, material, customer or internal.")] = "rm",
) -> None:
    """Judge texts: JSONL on stdin, JSONL on stdout in the same order.

    Example: echo '{"text": "这款保本保息"}' | siyu guard --role rm
    """
    if role not in list(Speaker):
        raise typer.BadParameter("role must be rm, bot, material, customer or internal")
    for line in rules.judge_lines(sys.stdin, Speaker(role)):
        typer.echo(line)


@app.command()
def retrieve(
    corpus: Annotated[Path, typer.Option(help='JSONL {"id","text"}.', exists=True)],
    queries: Annotated[Path, typer.Option(help='JSONL {"id","text"}.', exists=True)],
    out: Annotated[Path, typer.Option(help="Where the run is written, JSONL.")],
    phrasings: Annotated[
        Path | None, typer.Option(help='JSONL {"id","text"}: questions of documents.')
    ] = None,
    k: Annotated[int, typer.Option(help="Hits a query.")] = 10,
    encoder: Annotated[str, typer.Option(help="builtin, or a model's path or name.")] = "builtin",
) -> None:
    """Index a corpus as the product does and answer queries, for measuring.

    Example: siyu retrieve --corpus c.jsonl --queries q.jsonl --out run.jsonl
    """
    rows = retrieval.run(
        _lines(corpus),
        _lines(queries),
        _lines(phrasings) if phrasings else [],
        k,
        load_encoder(encoder),
    )
    with out.open("w", encoding="utf-8") as sink:
        for row in rows:
            sink.write(json.dumps(row, ensure_ascii=False) + "\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError:
                    _fail(f"{path}:{number}: not a JSON object on one line")


@app.command()
def replay(suggestion_id: Annotated[str, typer.Argument(help="Id of a suggestion.")]) -> None:
    """Why a suggestion was what it was: candidates, filters, scores, draft, findings, outcome.

    Example: siyu replay 3f0c…
    """
    try:
        wanted = UUID(suggestion_id)
    except ValueError:
        raise typer.BadParameter("a suggestion id is a UUID") from None
    with serve.with_database(_settings()) as ready:
        told = asyncio.run(replayed(ready, wanted))
    if told is None:
        _fail(f"no suggestion {wanted}")
    typer.echo(json.dumps(told, ensure_ascii=False, indent=2))

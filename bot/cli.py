"""`siyu`: the verbs. Each reads the settings once and calls a function that tests call too."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast
from uuid import UUID

import typer
from pydantic import ValidationError

from bank import logs
from bank.calendar import local_day
from bank.database import utc_now
from bank.settings import Settings
from bank.signing import open_signer
from bot import audit_commands, index_commands, serve, sidecar
from bot import doctor as checkup
from bot.demo import run, story
from bot.evidence.checking import faults_of
from bot.evidence.making import Order, make_pack
from bot.importing import KINDS, import_file, rejects_of
from bot.judging import judged
from bot.loops import Role
from bot.matching import match_all
from bot.replaying import replayed
from bot.tuning import approved, on_terminal, phrasings_in
from compliance import guard as rules
from compliance.verdict import Role as Speaker
from knowledge import retrieve as retrieval
from knowledge.encoder import BUILTIN, is_table, load_encoder
from knowledge.pgvector import grant_vectors
from knowledge.tuning import Order as Tuning
from knowledge.tuning import tune
from knowledge.vectors import open_store
from migrations import migrate as bring_up
from migrations.granting import grant_to

app = typer.Typer(
    name="siyu",
    help="Private-domain assistant for bank wealth management inside Enterprise WeChat.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(audit_commands.commands, name="audit")
app.add_typer(index_commands.commands, name="index")


def main() -> None:
    """Run a verb: 0 done, 1 did not succeed (one line on stderr), 2 wrong usage."""
    try:
        app()
    except ValidationError as wrong:
        _fail("; ".join(_says(error) for error in wrong.errors()))
    except (RuntimeError, OSError, ValueError) as error:
        _fail(str(error).splitlines()[0] if str(error) else type(error).__name__)


def _says(error: Mapping[str, Any]) -> str:
    """What is wrong with a setting: its own sentence, or pydantic's after its name."""
    said = str(error["msg"]).removeprefix("Value error, ")
    name = "_".join(str(part) for part in error["loc"]).upper()
    return said if said.startswith("SIYU_") else f"SIYU_{name}: {said}"


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
def migrate(
    role: Annotated[str, typer.Option("--grant-to", help="Role the application connects as.")] = "",
) -> None:
    """Bring the database to today's schema.

    Example: siyu migrate --grant-to siyu_app
    """
    with serve.with_database(_settings()) as ready:
        bring_up(ready.database_url)
        open_store(ready.vectors, ready.database_url).close()
        if role:
            grant_to(ready.database_url, role)
        if role and ready.vectors == "pgvector":
            grant_vectors(ready.database_url, role)
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
    kind: Annotated[
        str, typer.Argument(help="customers, follows, holdings, products, nav or conversions.")
    ],
    file: Annotated[Path, typer.Argument(help="CSV, XLSX or Parquet file.", exists=True)],
    source: Annotated[str, typer.Option(help="System the file comes from.")] = "core",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, store nothing.")] = False,
) -> None:
    """Import rows of the bank's system; idempotent, rejected rows go to FILE.rejects.csv.

    Example: siyu import customers customers.xlsx --dry-run
    """
    if kind not in KINDS:
        raise typer.BadParameter(f"can import {', '.join(KINDS)}; got {kind}")
    with serve.with_database(_settings()) as ready:
        counts = asyncio.run(import_file(ready, kind, file, source, dry_run))
    typer.echo(json.dumps(counts, ensure_ascii=False))
    if counts["rejected"]:
        typer.echo(f"{counts['rejected']:,} rows not taken, why: {rejects_of(file)}", err=True)


@app.command()
def guard(
    role: Annotated[str, typer.Option(help="rm, bot, material, customer or internal.")] = "rm",
    products: Annotated[
        Path | None,
        typer.Option(
            help="Names of the products sold, one a line: others that are offered are pointed out.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Judge texts: JSONL on stdin, JSONL on stdout in the same order.

    Example: echo '{"text": "这款保本保息"}' | siyu guard --role rm
    """
    if role not in list(Speaker):
        raise typer.BadParameter("role must be rm, bot, material, customer or internal")
    known = _names(products) if products else None
    for line in rules.judge_lines(sys.stdin, Speaker(role), known=known):
        typer.echo(line)


def _names(file: Path) -> list[str]:
    """The names in a file, one a line."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{file.name} is not UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


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


@app.command()
def judge(
    limit: Annotated[int, typer.Option(help="How many accepted suggestions, newest first.")] = 500,
    model: Annotated[bool, typer.Option("--model", help="Let the wording model word too.")] = False,
    least: Annotated[
        float, typer.Option(help="Fail below this share at rank 3, 0 to 1.", min=0, max=1)
    ] = 0.0,
) -> None:
    """Would today's index and writer offer what RMs accepted: rank 1 and 3 by intent, as JSON.

    Example: siyu judge --limit 200 --least 0.9
    """
    with serve.with_database(_settings()) as ready:
        report = asyncio.run(judged(ready, utc_now(), limit, model))
    typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
    share = report["total"]["rank_3"]
    raise SystemExit(1 if share is not None and share < least else 0)


@app.command(name="tune")
def tune_command(
    out: Annotated[Path, typer.Option(help="New file (.npz) for a table, or folder for a model.")],
    base: Annotated[
        str, typer.Option(help="builtin, or a table or model to go on from.")
    ] = BUILTIN,
    phrasings: Annotated[
        Path | None,
        typer.Option(
            help='JSONL {"id","text"}; without it the approved 常见问法 of live material.',
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same encoder.", min=0)] = 20,
    steps: Annotated[int, typer.Option(help="Steps of training; 0: as many as usual.", min=0)] = 0,
    rate: Annotated[float, typer.Option(help="Learning rate; 0: the usual one.", min=0)] = 0.0,
    anyway: Annotated[bool, typer.Option("--anyway", help="Write it though it is worse.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Teach an encoder the bank's own approved phrasings; written unless searches get worse by it.

    Example: siyu tune --base /models/bge-small-zh-v1.5 --out /models/ours
    """
    if is_table(str(out)) != is_table(base):
        raise typer.BadParameter("--out of a table ends in .npz, --out of a model is a folder")
    order = Tuning(base, out, phrasings.name if phrasings else "", seed, steps, rate, anyway)
    if phrasings:
        known = phrasings_in(_lines(phrasings))
    else:
        with serve.with_database(_settings()) as ready:
            known = asyncio.run(approved(ready, utc_now()))
    with on_terminal("tuning") as told:
        tuned = tune(order, known, local_day(utc_now()), told)
    typer.echo(json.dumps(asdict(tuned)) if as_json else "\n".join(tuned.lines()))
    if tuned.refusal:
        _fail(tuned.refusal)


@app.command()
def match(
    afresh: Annotated[
        bool, typer.Option("--all", help="Every customer again, not only those left today.")
    ] = False,
) -> None:
    """Match customers and live materials: the ten best for each, with reasons; resumable.

    Example: siyu match --all
    """
    with serve.with_database(_settings()) as ready:
        counts = asyncio.run(match_all(ready, utc_now(), afresh=afresh))
    typer.echo(json.dumps(counts, ensure_ascii=False))


@app.command()
def evidence(
    customer: Annotated[UUID | None, typer.Option(help="Id of a customer.")] = None,
    touch: Annotated[UUID | None, typer.Option(help="Id of a touch.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the pack.")] = None,
    check: Annotated[Path | None, typer.Option("--verify", help="Check this pack.")] = None,
    personal: Annotated[
        bool, typer.Option("--with-personal-data", help="Do not mask; needs --by.")
    ] = False,
    by: Annotated[str, typer.Option(help="Userid of whoever takes the pack.")] = "",
    second: Annotated[str, typer.Option(help="Userid of the second person.")] = "",
    public_key: Annotated[str, typer.Option(help="Trust this key too, for --verify.")] = "",
) -> None:
    """Everything kept about a customer or a touch, in files that can be checked.

    Example: siyu evidence --customer 3f0c… --out pack && siyu evidence --verify pack
    """
    chosen = [(name, one) for name, one in (("customer", customer), ("touch", touch)) if one]
    if check is not None:
        raise SystemExit(_checked_pack(check, public_key))
    if len(chosen) != 1 or out is None:
        raise typer.BadParameter("give --customer or --touch with --out, or --verify")
    [(about, subject)] = chosen
    order = Order(about, subject, out, personal, by, second)
    with serve.with_database(_settings()) as ready:
        made = asyncio.run(make_pack(ready, order, utc_now()))
    told = {"files": len(made["files"]) + 1, "rows": made["rows"], "out": str(out)}
    typer.echo(json.dumps(told, ensure_ascii=False))


def _checked_pack(folder: Path, public_key: str) -> int:
    """Print what is wrong with the pack, or that nothing is."""
    signer = open_signer(_settings())
    faults = faults_of(folder, signer.trusting(public_key) if public_key else signer)
    typer.echo("\n".join(faults) or "完好：每个文件都与出具时一致。")
    return 1 if faults else 0

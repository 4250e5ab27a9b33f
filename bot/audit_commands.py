"""`siyu audit`: check the book, sign a head, show the key, declare a restore."""

import asyncio
import json
from typing import Annotated

import typer

from bank import audit, logs
from bank.audit_chain import Place
from bank.audit_check import check
from bank.audit_heads import RESTORED, open_heads
from bank.audit_keeping import Keeper, write_head
from bank.database import open_engine, open_sessions, utc_now
from bank.settings import Settings
from bot import serve

commands = typer.Typer(
    help="The audit book: verify it, sign where it ends, show the public key.",
    no_args_is_help=True,
)

NOTHING_YET = "the audit book has no line yet"


def _settings() -> Settings:
    settings = Settings()
    logs.set_up(settings.log_format)
    return settings


@commands.command()
def verify(
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Check every line of the book, its chain, and the heads outside the database.

    Example: siyu audit verify
    """
    with serve.with_database(_settings()) as ready:
        found = check(ready.database_url, open_heads(ready))
    if as_json:
        typer.echo(json.dumps(found.facts() | {"say": found.say()}, ensure_ascii=False))
    else:
        typer.echo(
            f"{'ok' if found.sound else 'BROKEN'}: {found.lines:,} lines in {found.seconds} s"
        )
        typer.echo(found.say())
        if found.waiting:
            typer.echo(f"另有 {found.waiting:,} 条刚写入，尚未入链。")
        for reason in found.restored:
            typer.echo(f"曾声明从备份恢复：{reason}")
    raise SystemExit(0 if found.sound else 1)


@commands.command()
def head() -> None:
    """Sign where the book ends now, beside the daily heads.

    Example: siyu audit head
    """
    with serve.with_database(_settings()) as ready:
        place = asyncio.run(signed_head(ready))
    if place is None:
        raise RuntimeError(NOTHING_YET)
    typer.echo(json.dumps({"position": place.position, "chain": place.chain.hex()}))


@commands.command()
def key() -> None:
    """The public key that checks this installation's heads and evidence packs.

    Example: siyu audit key
    """
    typer.echo(open_heads(_settings()).signer.public_text)


@commands.command()
def restored(
    reason: Annotated[str, typer.Option(help="Which backup, why, and who decided it.")],
) -> None:
    """Declare that the database was put back from a backup; heads from beyond it bind no more.

    Example: siyu audit restored --reason "11-29 夜间备份，存储故障，周岚批准"
    """
    if not reason.strip():
        raise typer.BadParameter("say which backup, why, and who decided it")
    with serve.with_database(_settings()) as ready:
        place = asyncio.run(declare_restored(ready, reason.strip()))
    typer.echo(json.dumps({"position": place.position, "chain": place.chain.hex()}))


async def signed_head(settings: Settings) -> Place | None:
    """Link what waits, then sign where the chain ends."""
    engine = open_engine(settings.database_url, pool_size=2)
    try:
        sessions, heads = open_sessions(engine), open_heads(settings)
        await Keeper(sessions, heads).link(utc_now())
        async with sessions() as session:
            return await write_head(session, heads, utc_now())
    finally:
        await engine.dispose()


async def declare_restored(settings: Settings, reason: str) -> Place:
    """Write the declaration into the heads and into the book itself."""
    engine = open_engine(settings.database_url, pool_size=2)
    try:
        sessions, heads = open_sessions(engine), open_heads(settings)
        async with sessions() as session:
            place = await write_head(session, heads, utc_now(), kind=RESTORED, reason=reason)
        if place is None:
            raise RuntimeError(NOTHING_YET)
        async with sessions.begin() as session:
            audit.record(
                session, "bot:book:restored", "audit", by=audit.SYSTEM, now=utc_now(),
                reason=reason, position=place.position,
            )  # fmt: skip
        await Keeper(sessions, heads).link(utc_now())
        return place
    finally:
        await engine.dispose()

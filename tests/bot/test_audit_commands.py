"""`siyu audit` from outside: what it says, and with which exit code."""

import asyncio
import base64
import json

import pytest
from typer.testing import CliRunner, Result

from bank.database import Sessions
from bank.settings import Settings
from bot.cli import app
from tests.bank.auditing import Book
from tests.journeys.test_killed import environment

run = CliRunner()


@pytest.fixture
async def book(sessions: Sessions, settings: Settings) -> Book:
    """A book of twelve linked lines."""
    return await Book(sessions, settings).linked(12)


async def siyu(book: Book, *command: str) -> Result:
    """The command, as an operator types it."""
    arguments = ["audit", *command]
    return await asyncio.to_thread(run.invoke, app, arguments, env=environment(book.settings))


async def test_a_sound_book_is_told_in_words_and_in_json(book: Book) -> None:
    told = await siyu(book, "verify")
    assert told.exit_code == 0, told.output
    assert "ok: 12 lines" in told.stdout
    assert "完好：12 条记录逐条相扣" in told.stdout
    facts = json.loads((await siyu(book, "verify", "--json")).stdout)
    assert (facts["sound"], facts["lines"], facts["broken"]) == (True, 12, None)


async def test_a_broken_book_fails_and_names_the_line(book: Book) -> None:
    book.damage("UPDATE audit_entry SET actor = 'x' WHERE id = 7")
    told = await siyu(book, "verify")
    assert told.exit_code == 1
    assert "BROKEN" in told.stdout
    assert "内容被改动：第 7 号记录" in told.stdout
    facts = json.loads((await siyu(book, "verify", "--json")).stdout)
    assert facts["broken"]["damage"] == "altered"


async def test_a_head_on_demand_takes_in_what_waits(book: Book) -> None:
    await book.write(3)
    told = await siyu(book, "head")
    assert json.loads(told.stdout)["position"] == 15
    assert [head.place.position for head in book.heads.read()] == [15]


async def test_a_head_of_nothing_says_so(sessions: Sessions, settings: Settings) -> None:
    told = await siyu(Book(sessions, settings), "head")
    assert told.exit_code == 1
    assert "no line yet" in str(told.exception)


async def test_a_restore_is_declared_with_a_reason_and_noted(book: Book) -> None:
    book.damage("DELETE FROM audit_link WHERE position > 9", "DELETE FROM audit_entry WHERE id > 9")
    assert (await siyu(book, "verify")).exit_code == 1
    assert (await siyu(book, "restored", "--reason", " ")).exit_code == 2
    assert (await siyu(book, "restored", "--reason", "夜间备份")).exit_code == 0
    told = await siyu(book, "verify")
    assert told.exit_code == 0, told.output
    assert "曾声明从备份恢复：夜间备份" in told.stdout
    assert book.read("SELECT action FROM audit_entry ORDER BY id DESC LIMIT 1") == [
        ("bot:book:restored",)
    ]


async def test_the_public_key_is_shown(book: Book) -> None:
    shown = (await siyu(book, "key")).stdout.strip()
    assert base64.b64decode(shown) == book.heads.signer.public


@pytest.mark.parametrize("command", ["verify", "head", "key", "restored"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    told = run.invoke(app, ["audit", command, "--help"])
    assert told.exit_code == 0
    assert "Example" in told.stdout

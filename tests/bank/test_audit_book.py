"""The audit book: what is written stays as it was, and any change of it is found and named."""

import asyncio
import base64
import json
import random
from datetime import datetime, timedelta

import psycopg
import pytest
from pydantic import SecretStr

from bank import audit, audit_chain
from bank.audit_chain import Place
from bank.audit_check import Damage, check
from bank.audit_heads import Heads, open_heads
from bank.audit_keeping import Keeper, ask_check, keep_day, run_asked_check, write_head
from bank.database import Sessions, plain_url
from bank.models import AuditCheck
from bank.settings import Settings
from bank.signing import UnreadablePublicKey, open_signer
from tests.bank.auditing import Book
from tests.builders import MONDAY


@pytest.fixture
def book(sessions: Sessions, settings: Settings) -> Book:
    """An empty book."""
    return Book(sessions, settings)


async def test_lines_are_linked_in_order_and_the_book_is_sound(book: Book) -> None:
    await book.linked(50)
    found = book.check()
    assert (found.sound, found.lines, found.waiting) == (True, 50, 0)
    assert "完好：50 条记录" in found.say()
    assert [row[0] for row in book.read("SELECT position FROM audit_link ORDER BY 1")] == list(
        range(1, 51)
    )


async def test_an_empty_book_is_sound(book: Book) -> None:
    assert await book.keeper.link(MONDAY) == 0
    assert book.check().sound


async def test_a_line_that_is_not_linked_yet_waits_and_is_no_fault(book: Book) -> None:
    await book.linked(3)
    await book.write(2)
    found = book.check()
    assert (found.sound, found.lines, found.waiting) == (True, 3, 2)
    await book.keeper.link(MONDAY)
    assert book.check().lines == 5


async def test_a_line_that_commits_late_is_linked_where_it_came(
    book: Book, sessions: Sessions
) -> None:
    """Its number was drawn before, so a cursor over numbers would have passed it by."""
    async with sessions() as slow:
        audit.record(slow, "content:version:approve", "slow", by="a", now=MONDAY)
        await slow.flush()
        await book.linked(2)
        await slow.commit()
    assert await book.keeper.link(MONDAY) == 1
    order = [row[0] for row in book.read("SELECT entry_id FROM audit_link ORDER BY position")]
    assert order[-1] == min(order)  # type: ignore[type-var]
    assert book.check().sound


async def test_what_is_taken_back_leaves_no_gap(book: Book, sessions: Sessions) -> None:
    await book.linked(2)
    async with sessions() as session:
        audit.record(session, "content:version:approve", "no", by="a", now=MONDAY)
        await session.flush()
        await session.rollback()
    await book.linked(2)
    assert (book.check().sound, book.check().lines) == (True, 4)


async def test_many_writers_and_several_keepers_make_one_chain(
    book: Book, sessions: Sessions
) -> None:
    keepers = [Keeper(sessions, book.heads) for _ in range(3)]

    async def keep() -> None:
        for keeper in keepers * 6:
            await keeper.link(MONDAY)
            await asyncio.sleep(0.002)

    await asyncio.gather(keep(), keep(), *(book.write(20) for _ in range(8)))
    await book.keeper.link(MONDAY)
    found = book.check()
    assert (found.sound, found.lines, found.waiting) == (True, 160, 0)


CHANGES = {
    "actor": "UPDATE audit_entry SET actor = 'nobody' WHERE id = {id}",
    "moment": "UPDATE audit_entry SET at = at + interval '1 microsecond' WHERE id = {id}",
    "endless": "UPDATE audit_entry SET at = 'infinity' WHERE id = {id}",
    "action": "UPDATE audit_entry SET action = 'content:version:reject' WHERE id = {id}",
    "object": "UPDATE audit_entry SET subject_id = 'x' WHERE id = {id}",
    "detail": 'UPDATE audit_entry SET detail = detail || \'{{"reason": ""}}\' WHERE id = {id}',
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_line_is_found_and_named(book: Book, change: str) -> None:
    await book.linked(30)
    book.damage(CHANGES[change].format(id=17))
    found = book.check()
    assert found.broken is not None
    assert (found.broken.damage, found.broken.entry_id) == (Damage.ALTERED, 17)
    assert "第 17 号记录" in found.say()
    assert found.faults == 1


async def test_a_removed_line_is_missed(book: Book) -> None:
    await book.linked(30)
    book.damage("DELETE FROM audit_entry WHERE id = 9")
    found = book.check().broken
    assert found is not None
    assert (found.damage, found.entry_id) == (Damage.MISSING, 9)


async def test_a_line_removed_with_its_link_is_missed(book: Book) -> None:
    await book.linked(30)
    book.damage("DELETE FROM audit_entry WHERE id = 9", "DELETE FROM audit_link WHERE entry_id = 9")
    found = book.check().broken
    assert found is not None
    assert (found.damage, found.position) == (Damage.MISSING, 9)


async def test_a_line_removed_before_it_was_linked_is_missed(book: Book) -> None:
    await book.linked(5)
    await book.write(2)
    book.damage("DELETE FROM audit_entry WHERE id = 6")
    assert await book.keeper.link(MONDAY) == 1
    found = book.check().broken
    assert found is not None
    assert (found.damage, found.entry_id) == (Damage.MISSING, 6)


SWAP_LINES = """
UPDATE audit_entry a SET at = b.at, actor = b.actor, action = b.action, subject = b.subject,
    subject_id = b.subject_id, detail = b.detail
FROM audit_entry b WHERE (a.id, b.id) IN ((8, 21), (21, 8))
"""
SWAP_LINKS = """
UPDATE audit_link a SET entry_id = -b.entry_id, content = b.content, chain = b.chain
FROM audit_link b WHERE (a.position, b.position) IN ((8, 21), (21, 8))
"""
BACK = "UPDATE audit_link SET entry_id = -entry_id WHERE entry_id < 0"


@pytest.mark.parametrize("statements", [(SWAP_LINES,), (SWAP_LINKS, BACK)])
async def test_two_lines_that_changed_places_are_told_apart(
    book: Book, statements: tuple[str, ...]
) -> None:
    await book.linked(30)
    book.damage(*statements)
    found = book.check().broken
    assert found is not None
    assert (found.damage, found.position) == (Damage.REORDERED, 8)
    assert "21" in found.say


async def test_a_book_cut_at_its_end_contradicts_the_tip_outside(book: Book) -> None:
    await book.linked(30)
    book.damage(
        "DELETE FROM audit_entry WHERE id = 30", "DELETE FROM audit_link WHERE position = 30"
    )
    found = book.check().broken
    assert found is not None
    assert found.damage is Damage.TRUNCATED
    assert "库中只到第 29 位，缺少 1 条" in found.say


async def test_an_emptied_book_contradicts_the_tip_outside(book: Book) -> None:
    await book.linked(3)
    book.damage("TRUNCATE audit_entry, audit_link, audit_waiting")
    found = book.check().broken
    assert found is not None
    assert found.damage is Damage.TRUNCATED


async def test_a_line_written_past_the_chain_is_found(book: Book) -> None:
    await book.linked(3)
    book.damage(
        "INSERT INTO audit_entry (at, actor, action, subject, subject_id, detail)"
        " SELECT at, actor, action, subject, 'planted', detail FROM audit_entry WHERE id = 1"
    )
    found = book.check().broken
    assert found is not None
    assert (found.damage, found.entry_id) == (Damage.UNLINKED, 4)


async def test_a_chain_computed_anew_from_a_changed_line_contradicts_the_heads(
    book: Book, sessions: Sessions
) -> None:
    """The strongest hand in the database: it changes a line and makes every later link fit."""
    await book.linked(10)
    async with sessions() as session:
        await write_head(session, book.heads, MONDAY)
    await book.linked(10)
    book.damage(
        "UPDATE audit_entry SET actor = 'nobody' WHERE id = 15",
        "DELETE FROM audit_link WHERE position >= 15",
        "INSERT INTO audit_waiting SELECT id FROM audit_entry WHERE id >= 15",
    )
    forger = open_heads(book.settings.model_copy(update={"audit_heads": book.folder / "away"}))
    await Keeper(sessions, forger).link(MONDAY)
    found = book.check().broken
    assert found is not None
    assert found.damage is Damage.REWRITTEN
    assert "第 11 位到第 20 位" in found.say
    assert check(book.settings.database_url, forger).sound  # only the heads outside know


async def test_random_damage_of_any_cell_is_always_found(book: Book) -> None:
    await book.linked(40)
    dice = random.Random(7)
    for _ in range(25):
        victim = dice.randint(1, 40)
        damage = dice.choice([
            CHANGES[dice.choice(list(CHANGES))].format(id=victim),
            f"DELETE FROM audit_entry WHERE id = {victim}",
            f"DELETE FROM audit_link WHERE position = {victim}",
            f"UPDATE audit_link SET content = sha256(content) WHERE position = {victim}",
            f"UPDATE audit_link SET chain = sha256(chain) WHERE position = {victim}",
            f"UPDATE audit_link SET entry_id = -{victim} WHERE position = {victim}",
        ])  # fmt: skip
        with psycopg.connect(plain_url(book.settings.database_url)) as connection:
            connection.execute("SET session_replication_role = replica")
            changed = connection.execute(damage.encode())
            assert changed.rowcount == 1
            connection.commit()
            assert not book.check().sound, damage
            connection.execute("TRUNCATE audit_entry, audit_link, audit_waiting RESTART IDENTITY")
        for file in book.folder.iterdir():
            file.unlink()
        book.keeper = Keeper(book.sessions, book.heads)
        await book.linked(40)
    assert book.check().sound


# ---------------------------------------------------------------- the heads outside


async def test_without_any_head_outside_the_end_cannot_be_vouched_for(book: Book) -> None:
    await book.linked(3)
    (book.folder / "tip.json").unlink()
    found = book.check().broken
    assert found is not None
    assert found.damage is Damage.NO_HEAD
    assert "SIYU_AUDIT_HEADS" in found.say
    assert await Keeper(book.sessions, book.heads).link(MONDAY) == 0
    assert book.check().sound  # a worker that starts puts its tip outside at once


class FullDisk(Heads):
    """A folder that cannot be written for a while."""

    full = True

    def put_tip(self, place: Place, now: datetime) -> None:
        """Fails as a full disk does."""
        if self.full:
            raise OSError(28, "No space left on device")
        super().put_tip(place, now)


async def test_a_crash_between_the_commit_and_the_tip_leaves_nothing_undone(book: Book) -> None:
    await book.linked(4)
    heads = FullDisk(book.folder, book.heads.signer)
    keeper = Keeper(book.sessions, heads)
    await book.write(3)
    with pytest.raises(OSError, match="No space"):
        await keeper.link(MONDAY)
    assert (book.check().sound, book.check().lines) == (True, 7)
    heads.full = False
    assert await keeper.link(MONDAY) == 0  # nothing waits, and the tip is put outside all the same
    tip = book.heads.tip()
    assert tip is not None
    assert tip.place.position == 7


async def test_a_head_is_written_once_a_local_day(book: Book, sessions: Sessions) -> None:
    assert not await keep_day(sessions, book.heads, MONDAY)  # nothing to sign yet
    await book.linked(3)
    assert await keep_day(sessions, book.heads, MONDAY)
    assert not await keep_day(sessions, book.heads, MONDAY + timedelta(hours=13))
    assert await keep_day(sessions, book.heads, MONDAY + timedelta(hours=14))  # past midnight there
    assert [head.place.position for head in book.heads.read()] == [3, 3]
    assert book.check().heads == 3


@pytest.mark.parametrize("field", ["position", "chain", "at", "reason", "signature", "key"])
async def test_a_forged_head_is_found(book: Book, sessions: Sessions, field: str) -> None:
    await book.linked(3)
    async with sessions() as session:
        await write_head(session, book.heads, MONDAY)
        await write_head(session, book.heads, MONDAY + timedelta(days=1))
    path = book.folder / "heads.jsonl"
    first, *rest = path.read_bytes().splitlines(keepends=True)
    said = json.loads(first)
    forged = {"position": 2, "chain": "00" * 32, "at": "2020-01-01T00:00:00+00:00", "reason": "x"}
    said[field] = forged[field] if field in forged else said[field].swapcase()
    path.write_bytes(json.dumps(said).encode() + b"\n" + b"".join(rest))
    found = book.check().broken
    assert found is not None
    assert found.damage is Damage.FORGED
    assert "库外链头第 1 条" in found.say


async def test_a_head_taken_out_of_the_middle_is_missed(book: Book, sessions: Sessions) -> None:
    for number in range(3):
        await book.linked(1)
        async with sessions() as session:
            await write_head(session, book.heads, MONDAY + timedelta(days=number))
    path = book.folder / "heads.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    found = book.check().broken
    assert found is not None
    assert (found.damage, "之前有记录被删除" in found.say) == (Damage.FORGED, True)


async def test_a_record_cut_short_by_a_crash_is_no_forgery(book: Book, sessions: Sessions) -> None:
    await book.linked(1)
    async with sessions() as session:
        await write_head(session, book.heads, MONDAY)
        with (book.folder / "heads.jsonl").open("ab") as file:
            file.write(b'{"kind":"head","posi')
        assert book.check().sound
        await write_head(session, book.heads, MONDAY)
    assert book.check().sound
    assert len(book.heads.read()) == 2


async def test_a_new_key_signs_while_the_old_heads_stay_good(
    book: Book, sessions: Sessions
) -> None:
    await book.linked(1)
    async with sessions() as session:
        await write_head(session, book.heads, MONDAY)
    old_public = book.heads.signer.public_text
    old_secret = SecretStr((book.settings.home / "secret.key").read_text())
    new = {"secret_key": SecretStr(base64.b64encode(bytes(range(32))).decode())}
    alone = Book(sessions, book.settings.model_copy(update=new))
    forgotten = alone.check().broken
    assert forgotten is not None
    assert (forgotten.damage, "未知密钥" in forgotten.say) == (Damage.FORGED, True)
    for kept in ({"secret_keys_old": [old_secret]}, {"audit_public_keys": [old_public]}):
        changed = Book(sessions, book.settings.model_copy(update=new | kept))
        await changed.linked(1)
        async with sessions() as session:
            await write_head(session, changed.heads, MONDAY)
        assert changed.check().sound


def test_a_public_key_that_is_none_is_refused(settings: Settings) -> None:
    with pytest.raises(UnreadablePublicKey):
        open_signer(settings.model_copy(update={"audit_public_keys": ["short"]}))


async def test_after_a_restore_somebody_has_to_say_so(book: Book, sessions: Sessions) -> None:
    """A backup ends before the heads outside: lines are lost, and that is told until declared."""
    await book.linked(10)
    async with sessions() as session:
        await write_head(session, book.heads, MONDAY)
    later = MONDAY + timedelta(hours=1)
    await book.linked(5, now=later)
    book.damage("DELETE FROM audit_link WHERE position > 8", "DELETE FROM audit_entry WHERE id > 8")
    await Keeper(sessions, book.heads).link(later)
    assert not book.check().sound
    declared = later + timedelta(minutes=1)
    async with sessions() as session:
        await write_head(session, book.heads, declared, kind="restored", reason="自备份恢复")
    assert book.check().restored == ["自备份恢复"]
    await book.linked(3, now=declared)
    found = book.check()
    assert (found.sound, found.lines) == (True, 11)


# ---------------------------------------------------------------- append-only, and checks


@pytest.mark.parametrize("table", ["audit_entry", "audit_link"])
@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {}"],
)
async def test_nobody_changes_the_book_by_an_ordinary_statement(
    book: Book, table: str, statement: str
) -> None:
    await book.linked(2)
    column = {"audit_entry": "actor = 'x'", "audit_link": "content = ''"}[table]
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only")
    with psycopg.connect(plain_url(book.settings.database_url)) as connection, refused:
        connection.execute(statement.format(table, column).encode())
    assert book.check().sound


async def test_a_check_is_made_once_for_everybody_who_asked(book: Book, sessions: Sessions) -> None:
    await book.linked(4)
    for name in ("zhoulan", "lixin"):
        async with sessions.begin() as session:
            await ask_check(session, name, MONDAY)
    url = book.settings.database_url
    assert await run_asked_check(sessions, url, book.heads, MONDAY)
    assert not await run_asked_check(sessions, url, book.heads, MONDAY)
    async with sessions() as session:
        made = await session.get_one(AuditCheck, 1)
    assert (made.asked_by, made.sound, made.lines) == ("zhoulan", True, 4)
    assert "完好" in made.result["say"]


async def test_a_broken_book_is_told_by_the_check(book: Book, sessions: Sessions) -> None:
    await book.linked(4)
    book.damage("DELETE FROM audit_entry WHERE id = 2")
    async with sessions.begin() as session:
        await ask_check(session, "zhoulan", MONDAY)
    await run_asked_check(sessions, book.settings.database_url, book.heads, MONDAY)
    async with sessions() as session:
        made = await session.get_one(AuditCheck, 1)
    assert made.sound is False
    assert made.result["broken"]["damage"] == "missing"


async def test_a_check_nobody_finished_is_taken_up_again(book: Book, sessions: Sessions) -> None:
    await book.linked(1)
    async with sessions.begin() as session:
        session.add(
            AuditCheck(asked_by="a", asked_at=MONDAY, lease_until=MONDAY + timedelta(minutes=30))
        )
    url = book.settings.database_url
    assert not await run_asked_check(sessions, url, book.heads, MONDAY)
    assert await run_asked_check(sessions, url, book.heads, MONDAY + timedelta(minutes=31))


def test_control_characters_cannot_break_a_line() -> None:
    """A name with a line end or a terminal's escape stays inside its own line (S-18)."""
    told = audit_chain.canonical(["a\nb\x1b[2J\r", {"z": 1, "a": "\u0000"}])
    assert all(byte >= 0x20 for byte in told)
    assert json.loads(told) == ["a\nb\x1b[2J\r", {"a": "\u0000", "z": 1}]

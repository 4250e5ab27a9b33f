"""系统 · 操作日志: the state of the chain, the check on demand, exports with a second person."""

import csv
import io
from urllib.parse import unquote

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from bank.audit_keeping import run_asked_check
from bank.models import Role, Staff
from bot import audit_export
from bot.exports import OPEN_FOR
from bot.models import ExportKind, ExportRequest
from desk.downloads import ALONE
from tests.bank.auditing import Book
from tests.builders import MONDAY, a_staff
from tests.conftest import Product, Visitor


@pytest.fixture
async def book(product: Product) -> Book:
    """The product's audit book."""
    return Book(product.parts.sessions, product.parts.settings)


@pytest.fixture
async def zhoulan(session: AsyncSession) -> Staff:
    """Compliance."""
    staff = await a_staff(session, Role.COMPLIANCE, name="周岚")
    await session.commit()
    return staff


@pytest.fixture
async def lixin(session: AsyncSession) -> Staff:
    """Audit."""
    staff = await a_staff(session, Role.AUDITOR, name="李欣")
    await session.commit()
    return staff


async def works(product: Product, book: Book) -> None:
    """What the loops of a worker do for the book."""
    await book.keeper.link(product.clock())
    url = book.settings.database_url
    await run_asked_check(book.sessions, url, book.heads, product.clock())


async def table_of(visitor: Visitor, path: str, data: object = None) -> list[list[str]]:
    """A CSV as downloaded, with its heading."""
    answer = await visitor.post(path, data)
    assert answer.status == 200, await answer.text()
    assert answer.headers["Content-Disposition"].startswith("attachment")
    text = (await answer.read()).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


async def test_before_anything_was_checked_the_page_says_so(
    product: Product, zhoulan: Staff
) -> None:
    desk = await product.client(zhoulan)
    assert "/system/audit/chain" in await desk.text("/system/audit")
    state = await desk.text("/system/audit/chain")
    assert "尚未核对" in state
    assert "后台进程每天核对一次" in state


async def test_a_check_is_asked_for_and_its_result_shown(
    product: Product, book: Book, zhoulan: Staff
) -> None:
    await book.linked(8)
    desk = await product.client(zhoulan)
    assert (await desk.post("/system/audit/verify")).status == 303
    waiting = await desk.text("/system/audit/chain")
    assert "正在核对" in waiting
    assert 'hx-trigger="every 2s"' in waiting
    await works(product, book)
    state = await desk.text("/system/audit/chain")
    assert "完好" in state
    assert "every 2s" not in state
    assert "周岚发起，9 条" in state  # the asking is a line of the book too


async def test_damage_is_told_on_the_page_in_words(
    product: Product, book: Book, lixin: Staff
) -> None:
    await book.linked(8)
    book.damage("DELETE FROM audit_entry WHERE id = 5")
    desk = await product.client(lixin)
    await desk.post("/system/audit/verify")
    await works(product, book)
    state = await desk.text("/system/audit/chain")
    assert "有异常" in state
    assert "记录缺失：第 5 号记录（链上第 5 位）已不在库中" in state


async def test_filters_narrow_the_book_and_odd_ones_do_nothing(
    product: Product, book: Book, zhoulan: Staff
) -> None:
    await book.write(5)
    desk = await product.client(zhoulan)
    assert "共 5 条" in await desk.text("/system/audit")
    assert "共 1 条" in await desk.text("/system/audit?id=version-3")
    assert "共 1 条" in await desk.text("/system/audit?actor=staff2")
    assert "共 5 条" in await desk.text("/system/audit?subject=version&since=2026-11-23")
    assert "没有符合条件的记录" in await desk.text("/system/audit?until=2026-11-22")
    assert "共 5 条" in await desk.text("/system/audit?since=tomorrow&until=9999-99-99")


async def test_a_few_lines_are_exported_at_once_with_their_place_in_the_chain(
    product: Product, book: Book, zhoulan: Staff
) -> None:
    await book.linked(5)
    desk = await product.client(zhoulan)
    heading, *lines = await table_of(desk, "/system/audit/export", {"id": "version-3"})
    assert heading == audit_export.HEADINGS
    [line] = lines
    assert line[:2] == ["4", "2026-11-23T10:00:03.000000+08:00"]
    assert line[4:8] == ["审批通过并上线", "content:version:approve", "素材版本", "version-3"]
    [(chain,)] = book.read("SELECT encode(chain, 'hex') FROM audit_link WHERE entry_id = 4")
    assert line[9:] == ["4", chain]
    [(action, rows)] = book.read(
        "SELECT action, detail ->> 'rows' FROM audit_entry ORDER BY id DESC LIMIT 1"
    )
    assert (action, rows) == ("bot:book:export", "1")


async def test_no_cell_is_a_formula_and_none_breaks_its_line(
    product: Product, session: AsyncSession, zhoulan: Staff
) -> None:
    for text in ("=1+1", "+cmd", "-2+3", "@SUM(A1)", "a\nb", "\x1b[2J", "\tx", "‮txt"):
        audit.record(session, "content:version:approve", text, by=text, now=MONDAY)
    await session.commit()
    _, *lines = await table_of(await product.client(zhoulan), "/system/audit/export")
    told = [line[7] for line in lines]
    assert told[:4] == ["'=1+1", "'+cmd", "'-2+3", "'@SUM(A1)"]
    assert told[4:] == ["a\\nb", "\\x1b[2J", "\\tx", "\\u202etxt"]
    assert all(line[3].strip("'") == line[7].strip("'") for line in lines)


async def test_many_lines_need_a_second_person_and_only_who_asked_gets_them(
    product: Product, book: Book, zhoulan: Staff, lixin: Staff
) -> None:
    await book.linked(ALONE + 1)
    asker, second = await product.client(zhoulan), await product.client(lixin)
    without = await asker.post("/system/audit/export", {"subject": "version"})
    assert "/system/audit?subject=version" in without.headers["Location"]
    asked = {"subject": "version", "reason": "年度检查底稿"}
    assert (await asker.post("/system/audit/export", asked)).status == 303
    [(request_id,)] = book.read("SELECT id FROM export_request")
    address = f"/system/exports/{request_id}"
    assert (await asker.post(f"{address}/file")).status == 404
    assert f"{address}/agree" not in await asker.text("/system/exports")
    own = await asker.post(f"{address}/agree")
    assert own.status == 303
    assert book.read("SELECT agreed FROM export_request") == [(None,)]
    listed = await second.text("/system/exports")
    assert "年度检查底稿" in listed
    assert "对象 素材版本" in listed
    agreed = await second.post(f"{address}/agree")
    assert "申请人可在" in unquote(agreed.headers["Location"])
    assert (await second.post(f"{address}/file")).status == 404
    await book.write(1)
    lines = await table_of(asker, f"{address}/file")
    assert len(lines) == 1 + ALONE + 1  # what came later was not agreed to
    actions = [
        row[0]
        for row in book.read(
            "SELECT action FROM audit_entry WHERE subject <> 'version' ORDER BY id"
        )
    ]
    assert actions == ["bot:export:ask", "bot:export:agree", "bot:book:export"]
    product.clock.at(MONDAY + OPEN_FOR * 2)
    late = await product.client(zhoulan)
    assert (await late.post(f"{address}/file")).status == 404


async def test_a_refused_export_stays_refused(
    product: Product, book: Book, zhoulan: Staff, lixin: Staff
) -> None:
    await book.write(ALONE + 1)
    asker, second = await product.client(zhoulan), await product.client(lixin)
    await asker.post("/system/audit/export", {"reason": "检查"})
    [(request_id,)] = book.read("SELECT id FROM export_request")
    address = f"/system/exports/{request_id}"
    assert (await second.post(f"{address}/refuse")).status == 303
    assert (await second.post(f"{address}/agree")).status == 303
    assert book.read("SELECT agreed FROM export_request") == [(False,)]
    assert (await asker.post(f"{address}/file")).status == 404
    assert (await asker.post(f"{address}/drop")).status == 404


async def test_the_database_itself_wants_a_second_person(session: AsyncSession) -> None:
    session.add(
        ExportRequest(
            what=ExportKind.AUDIT,
            rows=500,
            last_entry=500,
            reason="x",
            asked_by="a",
            asked_at=MONDAY,
            agreed=True,
            decided_by="a",
            decided_at=MONDAY,
        )
    )
    with pytest.raises(IntegrityError, match="second_person"):
        await session.commit()


async def test_terms_of_keeping_are_shown_with_their_floors(product: Product, lixin: Staff) -> None:
    page = await (await product.client(lixin)).text("/system/audit/terms")
    assert "SIYU_RETENTION_EVIDENCE_YEARS" in page
    assert "反洗钱法（2024 修订）第 34 条" in page

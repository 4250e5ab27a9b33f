"""`siyu import` takes Parquet as it takes CSV and XLSX: exact amounts, one file, rejects beside."""

import csv
from datetime import date
from pathlib import Path

import duckdb
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import Conversion
from bank.settings import Settings
from bot.importing import UnreadableFile, import_file
from content import products
from tests.builders import MONDAY, a_customer, a_product

CONVERSIONS = """
SELECT * FROM (VALUES
    ('TX1', '{no}', 'P1', 50000.00::DECIMAL(18,2), TIMESTAMPTZ '2026-11-20 10:30:00+08'),
    ('TX2', '{no}', 'P1', 0.10::DECIMAL(18,2), TIMESTAMPTZ '2026-11-20 02:30:00+00'),
    ('TX3', '{no}', 'P1', NULL, TIMESTAMPTZ '2026-11-20 10:30:00+08')
) AS row (reference, customer_no, product_code, amount, happened_at)
"""


def parquet(file: Path, query: str) -> Path:
    """That query's rows as a Parquet file."""
    with duckdb.connect() as writer:
        writer.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
    return file


async def test_conversions_keep_their_cents_and_moments_and_rejects_stand_beside(
    settings: Settings, session: AsyncSession, tmp_path: Path
) -> None:
    customer = await a_customer(session)
    await session.commit()
    file = parquet(tmp_path / "november.parquet", CONVERSIONS.format(no=customer.bank_no))
    counts = await import_file(settings, "conversions", file, "core", dry_run=False)
    assert (counts["read"], counts["new"], counts["rejected"]) == (3, 2, 1)
    rows = select(Conversion).order_by(col(Conversion.reference))
    taken = list((await session.execute(rows)).scalars())
    assert [row.amount_cents for row in taken] == [5_000_000, 10]
    assert taken[0].at == taken[1].at
    assert taken[0].at.isoformat().startswith("2026-11-20T")
    beside = tmp_path / "november.parquet.rejects.csv"
    [rejected] = csv.DictReader(beside.read_text(encoding="utf-8-sig").splitlines())
    assert (rejected["reference"], rejected["reason"]) == ("TX3", "缺少金额")
    assert rejected["amount"] == "", "nothing is written as nothing"
    again = await import_file(settings, "conversions", file, "core", dry_run=False)
    assert (again["new"], again["same"]) == (0, 2)


async def test_values_with_dates_and_binary_numbers_and_chinese_headings(
    settings: Settings, session: AsyncSession, tmp_path: Path
) -> None:
    sold = await a_product(session)
    await session.commit()
    query = f"SELECT '{sold.code}' 产品代码, DATE '2026-11-20' 日期, 1.0234::DOUBLE 单位净值"
    # A name that would be a pattern is the name of one file.
    parquet(tmp_path / "nav-2026.parquet", query.replace("1.0234", "9.9"))
    file = parquet(tmp_path / "nav-[0-9]*.parquet", query)
    counts = await import_file(settings, "nav", file, "core", dry_run=False)
    assert counts["new"] == 1
    [(on, value)] = await products.nav_series(session, sold.id)
    assert (on, str(value)) == (date(2026, 11, 20), "1.023400")
    assert MONDAY.date() > on


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"PAR1 and nothing else", "已损坏"), (b"", "已损坏"), (b"code,name\nA,B\n", "已损坏")],
)
async def test_what_is_no_parquet_is_said_in_words(
    settings: Settings, tmp_path: Path, data: bytes, says: str
) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(data)
    with pytest.raises(UnreadableFile, match=says):
        await import_file(settings, "products", file, "core", dry_run=True)


async def test_missing_columns_no_rows_and_too_many_are_told_apart(
    settings: Settings, tmp_path: Path
) -> None:
    for query, says in (
        ("SELECT 'A' AS name", "表头缺少：产品代码"),
        ("SELECT 'A' AS code WHERE false", "没有数据行"),
        ("SELECT 'A' AS code FROM range(60000)", "最多导入 50,000 行"),
    ):
        file = parquet(tmp_path / "x.parquet", query)
        with pytest.raises(UnreadableFile, match=says):
            await import_file(settings, "products", file, "core", dry_run=True)

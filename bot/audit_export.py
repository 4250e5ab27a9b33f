"""The audit book as a file: the lines of a filter with their places in the chain."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.calendar import local
from bank.models import AuditEntry, AuditLink
from bank.sheets import harmless
from bot import audit_words
from bot.audit_search import Wanted, wanted_of
from bot.exports import Wish
from bot.models import ExportKind, ExportRequest

HEADINGS = [
    *("序号", "时间", "操作人", "账号", "操作", "操作代码"),
    *("对象", "对象编号", "明细", "链上位置", "链值"),
]


@dataclass(frozen=True)
class Extent:
    """How many lines a filter finds, and the last of them."""

    rows: int
    last_entry: int


async def extent_of(session: AsyncSession, wanted: Wanted) -> Extent:
    """How much an export of this filter would hold."""
    counted = select(func.count(col(AuditEntry.id)), func.max(col(AuditEntry.id)))
    rows, last = (await session.execute(counted.where(*wanted.conditions()))).one()
    return Extent(rows, last or 0)


def wish_for(wanted: Wanted, extent: Extent) -> Wish:
    """These lines and no later ones, to be agreed to by a second person."""
    return Wish(ExportKind.AUDIT, extent.rows, dict(wanted.facts()), extent.last_entry)


async def fetch(
    session: AsyncSession, request: ExportRequest, names: dict[str, str], now: datetime
) -> bytes:
    """The lines that were agreed to, and no later ones; noted in the book."""
    wanted, last = wanted_of(request.query), request.last_entry or 0
    return await taken(session, wanted, last, names, by=request.asked_by, now=now)


async def taken(
    session: AsyncSession,
    wanted: Wanted,
    last_entry: int,
    names: dict[str, str],
    *,
    by: str,
    now: datetime,
) -> bytes:
    """The lines up to that one as CSV; that they were taken is in the book."""
    query = (
        select(AuditEntry, AuditLink)
        .outerjoin(AuditLink, col(AuditLink.entry_id) == col(AuditEntry.id))
        .where(*wanted.conditions(), col(AuditEntry.id) <= last_entry)
        .order_by(col(AuditEntry.id))
    )
    found = (await session.execute(query)).all()
    audit.record(
        session, "bot:book:export", "audit", by=by, now=now,
        rows=len(found), about=wanted.say(names),
    )  # fmt: skip
    return as_csv(_row(entry, link, names) for entry, link in found)


def _row(entry: AuditEntry, link: AuditLink | None, names: dict[str, str]) -> list[str]:
    return [
        str(entry.id),
        local(entry.at).isoformat(timespec="microseconds"),
        names.get(entry.actor, entry.actor),
        entry.actor,
        audit_words.action_label(entry.action),
        entry.action,
        audit_words.subject_label(entry.subject),
        entry.subject_id,
        json.dumps(entry.detail, ensure_ascii=False, sort_keys=True),
        str(link.position) if link else "",
        link.chain.hex() if link else "",
    ]


def as_csv(rows: Iterable[list[str]]) -> bytes:
    """For Excel: no cell is a formula, and none holds a line end or a control character."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(HEADINGS)
    writer.writerows([harmless(_visible(cell)) for cell in row] for row in rows)
    return sink.getvalue().encode("utf-8-sig")


def _visible(cell: str) -> str:
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char)[0] == "C" else char
        for char in cell
    )

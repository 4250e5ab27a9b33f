"""Exports of the audit book: a hundred lines at once; more only when a second person agrees."""

import csv
import io
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.calendar import local
from bank.models import AuditEntry, AuditLink
from bank.sheets import harmless
from bot import audit_words
from bot.audit_search import Wanted, wanted_of
from bot.models import ExportRequest

ALONE = 100
MOST = 50_000
OPEN_FOR = timedelta(days=7)
LONGEST_REASON = 200
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


async def ask(
    session: AsyncSession, wanted: Wanted, reason: str, *, by: str, now: datetime
) -> ExportRequest | str:
    """Ask a second person for an export; the request, or what is wrong."""
    extent = await extent_of(session, wanted)
    if extent.rows > MOST:
        return f"共 {extent.rows:,} 条，一次最多导出 {MOST:,} 条：请缩短时间范围后分次导出。"
    if not reason or len(reason) > LONGEST_REASON or "\0" in reason:
        return (
            f"超过 {ALONE} 条的导出须写明用途（{LONGEST_REASON} 字以内），由另一位同事同意后下载。"
        )
    request = ExportRequest(
        query=wanted.facts(), rows=extent.rows, last_entry=extent.last_entry, reason=reason,
        asked_by=by, asked_at=now,
    )  # fmt: skip
    session.add(request)
    audit.record(
        session, "bot:export:ask", request.id, by=by, now=now, rows=extent.rows, reason=reason
    )
    await session.flush()
    return request


async def decide(
    session: AsyncSession, request_id: UUID, agreed: bool, *, by: str, now: datetime
) -> str:
    """A second person agrees or refuses; what is wrong, or nothing."""
    request = await session.get(ExportRequest, request_id, with_for_update=True)
    if request is None:
        return "没有这个导出申请。"
    if request.asked_by == by:
        return "申请人不能同意自己的导出，请由另一位同事处理。"
    if request.agreed is not None:
        return "这个申请已经处理过。"
    request.agreed, request.decided_by, request.decided_at = agreed, by, now
    verb = "agree" if agreed else "refuse"
    audit.record(session, f"bot:export:{verb}", request.id, by=by, now=now, rows=request.rows)
    await session.flush()
    return ""


def may_fetch(request: ExportRequest, by: str, now: datetime) -> bool:
    """Whether this person may download it now: their own, agreed to, within seven days."""
    agreed_at = request.decided_at if request.agreed else None
    return request.asked_by == by and agreed_at is not None and now - agreed_at <= OPEN_FOR


async def requests(session: AsyncSession, limit: int = 50) -> list[ExportRequest]:
    """Requests for exports, newest first."""
    newest = select(ExportRequest).order_by(col(ExportRequest.asked_at).desc()).limit(limit)
    return list((await session.execute(newest)).scalars())


async def fetch(
    session: AsyncSession, request: ExportRequest, names: dict[str, str], now: datetime
) -> bytes:
    """The lines that were agreed to, and no later ones; noted in the book."""
    request.fetched_at = now
    wanted = wanted_of(request.query)
    return await taken(session, wanted, request.last_entry, names, by=request.asked_by, now=now)


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

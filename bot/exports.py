"""Exports of many rows: a hundred at once; more only when a second person agrees (S-20).

Whoever may see rows may take a hundred of them. For more a wish is kept in words, compliance or
audit agrees, and only who asked gets the file, within seven days, with no row more than was agreed.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Role
from bot.models import ExportKind, ExportRequest
from desk.downloads import ALONE
from desk.render import see_other, when
from desk.signed import Signed, now_of, session_of, signed

MOST = 50_000
OPEN_FOR = timedelta(days=7)
LONGEST_REASON = 200
DECIDERS = (Role.COMPLIANCE, Role.AUDITOR)
MARK = "导出标记"
MOVED = "名单在申请之后已增加，超出同意的条数：请按现在的名单重新申请。"


@dataclass(frozen=True)
class Wish:
    """What somebody wants to take out, as it can be found again later."""

    what: ExportKind
    rows: int
    query: dict[str, Any] = field(default_factory=dict)
    last_entry: int | None = None


async def ask(
    session: AsyncSession, wish: Wish, reason: str, *, by: str, now: datetime
) -> ExportRequest | str:
    """Ask a second person for an export; the request, or what is wrong."""
    if wish.rows > MOST:
        return f"共 {wish.rows:,} 条，一次最多导出 {MOST:,} 条：请缩小范围后分次导出。"
    if not reason or len(reason) > LONGEST_REASON or "\0" in reason:
        return (
            f"超过 {ALONE} 条的导出须写明用途（{LONGEST_REASON} 字以内），由另一位同事同意后下载。"
        )
    request = ExportRequest(
        what=wish.what, query=wish.query, rows=wish.rows, last_entry=wish.last_entry,
        reason=reason, asked_by=by, asked_at=now,
    )  # fmt: skip
    session.add(request)
    audit.record(
        session, "bot:export:ask", request.id, by=by, now=now,
        about=wish.what.label, rows=wish.rows, reason=reason,
    )  # fmt: skip
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
    audit.record(
        session, f"bot:export:{verb}", request.id, by=by, now=now,
        about=request.what.label, rows=request.rows,
    )  # fmt: skip
    await session.flush()
    return ""


def may_fetch(request: ExportRequest, by: str, now: datetime) -> bool:
    """Whether this person may download it now: their own, agreed to, within seven days."""
    agreed_at = request.decided_at if request.agreed else None
    return request.asked_by == by and agreed_at is not None and now - agreed_at <= OPEN_FOR


async def requests(session: AsyncSession, who: Signed, limit: int = 50) -> list[ExportRequest]:
    """Requests one may decide on, or one's own; newest first."""
    newest = select(ExportRequest).order_by(col(ExportRequest.asked_at).desc()).limit(limit)
    if not who.may(*DECIDERS):
        newest = newest.where(ExportRequest.asked_by == who.userid)
    return list((await session.execute(newest)).scalars())


def watermark(who: Signed, now: datetime, request: ExportRequest | None = None) -> str:
    """Who took it, when and by which request: it stands in every row, wherever a row goes."""
    by = f"{who.name}（{who.userid}）{when(now)} 导出"
    return f"{by}，申请 {str(request.id)[:8]}" if request else by


async def asked_for(request: web.Request, wish: Wish, back: str) -> web.Response:
    """Hand the wish of the form just sent to a second person; back to its page if it is none."""
    reason = str((await request.post()).get("reason", "")).strip()
    outcome = await ask(
        session_of(request), wish, reason, by=signed(request).userid, now=now_of(request)
    )
    if isinstance(outcome, str):
        return see_other(f"{back}{'&' if '?' in back else '?'}done={quote(outcome)}")
    return see_other("/system/exports?done=已提交，等待另一位同事同意")

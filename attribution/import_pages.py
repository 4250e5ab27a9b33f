"""导入成交: the bank's file of conversions, taken in once, with what was rejected and why."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution import conversions
from attribution.chosen import SETTLES
from attribution.models import Conversion
from attribution.rows import COLUMNS, HEADINGS, LONGEST
from bank import sheets
from desk import rejects
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import page
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()


@dataclass(frozen=True)
class Done:
    """What became of an uploaded file."""

    source: str
    counts: dict[str, int]
    rejects: list[dict[str, str]]  # the first of them, for the page
    rejects_json: str  # all of them, to be downloaded; nothing rejected is kept on the server


@dataclass(frozen=True)
class ImportPage:
    """`/attribution/import`: the form, and after an upload what became of it."""

    source: str  # as typed
    sources: list[str]  # systems that have been imported from
    window_days: int
    headings: list[tuple[str, str]] = field(
        default_factory=lambda: [(HEADINGS[name], name) for name in COLUMNS]
    )
    errors: dict[str, str] = field(default_factory=dict)  # field → what is wrong
    done: Done | None = None


@routes.get("/attribution/import")
@allow(*SETTLES)
async def form(request: web.Request) -> web.Response:
    """The empty form, with the newest source filled in."""
    sources = await _sources(session_of(request))
    return _shown(request, sources[0] if sources else "", sources)


def _shown(
    request: web.Request,
    source: str,
    sources: list[str],
    *,
    errors: dict[str, str] | None = None,
    done: Done | None = None,
) -> web.Response:
    days = request.app[SETTINGS].attribution_window_days
    context = ImportPage(source, sources, days, errors=errors or {}, done=done)
    return page(request, "attribution/import.html", context, status=422 if errors else 200)


async def _sources(session: AsyncSession) -> list[str]:
    """Sources by name; there are as many as the bank has systems."""
    query = select(Conversion.source).distinct().order_by(col(Conversion.source))
    return list((await session.execute(query)).scalars())


@routes.post("/attribution/import")
@allow(*SETTLES)
async def upload(request: web.Request) -> web.Response:
    """Take in a file; the page says row by row what was not taken."""
    session, sent = session_of(request), await request.post()
    source = str(sent.get("source", "")).strip()
    sources = await _sources(session)
    upload = sent.get("file")
    rows = await _rows(upload) if isinstance(upload, web.FileField) else "请选择文件"
    errors = {"source": wrong} if (wrong := _wrong_source(source)) else {}
    if isinstance(rows, str) or errors:
        errors |= {"file": rows} if isinstance(rows, str) else {}
        return _shown(request, source, sources, errors=errors)
    outcome = await conversions.ingest(
        session,
        rows,
        source=source,
        now=now_of(request),
        window_days=request.app[SETTINGS].attribution_window_days,
        by=signed(request).userid,
    )
    return _shown(request, source, sources, done=_done(source, outcome))


async def _rows(upload: web.FileField) -> sheets.Rows | str:
    return await asyncio.to_thread(sheets.rows_of, upload.filename, upload.file.read(), HEADINGS)


def _wrong_source(source: str) -> str:
    if not source:
        return "请填写来源系统，同一系统每次填写同一个名称"
    if len(source) > LONGEST or not source.isprintable():
        return f"来源系统不超过 {LONGEST} 个字，不含换行"
    return ""


def _done(source: str, outcome: conversions.Ingested) -> Done:
    rows = [rejects.in_words(row, HEADINGS) for row in outcome.rejects]
    return Done(source, outcome.counts(), rows[: rejects.SHOWN], rejects.kept(rows))


@routes.post("/attribution/import/rejects.csv")
@allow(*SETTLES)
async def rejected_file(request: web.Request) -> web.Response:
    """The rejected rows of the page just shown, as a file."""
    return await rejects.download(request, "conversions.rejects.csv")

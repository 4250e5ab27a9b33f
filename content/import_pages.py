"""批量导入: many materials at once, and what became of each of them."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from aiohttp.web_request import FileField
from sqlmodel import col, select

from bank import staff as people
from bank.models import Role
from content import imports
from content.extract import Refused
from content.files import FILES
from content.house import house_of
from content.import_rows import HEADINGS
from content.models import Material, MaterialImport, Version
from desk.downloads import csv_file
from desk.ids import ID
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

SHOWN_REJECTS = 100
SCRIPTS = ("category", "title", "body", "questions", "use", "products", "personas", "valid_days")
EXAMPLE = (
    "开户/首次沟通", "赎回多久到账",
    "赎回确认后，资金一般在下一个工作日到账，具体以产品说明书为准。",
    "赎回几天到账；卖出以后钱什么时候到；赎回资金多久能用", "陪伴", "", "", "180",
)  # fmt: skip


@dataclass(frozen=True)
class ImportsPage:
    """`/content/imports`: the form, and the imports before."""

    error: str  # why none of the file was read
    headings: list[str]
    scripts: list[str]  # headings of the template
    latest: list[tuple[MaterialImport, str]]  # newest first, with who imported it


@dataclass(frozen=True)
class ImportPage:
    """One import: counts, what was taken, what was not and why."""

    report: MaterialImport
    who: str
    taken: list[tuple[Material, Version]]
    headings: list[str]
    rejects: list[list[str]]  # the first of them


@routes.get("/content/imports")
@allow(Role.EDITOR)
async def imports_form(request: web.Request) -> web.Response:
    """The form and the newest imports."""
    return await _form(request, "")


async def _form(request: web.Request, error: str) -> web.Response:
    session = session_of(request)
    latest = await imports.latest(session)
    names = await people.names(session, [each.imported_by for each in latest])
    context = ImportsPage(
        error=error,
        headings=list(HEADINGS.values()),
        scripts=[HEADINGS[name] for name in SCRIPTS],
        latest=[(each, names[each.imported_by]) for each in latest],
    )
    return page(request, "content/imports.html", context, status=422 if error else 200)


@routes.post("/content/imports")
@allow(Role.EDITOR)
async def take_import(request: web.Request) -> web.Response:
    """Import a package or a spreadsheet; then its report."""
    upload = (await request.post()).get("file")
    if not isinstance(upload, FileField) or not upload.filename:
        return await _form(request, "请选择要导入的 .zip、.csv 或 .xlsx 文件。")
    report = await imports.take(
        session_of(request),
        request.app[FILES],
        upload.filename,
        await asyncio.to_thread(upload.file.read),
        by=signed(request),
        now=now_of(request),
        house=house_of(request.app[SETTINGS]),
    )
    if isinstance(report, Refused):
        return await _form(request, report.reason)
    return see_other(f"/content/imports/{report.id}")


@routes.get("/content/imports/template.csv")
@allow(Role.EDITOR)
async def template(request: web.Request) -> web.Response:
    """The headings of a library of scripts with one example row."""
    return csv_file("话术导入模板.csv", [HEADINGS[name] for name in SCRIPTS], [EXAMPLE])


@routes.get(f"/content/imports/{{import_id:{ID}}}")
@allow(Role.EDITOR)
async def show_import(request: web.Request) -> web.Response:
    """What became of one import."""
    session, report = session_of(request), await _report(request)
    rows = (
        select(Material, Version)
        .join(Version, col(Version.material_id) == Material.id)
        .where(col(Version.id).in_(report.version_ids))
        .order_by(col(Material.code))
    )
    headings, rejects = imports.rejected_rows(report)
    names = await people.names(session, [report.imported_by])
    context = ImportPage(
        report=report,
        who=names[report.imported_by],
        taken=[(material, version) for material, version in await session.execute(rows)],
        headings=headings,
        rejects=list(rejects)[:SHOWN_REJECTS],
    )
    return page(request, "content/import.html", context)


async def _report(request: web.Request) -> MaterialImport:
    report = await session_of(request).get(MaterialImport, UUID(request.match_info["import_id"]))
    if report is None:
        raise web.HTTPNotFound
    return report


@routes.get(f"/content/imports/{{import_id:{ID}}}/rejects.csv")
@allow(Role.EDITOR)
async def rejects(request: web.Request) -> web.Response:
    """Every row that was not taken with its reason, to be mended and imported again."""
    report = await _report(request)
    headings, rows = imports.rejected_rows(report)
    return csv_file(f"{report.name.rpartition('.')[0]}.rejects.csv", headings, rows)

"""话术库: the tree at the left, the scripts of a branch of it at the right, in their order."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy import func
from sqlmodel import col, select

from attribution import openings
from attribution.chosen import page_of
from attribution.models import Touchpoint, TouchpointKind
from attribution.openings import Readership
from bank import audit
from bank.models import Role
from content import script_sheet, scripts
from content.library import LibraryDocument
from content.material_pages import READERS, SEE_ALL, SEES_RECIPIENTS
from content.script_models import ScriptLevel
from content.scripts import ALL, FAVOURITES, Branch, Refused, Script
from customers.book import visible
from desk.downloads import xlsx_file
from desk.ids import ID, id_of
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import fragment, page, see_other, when
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

FOLDERS = ("folder:", "series:")
PAGE = 50
ADDABLE = 20
KEEPS_OWN = (Role.RM, Role.BRANCH_MANAGER)


@dataclass(frozen=True)
class ScriptLine:
    """A script with how often it was sent, when last, and how many customers opened it."""

    script: Script
    sent: int
    last: datetime | None
    read: int


@dataclass(frozen=True)
class ScriptsPage:
    """`/scripts`."""

    tree: list[Branch]
    here: Branch
    text: str
    lines: list[ScriptLine]
    folders: list[tuple[str, str]]  # one may fill
    levels: list[tuple[str, str]]  # of which one may make a folder
    in_folder: bool
    in_series: bool  # 组合话术
    total: int
    number: int
    pages: int
    may_order: bool  # a list that is searched has no order of its own
    may_import: bool
    opens_rows: bool
    query: str
    error: str


@dataclass(frozen=True)
class AddablePart:
    """Fragment: what may still go into a series."""

    text: str  # searched for
    found: list[LibraryDocument]
    query: str
    most: int


@routes.get("/scripts")
@allow(*READERS)
async def script_list(request: web.Request) -> web.Response:
    """The scripts of a branch of the tree."""
    return await _shown(request)


async def _shown(request: web.Request, error: str = "") -> web.Response:
    session, who = session_of(request), signed(request)
    known = await _scripts(request)
    tree = await scripts.tree(session, known, who)
    key, text = _key(request), _text(request)
    here = next((branch for branch in tree if branch.key == key), tree[0])
    found = [s for s in await scripts.inside(session, known, here.key, who) if _holds(s, text)]
    in_folder = here.key.startswith(FOLDERS)
    folders = [(b.key, f"{b.level} · {b.name}") for b in tree if _may_fill(b)]
    may_order = here.may_keep and here.key not in (ALL, FAVOURITES) and not text
    # What can be put in order is shown whole: a place on another page could not be reached.
    size = len(found) or 1 if may_order else PAGE
    number, pages = page_of(request, len(found), size)
    context = ScriptsPage(
        tree=tree,
        here=here,
        text=text,
        lines=await _lines(request, found[(number - 1) * size : number * size]),
        folders=[each for each in folders if each[0] != here.key],
        levels=_levels(request),
        in_folder=in_folder,
        in_series=here.key.startswith("series:"),
        total=len(found),
        number=number,
        pages=pages,
        may_order=may_order,
        may_import=who.may(Role.EDITOR),
        opens_rows=who.may(*SEES_RECIPIENTS),
        query=urlencode({"shelf": here.key} | ({"q": text} if text else {})),
        error=error,
    )
    return page(request, "bot/scripts.html", context, status=422 if error else 200)


def _may_fill(branch: Branch) -> bool:
    return branch.key.startswith(FOLDERS) and branch.may_keep


def _levels(request: web.Request) -> list[tuple[str, str]]:
    who = signed(request)
    offered = [ScriptLevel.PERSONAL] if who.may(*KEEPS_OWN) else []
    if who.may(Role.BRANCH_MANAGER) and who.branch_id is not None:
        offered.append(ScriptLevel.BRANCH)
    return [(level.value, level.label) for level in offered]


async def _scripts(request: web.Request) -> list[Script]:
    who = signed(request)
    return await scripts.all_scripts(
        session_of(request), who, now_of(request), everywhere=who.may(*SEE_ALL)
    )


def _key(request: web.Request) -> str:
    return request.query.get("shelf", ALL).replace("\0", "")


def _text(request: web.Request) -> str:
    return request.query.get("q", "").replace("\0", "").strip()[:60]


def _holds(script: Script, text: str) -> bool:
    version = script.version
    return not text or any(
        text in part for part in (version.title, version.body, *version.questions)
    )


async def _lines(request: web.Request, found: list[Script]) -> list[ScriptLine]:
    session, now, ids = session_of(request), now_of(request), [s.material.id for s in found]
    mode, scope = request.app[SETTINGS].radar, visible(signed(request))
    read = await openings.readership(session, ids, scope, mode, now)
    rows = (
        select(Touchpoint.material_id, func.count(), func.max(Touchpoint.at))
        .where(
            Touchpoint.kind == TouchpointKind.REPLY_SENT,
            col(Touchpoint.material_id).in_(ids),
        )
        .group_by(col(Touchpoint.material_id))
    )
    sent = {key: (number, last) for key, number, last in await session.execute(rows)}
    return [
        ScriptLine(s, *sent.get(s.material.id, (0, None)), _everyone(read.get(s.material.id)))
        for s in found
    ]


def _everyone(readership: Readership | None) -> int:
    return readership.everyone if readership else 0


@routes.post("/scripts/folders")
@allow(*KEEPS_OWN)
async def make_folder(request: web.Request) -> web.Response:
    """A new folder."""
    form = await request.post()
    level, name = str(form.get("level", "")), str(form.get("name", ""))
    if level not in set(ScriptLevel):
        return await _shown(request, "请选择文件夹属于个人还是支行。")
    made = await scripts.make_folder(
        session_of(request),
        ScriptLevel(level),
        name,
        signed(request),
        now_of(request),
        series=form.get("series") == "yes",
    )
    if isinstance(made, Refused):
        return await _shown(request, made.reason)
    return _to(made.key, f"已新建“{made.name}”，请把话术放进来")


@routes.post("/scripts/folders/delete")
@allow(*KEEPS_OWN)
async def drop_folder(request: web.Request) -> web.Response:
    """The folder is gone, its scripts are not."""
    gone = await scripts.drop_folder(session_of(request), _key(request), signed(request))
    if isinstance(gone, Refused):
        return await _shown(request, gone.reason)
    return _to(ALL, f"已删除“{gone.name}”，话术仍在话术库中")


@routes.post(f"/scripts/{{material_id:{ID}}}/put")
@allow(*KEEPS_OWN)
async def put(request: web.Request) -> web.Response:
    """Into the folder chosen."""
    script, folder = await _script(request), str((await request.post()).get("folder", ""))
    into = await scripts.put(session_of(request), folder, script.material.id, signed(request))
    if isinstance(into, Refused):
        return await _shown(request, into.reason)
    return _to(_key(request), f"已放入“{into.name}”")


@routes.get("/scripts/addable")
@allow(*KEEPS_OWN)
async def addable(request: web.Request) -> web.Response:
    """Pictures, links and files that may go into the series shown, searched by title."""
    key, text = _key(request), _text(request)
    found = await scripts.addable(
        session_of(request), key, signed(request), now_of(request), text=text, limit=ADDABLE
    )
    part = AddablePart(text, found, urlencode({"shelf": key}), ADDABLE)
    return fragment(request, "bot/_addable.html", part)


@routes.post("/scripts/add")
@allow(*KEEPS_OWN)
async def add(request: web.Request) -> web.Response:
    """A picture, a link or a file into the series shown, at its end."""
    session, who, key = session_of(request), signed(request), _key(request)
    wanted = str((await request.post()).get("material", ""))
    only = id_of(wanted)
    if only is None or not await scripts.addable(session, key, who, now_of(request), only=only):
        return await _shown(request, "这份素材已在组合里、已下线，或不适用于您所在支行。")
    into = await scripts.put(session, key, only, who)
    if isinstance(into, Refused):
        return await _shown(request, into.reason)
    return _to(key, f"已放入“{into.name}”")


@routes.post(f"/scripts/{{material_id:{ID}}}/take-out")
@allow(*KEEPS_OWN)
async def take_out(request: web.Request) -> web.Response:
    """Out of the folder shown."""
    key, material_id = _key(request), UUID(request.match_info["material_id"])
    out = await scripts.take_out(session_of(request), key, material_id, signed(request))
    if isinstance(out, Refused):
        return await _shown(request, out.reason)
    return _to(key, f"已移出“{out.name}”")


@routes.post(f"/scripts/{{material_id:{ID}}}/favourite")
@allow(*READERS)
async def favourite(request: web.Request) -> web.Response:
    """Kept at hand, or no more."""
    script = await _script(request)
    kept = await scripts.keep_at_hand(
        session_of(request), script.material.id, signed(request), now_of(request)
    )
    return _to(_key(request), "已收藏" if kept else "已取消收藏")


@routes.post(f"/scripts/{{material_id:{ID}}}/move")
@allow(*READERS)
async def move(request: web.Request) -> web.Response:
    """One place up or down, or before another: what dragging does, and what keys can do."""
    session, who, key = session_of(request), signed(request), _key(request)
    form = await request.post()
    script = await _script(request)
    known = await scripts.inside(session, await _scripts(request), key, who)
    ordered = _moved([s.material.id for s in known], script.material.id, str(form.get("to", "")))
    if refused := await scripts.arrange(session, key, ordered, who):
        return await _shown(request, refused.reason)
    return _to(key, "顺序已保存")


def _moved(ids: list[UUID], moving: UUID, to: str) -> list[UUID]:
    """`up`, `down`, or the number of the place counted from 0."""
    if moving not in ids:
        return ids
    at = ids.index(moving)
    wanted = {"up": at - 1, "down": at + 1}.get(
        to, int(to) if to.isdecimal() and len(to) < 6 else at
    )
    rest = [each for each in ids if each != moving]
    place = min(max(0, wanted), len(rest))
    return [*rest[:place], moving, *rest[place:]]


async def _script(request: web.Request) -> Script:
    """The script of the address, if the reader sees it."""
    wanted = UUID(request.match_info["material_id"])
    found = next((s for s in await _scripts(request) if s.material.id == wanted), None)
    if found is None:
        raise web.HTTPNotFound
    return found


def _to(key: str, done: str) -> web.Response:
    return see_other(f"/scripts?{urlencode({'shelf': key, 'done': done})}")


@routes.get("/scripts/export.xlsx")
@allow(Role.EDITOR)
async def export_scripts(request: web.Request) -> web.Response:
    """All scripts as the import reads them: imported again, every row is the same."""
    session, who, now = session_of(request), signed(request), now_of(request)
    rows = await script_sheet.rows(session)
    audit.record(session, "content:shelf:export", who.id, by=who.userid, now=now, read=len(rows))
    return xlsx_file(f"话术库-{when(now, '%Y%m%d')}.xlsx", script_sheet.headings(), rows)

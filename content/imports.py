"""Many materials at once: a package of files with its list, or a spreadsheet of scripts.

Every row becomes a draft of its own or is rejected with a reason; each row stands alone, and what
was taken and what was not is kept as one report. Taking the same file again changes nothing.
"""

import asyncio
import io
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from content import extract, files, import_rows, materials
from content.drafts import DraftMaterial
from content.extract import Package, Refused
from content.files import FileStore
from content.house import House
from content.import_rows import Unreadable
from content.materials import Person
from content.models import Kind, Material, MaterialImport, StoredFile, Version

COUNTED = ("read", "new", "changed", "same", "rejected")
SAME = "内容与上一版本相同，没有需要保存的修改。"


@dataclass
class _Taking:
    """An import under way."""

    session: AsyncSession
    files: FileStore
    by: Person
    now: datetime
    house: House
    counts: Counter[str] = field(default_factory=Counter)
    rejects: list[dict[str, str]] = field(default_factory=list)
    version_ids: list[UUID] = field(default_factory=list)
    titles: set[tuple[str, str]] = field(default_factory=set)


async def take(
    session: AsyncSession,
    store: FileStore,
    name: str,
    data: bytes,
    *,
    by: Person,
    now: datetime,
    house: House,
) -> MaterialImport | Refused:
    """Import a .zip, .csv or .xlsx; the report of what became of it, or why none of it was read."""
    taking = _Taking(session, store, by, now, house)
    if extract.suffix_of(name) == "zip":
        package = await extract.package_of(data)
        if isinstance(package, Refused):
            return package
        refused = await _package(taking, package, data)
    else:
        rows = await extract.rows_of(data, name)
        if isinstance(rows, Refused):
            return rows
        refused = await _rows(taking, rows)
    return Refused(refused) if refused else await _report(taking, name)


async def _rows(taking: _Taking, rows: list[dict[str, str]]) -> str:
    """A library of scripts: every row says itself what it says."""
    if refused := _unusable(rows):
        return refused
    for row in rows:
        await _row(taking, row, Kind.SCRIPT.value)
    return ""


def _unusable(rows: list[dict[str, str]]) -> str:
    if not rows:
        return "表格里没有数据行：请下载模板，按表头填写后再导入。"
    headings: dict[str, str] = {}
    for row in rows:
        headings |= row
    lacking = import_rows.missing(headings)
    return f"{lacking}。请下载模板，按表头填写后再导入。" if lacking else ""


async def _package(taking: _Taking, package: Package, data: bytes) -> str:
    """Files with a list: what the list does not name is rejected too, so that nothing is lost."""
    if refused := _unusable(package.rows):
        return refused
    by_name = {each.name: each for each in package.files}
    by_name |= {each.name.rpartition("/")[2]: each for each in package.files}
    used: set[int] = set()
    for row in package.rows:
        wanted = import_rows.known(row).get("file", "").strip().replace("\\", "/")
        packed = by_name.get(wanted)
        if wanted and packed is None:
            _reject(taking, row, f"压缩包里没有“{wanted}”：请核对文件名，或把文件放进压缩包。")
            continue
        if packed is None:
            await _row(taking, row, "")
            continue
        used.add(packed.number)
        await _row(taking, row, "", (packed.name, await _member(data, packed.number)))
    for each in package.files:
        if each.number not in used:
            _reject(
                taking,
                {"文件": each.name},
                "清单里没有这个文件：请在清单中加一行，或从压缩包删去。",
            )
    return ""


async def _member(data: bytes, number: int) -> bytes:
    """One file of a package whose table of contents was checked; never more than it declared."""

    def read() -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            entry = package.infolist()[number]
            with package.open(entry) as member:
                return member.read(min(entry.file_size, extract.LARGEST) + 1)

    try:
        return await asyncio.to_thread(read)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return b""


async def _row(
    taking: _Taking, row: dict[str, str], usual_kind: str, file: tuple[str, bytes] | None = None
) -> None:
    """One row in a savepoint of its own: what is refused leaves nothing behind."""
    try:
        draft = import_rows.draft_of(row, usual_kind)
    except Unreadable as wrong:
        return _reject(taking, row, str(wrong))
    if (draft.kind, draft.title) in taking.titles:
        return _reject(
            taking, row, "同一份文件里已有相同类型和标题的行：请合并，或改用不同的标题。"
        )
    async with taking.session.begin_nested() as savepoint:
        outcome = await _saved(taking, draft, file)
        if isinstance(outcome, str):
            await savepoint.rollback()
    if isinstance(outcome, str):
        if outcome == SAME:
            _count(taking, "same")
            return None
        return _reject(taking, row, outcome)
    taking.titles.add((draft.kind, draft.title))
    taking.version_ids.append(outcome.id)
    _count(taking, "new" if outcome.number == 1 else "changed")
    return None


async def _saved(
    taking: _Taking, draft: DraftMaterial, file: tuple[str, bytes] | None
) -> Version | str:
    """The draft as a new material, or as the next version of the one with its kind and title."""
    before = await _before(taking.session, draft)
    if file is not None:
        kept = await _file(taking, file, before)
        if isinstance(kept, str):
            return kept
        stored, text = kept
        draft = replace(draft, file_id=stored.id, body=draft.body or text)
    session, store, house = taking.session, taking.files, taking.house
    if before is None:
        saved = await materials.create(session, store, draft, taking.by, taking.now, house=house)
    else:
        material_id = before.material_id
        saved = await materials.revise(
            session, store, material_id, draft, taking.by, taking.now, house=house
        )
    return saved if isinstance(saved, Version) else " ".join(saved.errors.values())


async def _before(session: AsyncSession, draft: DraftMaterial) -> Version | None:
    if draft.kind not in set(Kind):
        return None
    rows = (
        select(Version)
        .join(Material, col(Material.id) == Version.material_id)
        .where(Material.kind == Kind(draft.kind), Material.title == draft.title)
        .order_by(col(Version.created_at).desc(), col(Version.number).desc())
        .limit(1)
    )
    return (await session.execute(rows)).scalar_one_or_none()


async def _file(
    taking: _Taking, file: tuple[str, bytes], before: Version | None
) -> tuple[StoredFile, str] | str:
    """The file of the row, kept; the one kept before where its bytes are the same."""
    name, data = file
    received = await files.receive(
        taking.session, taking.files, name, data, by=taking.by.id, now=taking.now
    )
    if isinstance(received, Refused):
        return received.reason
    stored, text = received
    same = await _kept_before(taking, stored, before)
    if same is not None:
        await taking.session.delete(stored)
    return same or stored, text.text


async def _kept_before(
    taking: _Taking, stored: StoredFile, before: Version | None
) -> StoredFile | None:
    """The file of the version before, where it is made of the same bytes."""
    kept = (
        await taking.session.get(StoredFile, before.file_id) if before and before.file_id else None
    )
    if kept is None or kept.uploaded_by != taking.by.id:
        return None
    origin = await taking.session.get(StoredFile, kept.made_of) if kept.made_of else kept
    return kept if origin is not None and origin.sha256 == stored.sha256 else None


def _count(taking: _Taking, what: str) -> None:
    taking.counts["read"] += 1
    taking.counts[what] += 1


def _reject(taking: _Taking, row: dict[str, str], reason: str) -> None:
    _count(taking, "rejected")
    cells = {name: cell for name, cell in row.items() if name != "#"}
    taking.rejects.append({"行": row.get("#", "—"), **cells, "原因": reason})


async def _report(taking: _Taking, name: str) -> MaterialImport:
    report = MaterialImport(
        name=files.plain_name(name),
        counts={each: taking.counts[each] for each in COUNTED},
        rejects=taking.rejects,
        version_ids=taking.version_ids,
        imported_by=taking.by.id,
        imported_at=taking.now,
    )
    taking.session.add(report)
    audit.record(
        taking.session, "content:material_import:take", report.id,
        by=taking.by.userid, now=taking.now, name=report.name, **report.counts,
    )  # fmt: skip
    await taking.session.flush()
    return report


async def latest(session: AsyncSession, limit: int = 20) -> list[MaterialImport]:
    """The newest imports."""
    rows = select(MaterialImport).order_by(col(MaterialImport.imported_at).desc()).limit(limit)
    return list((await session.execute(rows)).scalars())


def rejected_rows(report: MaterialImport) -> tuple[list[str], Iterable[list[str]]]:
    """Headings and cells of what was not taken, the reason last."""
    names = list(dict.fromkeys(name for row in report.rejects for name in row))
    headings = [name for name in names if name not in ("行", "原因")]
    ordered = ["行", *headings, "原因"]
    return ordered, ([row.get(name, "") for name in ordered] for row in report.rejects)

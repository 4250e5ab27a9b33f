"""话术库: approved scripts in the bank's tree, in folders of a branch or a person, and at hand.

The bank's tree is the category each script was approved with: nobody but a review changes it. A
branch's folders are kept by its manager, one's own by oneself; a folder holds no words, only the
place of what is approved, so what ends is gone from every folder at once. A series 组合话术 is a
folder whose scripts are sent one after another, with pictures, links and files among them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role
from content import particulars
from content.library import LibraryDocument, documents, for_branch, is_live
from content.models import Kind, Material, Version
from content.people import Person
from content.products import escaped
from content.script_models import ScriptFavourite, ScriptFolder, ScriptLevel, ScriptPlace
from content.sendable import SHAPES
from wecom.channels import Channel

SCRIPTS = (Kind.SCRIPT, Kind.FAQ)
# What stands beside words in a chat; in the library of scripts only inside a series.
BESIDE = tuple(SHAPES)
ORDERS_BANK = frozenset({Role.EDITOR.value, Role.HQ.value})
KEEPS_BRANCH = frozenset({Role.BRANCH_MANAGER.value})
ALL, FAVOURITES, UNSORTED = "all", "favourites", "unsorted"
LONGEST_NAME = 20
MOST_FOLDERS = 30
LAST = 1_000_000


@dataclass(frozen=True)
class Script:
    """An approved script as it lies in the library."""

    material: Material
    version: Version
    category: tuple[str, ...]
    favourite: bool

    @property
    def is_words(self) -> bool:
        """Whether it is a script itself, not something sent beside one."""
        return self.material.kind in SCRIPTS


@dataclass(frozen=True)
class Branch:
    """A branch of the tree: a category or a folder."""

    key: str
    name: str
    level: str  # 企业, 支行 or 个人; empty for what stands above
    depth: int
    count: int
    may_keep: bool  # may order it; of a folder, also fill and delete it


@dataclass(frozen=True)
class Refused:
    """Nothing changed, and why."""

    reason: str


async def all_scripts(
    session: AsyncSession, who: Person, now: datetime, *, everywhere: bool
) -> list[Script]:
    """What is live, in the bank's order; without `everywhere` only what one's branch may use.

    With it come the pictures, links and files that lie in a series.
    """
    mine = () if everywhere else (for_branch(who.branch_id),)
    position = func.coalesce(col(ScriptPlace.position), LAST)
    rows = (
        select(Material, Version, ScriptFavourite)
        .join(Version, col(Version.material_id) == Material.id)
        .outerjoin(
            ScriptPlace,
            (col(ScriptPlace.material_id) == Material.id) & col(ScriptPlace.folder_id).is_(None),
        )
        .outerjoin(
            ScriptFavourite,
            (col(ScriptFavourite.material_id) == Material.id)
            & (col(ScriptFavourite.staff_id) == who.id),
        )
        .where(or_(col(Material.kind).in_(SCRIPTS), _in_a_series()), *is_live(now), *mine)
        .order_by(position, col(Material.code))
    )
    return [
        Script(material, version, particulars.of_version(material, version).category, bool(kept))
        for material, version, kept in (await session.execute(rows)).all()
    ]


def _in_a_series() -> ColumnElement[bool]:
    placed = (
        select(ScriptPlace.material_id)
        .join(ScriptFolder, col(ScriptFolder.id) == ScriptPlace.folder_id)
        .where(ScriptFolder.series)
    )
    return col(Material.kind).in_(BESIDE) & col(Material.id).in_(placed)


async def tree(session: AsyncSession, scripts: Sequence[Script], who: Person) -> list[Branch]:
    """What stands left: everything, favourites, the bank's categories, folders."""
    orders = bool(ORDERS_BANK & set(who.roles))
    counted: Counter[tuple[str, ...]] = Counter()
    words = [script for script in scripts if script.is_words]
    for script in words:
        for depth in range(1, len(script.category) + 1):
            counted[script.category[:depth]] += 1
    kept, loose = sum(s.favourite for s in words), sum(not s.category for s in words)
    return [
        Branch(ALL, "全部话术", "", 0, len(words), orders),
        Branch(FAVOURITES, "我的收藏", "", 0, kept, may_keep=False),
        *(
            Branch(f"category:{'/'.join(path)}", path[-1], "企业", len(path) - 1, n, orders)
            for path, n in sorted(counted.items())
        ),
        *([Branch(UNSORTED, "未分类", "企业", 0, loose, orders)] if loose else []),
        *await _folders(session, scripts, who),
    ]


async def _folders(session: AsyncSession, scripts: Sequence[Script], who: Person) -> list[Branch]:
    held = await _placed(session, await folders(session, who))
    live = {script.material.id for script in scripts}
    return [
        Branch(
            folder.key, folder.name, folder.level.label, 0,
            sum(material_id in live for material_id in ids), may_keep(folder, who),
        )
        for folder, ids in held
    ]  # fmt: skip


async def folders(session: AsyncSession, who: Person) -> list[ScriptFolder]:
    """One's own folders and those of one's branch; who has no branch sees all branches'."""
    branch = col(ScriptFolder.level) == ScriptLevel.BRANCH
    if who.branch_id is not None:
        branch &= col(ScriptFolder.branch_id) == who.branch_id
    rows = select(ScriptFolder).where(or_(branch, col(ScriptFolder.staff_id) == who.id))
    ordered = rows.order_by(col(ScriptFolder.level), col(ScriptFolder.name), col(ScriptFolder.id))
    return list((await session.execute(ordered)).scalars())


async def _placed(
    session: AsyncSession, those: Sequence[ScriptFolder]
) -> list[tuple[ScriptFolder, list[UUID]]]:
    rows = (
        select(ScriptPlace.folder_id, ScriptPlace.material_id)
        .where(col(ScriptPlace.folder_id).in_([folder.id for folder in those]))
        .order_by(col(ScriptPlace.position), col(ScriptPlace.id))
    )
    held: dict[UUID | None, list[UUID]] = {}
    for folder_id, material_id in await session.execute(rows):
        held.setdefault(folder_id, []).append(material_id)
    return [(folder, held.get(folder.id, [])) for folder in those]


def may_keep(folder: ScriptFolder, who: Person) -> bool:
    """A branch's folder is kept by the manager of that branch, one's own by oneself."""
    if folder.level is ScriptLevel.PERSONAL:
        return folder.staff_id == who.id
    return bool(KEEPS_BRANCH & set(who.roles)) and folder.branch_id == who.branch_id


async def inside(
    session: AsyncSession, scripts: Sequence[Script], key: str, who: Person
) -> list[Script]:
    """The scripts of a branch of the tree, in its order; of one that is not there, all."""
    words = [script for script in scripts if script.is_words]
    if key == FAVOURITES:
        return [script for script in words if script.favourite]
    if key == UNSORTED:
        return [script for script in words if not script.category]
    if key.startswith("category:"):
        path = tuple(key.removeprefix("category:").split("/"))
        return [script for script in words if script.category[: len(path)] == path]
    folder = await _folder(session, key, who)
    if folder is None:
        return words
    [(_, ids)] = await _placed(session, [folder])
    known = {script.material.id: script for script in scripts}
    return [known[material_id] for material_id in ids if material_id in known]


async def _folder(session: AsyncSession, key: str, who: Person) -> ScriptFolder | None:
    """The folder a key names, if this person sees it."""
    return next((f for f in await folders(session, who) if key == f.key), None)


async def make_folder(
    session: AsyncSession,
    level: ScriptLevel,
    name: str,
    who: Person,
    now: datetime,
    *,
    series: bool = False,
) -> ScriptFolder | Refused:
    """A new folder, or a series, of one's branch or of one's own."""
    wanted = name.strip()
    folder = ScriptFolder(
        level=level,
        branch_id=who.branch_id if level is ScriptLevel.BRANCH else None,
        staff_id=who.id if level is ScriptLevel.PERSONAL else None,
        name=wanted,
        series=series,
        made_at=now,
    )
    if not may_keep(folder, who) or (level is ScriptLevel.BRANCH and who.branch_id is None):
        return Refused("支行文件夹由本支行的网点负责人维护。")
    if not wanted or len(wanted) > LONGEST_NAME:
        return Refused(f"请填写文件夹名称，不超过 {LONGEST_NAME} 个字。")
    own = [f for f in await folders(session, who) if may_keep(f, who)]
    if any(f.level is level and f.name == wanted for f in own):
        return Refused(f"已有文件夹“{wanted}”：请换一个名称。")
    if len(own) >= MOST_FOLDERS:
        return Refused(f"文件夹最多 {MOST_FOLDERS} 个：请先删除不用的。")
    session.add(folder)
    await session.flush()
    return folder


async def drop_folder(session: AsyncSession, key: str, who: Person) -> ScriptFolder | Refused:
    """The folder is gone; the scripts stay where they are in the library."""
    folder = await _folder(session, key, who)
    if folder is None or not may_keep(folder, who):
        return Refused("只能删除自己维护的文件夹。")
    await session.execute(delete(ScriptFolder).where(col(ScriptFolder.id) == folder.id))
    return folder


async def put(
    session: AsyncSession, key: str, material_id: UUID, who: Person
) -> ScriptFolder | Refused:
    """A script into a folder, at its end; again is no error. Into a series anything sendable."""
    folder = await _folder(session, key, who)
    if folder is None or not may_keep(folder, who):
        return Refused("只能放进自己维护的文件夹。")
    material = await session.get(Material, material_id)
    if material is None or material.kind not in (*SCRIPTS, *(BESIDE if folder.series else ())):
        return Refused("图片、视频、链接和文件只能放进组合话术。")
    top = select(func.coalesce(func.max(col(ScriptPlace.position)), 0)).where(
        col(ScriptPlace.folder_id) == folder.id
    )
    place = ScriptPlace(
        folder_id=folder.id,
        material_id=material_id,
        position=(await session.execute(top)).scalar_one() + 1,
    )
    written = insert(ScriptPlace).values(place.model_dump())
    await session.execute(
        written.on_conflict_do_nothing(index_elements=["folder_id", "material_id"])
    )
    return folder


async def addable(
    session: AsyncSession,
    key: str,
    who: Person,
    now: datetime,
    *,
    text: str = "",
    only: UUID | None = None,
    limit: int = 1,
) -> list[LibraryDocument]:
    """Pictures, links and files that may still go into this series, by title; or that one."""
    folder = await _folder(session, key, who)
    if folder is None or not folder.series or not may_keep(folder, who):
        return []
    [(_, inside_already)] = await _placed(session, [folder])
    rows = (
        select(Version.id)
        .join(Material, col(Material.id) == Version.material_id)
        .where(
            col(Material.kind).in_(BESIDE),
            col(Material.id).not_in(inside_already),
            col(Version.channels).contains([Channel.SINGLE_CHAT.value]),
            col(Version.title).ilike(f"%{escaped(text)}%"),
            *is_live(now),
            for_branch(who.branch_id),
            *((col(Material.id) == only,) if only else ()),
        )
        .order_by(col(Version.title))
        .limit(limit)
    )
    return await documents(session, list((await session.execute(rows)).scalars()))


async def take_out(
    session: AsyncSession, key: str, material_id: UUID, who: Person
) -> ScriptFolder | Refused:
    """A script out of a folder."""
    folder = await _folder(session, key, who)
    if folder is None or not may_keep(folder, who):
        return Refused("只能整理自己维护的文件夹。")
    place = delete(ScriptPlace).where(
        col(ScriptPlace.folder_id) == folder.id, col(ScriptPlace.material_id) == material_id
    )
    await session.execute(place)
    return folder


async def arrange(
    session: AsyncSession, key: str, ordered: Sequence[UUID], who: Person
) -> Refused | None:
    """These scripts of a branch of the tree in this order; the places they had are shared anew."""
    folder = await _folder(session, key, who)
    allowed = may_keep(folder, who) if folder else bool(ORDERS_BANK & set(who.roles))
    if not allowed or key == FAVOURITES:
        return Refused("这里的顺序由维护它的人调整。")
    folder_id = folder.id if folder else None
    for position, material_id in enumerate(ordered, 1):
        place = ScriptPlace(folder_id=folder_id, material_id=material_id, position=position)
        written = insert(ScriptPlace).values(place.model_dump())
        await session.execute(
            written.on_conflict_do_update(
                index_elements=["folder_id", "material_id"], set_={"position": position}
            )
        )
    return None


async def keep_at_hand(
    session: AsyncSession, material_id: UUID, who: Person, now: datetime
) -> bool:
    """Into the favourites, or out again; whether it is in them now."""
    mine = (
        col(ScriptFavourite.staff_id) == who.id,
        col(ScriptFavourite.material_id) == material_id,
    )
    gone = await session.execute(
        delete(ScriptFavourite).where(*mine).returning(col(ScriptFavourite.material_id))
    )
    if gone.first() is not None:
        return False
    session.add(ScriptFavourite(staff_id=who.id, material_id=material_id, at=now))
    await session.flush()
    return True

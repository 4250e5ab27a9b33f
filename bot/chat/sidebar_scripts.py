"""话术 beside a chat: the tree of the library of scripts, and what an RM keeps at hand."""

from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role
from compliance.suitability import needs_notice
from content import scripts, sendable
from content.library import LibraryDocument
from content.script_models import ScriptFavourite
from content.scripts import ALL, Branch
from content.sendable import Sendable
from desk.permissions import allow
from desk.render import fragment
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()


@dataclass(frozen=True)
class TreePart:
    """Fragment: the branches of the tree that hold something, for one chat."""

    here: str  # address of the chat
    key: str
    tree: list[Branch]


@dataclass(frozen=True)
class StarPart:
    """Fragment: the button that keeps a script at hand, as it is now."""

    here: str
    material_id: UUID
    title: str
    kept: bool


@routes.get("/sidebar/{contact}/script-tree")
@allow(Role.RM, place="sidebar")
async def tree_part(request: web.Request) -> web.Response:
    """The tree, with favourites first."""
    session, who = session_of(request), signed(request)
    known = await scripts.all_scripts(session, who, now_of(request), everywhere=False)
    key = request.query.get("shelf", ALL)
    tree = [b for b in await scripts.tree(session, known, who) if _shows(b, key)]
    here = f"/sidebar/{request.match_info['contact']}"
    return fragment(request, "sidebar/_script_tree.html", TreePart(here, key, tree))


def _shows(branch: Branch, key: str) -> bool:
    """One row is narrow: the first level, the way to where one is, and what lies below it."""
    if not branch.count and branch.key != ALL:
        return False
    above = branch.key.rpartition("/")[0]
    return branch.depth == 0 or branch.key == key or key == above or key.startswith(f"{above}/")


@dataclass(frozen=True)
class SeriesItem:
    """One of a series 组合话术: its words, what goes beside them, what must be said first."""

    document: LibraryDocument
    words: str
    beside: Sendable | None
    notice: bool  # the special notice to the elderly


def is_series(key: str) -> bool:
    """Whether this branch of the tree is sent one after another."""
    return key.startswith("series:")


async def in_series(
    session: AsyncSession, found: list[LibraryDocument], age: int | None
) -> list[SeriesItem]:
    """These as they will be sent to somebody of this age."""
    beside = await sendable.of_versions(session, [one.version_id for one in found])
    return [
        SeriesItem(
            one,
            one.passages[0].text if one.passages else "",
            beside.get(one.version_id),
            needs_notice(age, one.risk),
        )
        for one in found
    ]


async def on_shelf(request: web.Request) -> list[UUID] | None:
    """The versions of the branch of the tree asked for, in its order; None for all of it."""
    key = request.query.get("shelf", ALL).replace("\0", "")
    if key == ALL:
        return None
    session, who = session_of(request), signed(request)
    known = await scripts.all_scripts(session, who, now_of(request), everywhere=False)
    return [script.version.id for script in await scripts.inside(session, known, key, who)]


async def favourites(request: web.Request) -> frozenset[UUID]:
    """What the RM keeps at hand."""
    rows = select(ScriptFavourite.material_id).where(
        col(ScriptFavourite.staff_id) == signed(request).id
    )
    return frozenset((await session_of(request).execute(rows)).scalars())


@routes.post("/sidebar/{contact}/favourite")
@allow(Role.RM, place="sidebar")
async def favourite(request: web.Request) -> web.Response:
    """Kept at hand, or no more; only what the RM may use."""
    session, who, now = session_of(request), signed(request), now_of(request)
    wanted = str((await request.post()).get("material", ""))
    known = await scripts.all_scripts(session, who, now, everywhere=False)
    script = next((s for s in known if str(s.material.id) == wanted), None)
    if script is None:
        raise web.HTTPNotFound
    kept = await scripts.keep_at_hand(session, script.material.id, who, now)
    here = f"/sidebar/{request.match_info['contact']}"
    part = StarPart(here, script.material.id, script.version.title, kept)
    return fragment(request, "sidebar/_star_now.html", part)

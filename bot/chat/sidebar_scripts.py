"""话术 and 素材 beside a chat: the tree of scripts, what an RM keeps at hand, how it is sent."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role
from bot.chat.sidebar import Chat
from compliance.suitability import needs_notice
from content import library, scripts, sendable
from content.library import LibraryDocument
from content.script_models import ScriptFavourite
from content.scripts import ALL, Branch
from content.sendable import Sendable
from desk.ids import given_id
from desk.permissions import allow
from desk.render import fragment
from desk.signed import Signed, now_of, session_of, signed
from knowledge import finishing
from wecom.channels import Channel

routes = web.RouteTableDef()

HIGHEST = 5  # What one keeps at hand is for customers of every level; sending asks again.


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
class Item:
    """A material as it is sent: its words, what goes beside them, what must be said first."""

    document: LibraryDocument
    words: str
    beside: Sendable | None
    notice: bool  # the special notice to the elderly


def is_series(key: str) -> bool:
    """Whether this branch of the tree is sent one after another."""
    return key.startswith("series:")


async def as_sent(request: web.Request, found: list[LibraryDocument], chat: Chat) -> list[Item]:
    """These as this RM will send them to the customer of the chat: with both their names."""
    session, names = session_of(request), finishing.names_of(signed(request).name, chat.customer)
    beside = await sendable.of_versions(session, [one.version_id for one in found])
    return [
        Item(
            one,
            finishing.named(one.passages[0].text, names) if one.passages else "",
            beside.get(one.version_id),
            needs_notice(chat.facts.age, one.risk),
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


async def _live(session: AsyncSession, wanted: str, who: Signed, now: datetime) -> tuple[UUID, str]:
    """A material that is no script; 404 unless the RM's branch may use it beside a chat."""
    version = await library.live_version_of(session, given_id(wanted), now)
    if version is None:
        raise web.HTTPNotFound
    live = await library.only_live(
        session,
        {version.id},
        now=now,
        channel=Channel.SINGLE_CHAT.value,
        branch_id=who.branch_id,
        risk_ceiling=HIGHEST,
    )
    if not live:
        raise web.HTTPNotFound
    return version.material_id, version.title


@routes.post("/sidebar/{contact}/favourite")
@allow(Role.RM, place="sidebar")
async def favourite(request: web.Request) -> web.Response:
    """Kept at hand, or no more; only what the RM may use."""
    session, who, now = session_of(request), signed(request), now_of(request)
    wanted = str((await request.post()).get("material", ""))
    known = await scripts.all_scripts(session, who, now, everywhere=False)
    titles = {str(s.material.id): (s.material.id, s.version.title) for s in known}
    material_id, title = titles.get(wanted) or await _live(session, wanted, who, now)
    kept = await scripts.keep_at_hand(session, material_id, who, now)
    part = StarPart(f"/sidebar/{request.match_info['contact']}", material_id, title, kept)
    return fragment(request, "sidebar/_star_now.html", part)

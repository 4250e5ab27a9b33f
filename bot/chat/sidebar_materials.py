"""话术 and 素材 beside a chat: approved material this customer may see, listed or searched."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from aiohttp import web

from bot.chat import sidebar_scripts
from bot.chat.sidebar import SIDEBAR, Chat, against_selling, chat_of, not_yours
from bot.chat.sidebar_scripts import Item
from content import library
from content.models import Kind
from content.scripts import ALL
from desk.render import fragment
from desk.signed import now_of, session_of, signed
from knowledge import finding
from knowledge.indexing import LIBRARY_INDEX
from wecom.channels import Channel

routes = web.RouteTableDef()

LISTED = 30
FOUND = 10
SCRIPTS = ("script", "faq")
KEPT = "kept"


@dataclass(frozen=True)
class MaterialTab:
    """`话术` and `素材`: approved material this customer may see, searched by the same index."""

    chat: Chat
    query: str
    items: list[Item]  # as they would be sent
    certificate: str  # what stands against selling; then only education is listed
    shelf: str  # the branch of the tree of scripts that is shown
    favourites: frozenset[UUID]  # materials the RM keeps at hand
    kind: str  # of material that is shown, KEPT for what is kept at hand, empty for all
    kinds: list[Kind]  # of which there is something
    in_series: bool  # whether what is shown is sent one after another
    more: bool  # there is more than what is listed
    nothing_fits: bool  # nothing answers the words: what is listed is only nearest


@routes.get("/sidebar/{contact}/scripts")
@SIDEBAR
async def scripts_tab(request: web.Request) -> web.Response:
    """Approved scripts and answers."""
    return await _material_tab(request, "scripts")


@routes.get("/sidebar/{contact}/materials")
@SIDEBAR
async def materials_tab(request: web.Request) -> web.Response:
    """Approved notes and education."""
    return await _material_tab(request, "materials")


async def _material_tab(request: web.Request, tab: str) -> web.Response:
    chat = await chat_of(request, tab)
    if chat is None:
        return not_yours(request)
    session, who, query = session_of(request), signed(request), request.query.get("q", "").strip()
    certificate = await against_selling(session, who.id, now_of(request))
    key = request.query.get("shelf", ALL)
    in_series = tab == "scripts" and sidebar_scripts.is_series(key)
    kinds = {one for one in Kind if in_series or (one in SCRIPTS) == (tab == "scripts")}
    kept = await sidebar_scripts.favourites(request)
    wanted = Wanted(chat, query, kinds, request.query.get("kind", ""), kept, bool(certificate))
    shown = await _documents(request, wanted)
    context = MaterialTab(
        chat,
        query,
        await sidebar_scripts.as_sent(request, shown.documents, chat),
        certificate,
        key,
        kept,
        wanted.kind,
        [one for one in Kind if one in shown.kinds],
        in_series=in_series and not query,
        more=shown.more,
        nothing_fits=shown.nothing_fits,
    )
    return fragment(request, "sidebar/_chat.html", context)


@dataclass(frozen=True)
class Wanted:
    """What is looked for on a tab: words, the kinds it shows, the one picked, or what is kept.

    An RM who passes on education alone speaks of no product at all (C-34).
    """

    chat: Chat
    query: str
    of_tab: set[Kind]
    kind: str  # one kind, KEPT, or empty for all
    kept: frozenset[UUID]
    education_only: bool

    @property
    def kinds(self) -> set[Kind]:
        """The kinds that may be shown."""
        return self.of_tab & {Kind.EDUCATION} if self.education_only else self.of_tab

    @property
    def audience(self) -> dict[str, Any]:
        """For whom it must be fit."""
        facts = self.chat.facts
        return {
            "channel": Channel.SINGLE_CHAT.value,
            "branch_id": facts.branch_id,
            "risk_ceiling": 0 if self.education_only else facts.risk_ceiling,
        }

    def fits(self, document: library.LibraryDocument) -> bool:
        """Whether it may be shown here."""
        return document.kind in self.kinds and not (self.education_only and document.risk)

    def picks(self, document: library.LibraryDocument) -> bool:
        """Whether it is of the kind that was picked, or kept where that was."""
        return self.kind in ("", document.kind) or (
            self.kind == KEPT and document.material_id in self.kept
        )


@dataclass(frozen=True)
class Shown:
    """The first of what fits, of which kinds there is something, and what is to be said of it."""

    documents: list[library.LibraryDocument]
    kinds: set[Kind]
    more: bool
    nothing_fits: bool = False


async def _documents(request: web.Request, wanted: Wanted) -> Shown:
    session, now = session_of(request), now_of(request)
    inside = await sidebar_scripts.on_shelf(request)
    if not wanted.query and inside is None:
        there = await library.live_kinds(session, now, **wanted.audience) & wanted.kinds
        kept = wanted.kept if wanted.kind == KEPT else None
        kinds = {one for one in there if wanted.kind in ("", KEPT, one)}
        first = await library.live_documents(
            session, now, kinds=kinds, materials=kept, limit=LISTED + 1, **wanted.audience
        )
        return Shown(first[:LISTED], there, len(first) > LISTED)
    found = await _found(request, wanted, inside)
    fitting = [one for one in found.documents if wanted.fits(one)]
    shown = [one for one in fitting if wanted.picks(one)]
    most = FOUND if wanted.query else LISTED
    called = any(wanted.query.lower() in one.title.lower() for one in shown)
    return Shown(
        shown[:most],
        {one.kind for one in fitting},
        more=len(shown) > most and not wanted.query,
        nothing_fits=found.tier == "none" and not called,
    )


async def _found(request: web.Request, wanted: Wanted, inside: list[UUID] | None) -> finding.Listed:
    """What answers the words, or all of a branch of the tree, in its order."""
    session, now = session_of(request), now_of(request)
    if wanted.query:
        index, facts = request.app[LIBRARY_INDEX], wanted.chat.facts
        found = await finding.find(
            session, wanted.query, facts, Channel.SINGLE_CHAT, index, now, 2 * LISTED
        )
    else:
        there = await library.usable(session, inside or [], now=now, **wanted.audience)
        found = finding.Listed(there, "answer")
    by_version = {one.version_id: one for one in found.documents}
    order = list(by_version) if inside is None else inside
    return replace(found, documents=[by_version[one] for one in order if one in by_version])

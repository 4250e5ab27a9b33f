"""The sidebar opened beside a customer group: approved material, sent into the group by hand."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bot.chat import group_messages
from bot.chat.bridging import in_bubbles, parts_of, stock_of
from bot.chat.group_messages import ForGroup, Refused
from bot.chat.sidebar import SIDEBAR, Nobody
from content import sendable
from content.library import LibraryDocument
from content.sendable import Sendable
from customers import group_seats
from customers.models import CustomerGroup
from desk.ids import given_id
from desk.keys import SETTINGS
from desk.render import fragment
from desk.signed import now_of, session_of, signed
from outbound import check
from outbound.check import Cleared
from outbound.facts import policy_of

routes = web.RouteTableDef()

LISTED = 30
# Name, words, and the end of the address.
TABS = (
    ("questions", "待回答", "/questions"),
    ("materials", "素材", ""),
    ("portrait", "群画像", "/portrait"),
)


@dataclass(frozen=True)
class GroupChat:
    """The head: which group, and how many customers read what is sent there."""

    group: CustomerGroup
    customers: int
    tab: str = "materials"
    tabs: tuple[tuple[str, str, str], ...] = TABS


@dataclass(frozen=True)
class GroupMaterials:
    """What is approved for customer groups."""

    chat: GroupChat
    query: str
    documents: list[LibraryDocument]
    level: int  # products up to R… may be spoken of; 0 none
    more: bool  # there is more than what is listed


@dataclass(frozen=True)
class GroupMessage:
    """One material as the group would read it, and what stands against it now."""

    chat: GroupChat
    key: str
    title: str
    version_id: str
    text: str  # complete, with what must stand in it
    attached: list[Sendable]
    reasons: list[str]
    done: bool = False


@routes.get("/sidebar/groups/{chat_id}")
@SIDEBAR
async def group_materials(request: web.Request) -> web.Response:
    """Approved material for this group, searched by title."""
    group = await group_of(request)
    if group is None:
        return not_yours(request)
    query = request.query.get("q", "").strip()
    found = await group_messages.usable(session_of(request), signed(request), now_of(request))
    wanted = [one for one in found if query.lower() in one.title.lower()]
    level = request.app[SETTINGS].group_product_level
    context = GroupMaterials(
        await chat_of(request, group), query, wanted[:LISTED], level, more=len(wanted) > LISTED
    )
    return fragment(request, "sidebar/_group.html", context)


@routes.get("/sidebar/groups/{chat_id}/message")
@SIDEBAR
async def group_message(request: web.Request) -> web.Response:
    """One material as it would arrive, judged now; nothing is sent or written down."""
    group = await group_of(request)
    if group is None:
        return not_yours(request)
    it = await _chosen(request, group, uuid4(), request.query.get("version", ""))
    return fragment(request, "sidebar/_group_message.html", await _shown(request, it))


@routes.post("/sidebar/groups/{chat_id}/messages/{key}/clear")
@SIDEBAR
async def clear(request: web.Request) -> web.Response:
    """The last check before the tap reaches the group; answers the bubbles to send."""
    group, form = await group_of(request), await request.post()
    if group is None:
        return web.json_response({"refused": [group_messages.ANOTHER]})
    it = await _chosen(request, group, _key(request), str(form.get("version", "")))
    policy = policy_of(request.app[SETTINGS])
    answer = await group_messages.clear(
        session_of(request), it, stock_of(request), policy, now_of(request)
    )
    if isinstance(answer, Cleared):
        return await in_bubbles(request, answer, renew=bool(form.get("again")))
    return web.json_response({"refused": list(answer.reasons)})


@routes.post("/sidebar/groups/{chat_id}/messages/{key}/sent")
@SIDEBAR
async def sent(request: web.Request) -> web.Response:
    """WeCom's bridge says what is in the group."""
    group = await group_of(request)
    if group is None:
        raise web.HTTPNotFound
    form = await request.post()
    row = await group_messages.mark_sent(
        session_of(request), _key(request), group, parts_of(form), signed(request), now_of(request)
    )
    if row is None:
        raise web.HTTPNotFound
    it = await _chosen(request, group, _key(request), str(row.versions[0]["version_id"]))
    done = GroupMessage(
        chat=await chat_of(request, group),
        key=str(it.key),
        title=it.version.title,
        version_id=str(it.version.id),
        text=row.text,
        attached=await _attached(session_of(request), it),
        reasons=[],
        done=row.delivered >= group_messages.bubbles_of(row),
    )
    return fragment(request, "sidebar/_group_message.html", done)


async def group_of(request: web.Request) -> CustomerGroup | None:
    """The living group of the address, if this very member of staff is in it."""
    chat_id = request.match_info["chat_id"]
    return await group_seats.group_of(session_of(request), signed(request), chat_id)


async def chat_of(request: web.Request, group: CustomerGroup, tab: str = "materials") -> GroupChat:
    """The head above every tab of a group."""
    there = await group_seats.present(session_of(request), group.id, now_of(request))
    return GroupChat(group, len(there), tab)


def not_yours(request: web.Request) -> web.Response:
    """No group of this RM: said in words."""
    nobody = Nobody(
        "这个群不在您的客户群里",
        "可能刚建群、还没有同步，也可能群已解散或您已退出。请稍后重新打开。",
    )
    return fragment(request, "sidebar/_nobody.html", nobody)


def _key(request: web.Request) -> UUID:
    return given_id(request.match_info["key"])


async def _chosen(
    request: web.Request, group: CustomerGroup, key: UUID, version_id: str
) -> ForGroup:
    session, who = session_of(request), signed(request)
    it = await group_messages.chosen(session, key, group, given_id(version_id), who)
    if it is None:
        raise web.HTTPNotFound
    return it


async def _shown(request: web.Request, it: ForGroup) -> GroupMessage:
    session, now = session_of(request), now_of(request)
    saying = await group_messages.saying_of(session, it, stock_of(request), now)
    text, reasons = it.text, list[str]()
    if isinstance(saying, Refused):
        reasons = list(saying.reasons)
    else:
        answer = await check.check(session, saying, policy_of(request.app[SETTINGS]), now)
        passed = isinstance(answer, check.Passed)
        text = answer.text if isinstance(answer, check.Passed) else it.text
        reasons = [] if passed else list(getattr(answer, "reasons", ()))
    return GroupMessage(
        chat=await chat_of(request, it.group),
        key=str(it.key),
        title=it.version.title,
        version_id=str(it.version.id),
        text=text,
        attached=await _attached(session, it),
        reasons=reasons,
    )


async def _attached(session: AsyncSession, it: ForGroup) -> list[Sendable]:
    return list((await sendable.of_versions(session, [it.version.id])).values())

"""推荐内容 and 适合的客户: matches on a customer's page, on a material's, beside a chat."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bank.calendar import local_day
from bank.models import Role, Staff
from bot.chat.sidebar import SIDEBAR, chat_of, not_yours
from compliance.contact import ConsentFacts, NoOpenTime, may_contact, next_allowed_time
from compliance.verdict import Allowed
from content import library, shelf
from content.material_pages import reader_of
from content.models import Kind
from customers import book, care
from customers.addressed import customer_of
from customers.models import Customer
from desk.ids import ID
from desk.keys import SETTINGS
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import fragment, when
from desk.signed import now_of, session_of, signed
from knowledge import match_reading, suiting
from knowledge.match_reading import Shown
from knowledge.match_shelf import STOCKROOM, barred, pieces_of
from knowledge.suiting import Suited
from outbound.facts import Facts
from scheduler import sops, touch_reading
from scheduler.gates import policy_of

routes = web.RouteTableDef()

BESIDE_CHAT = 5


@dataclass(frozen=True)
class Moment:
    """When a customer may be written to, and how often yet this month."""

    text: str
    tone: str


@dataclass(frozen=True)
class CustomerMatches:
    """Fragment: the materials that suit a customer now."""

    customer: Customer
    matches: list[Shown]
    moment: Moment
    made_at: datetime | None
    may_renew: bool


@dataclass(frozen=True)
class MaterialMatches:
    """Fragment: the customers a material suits, as far as the reader may see customers."""

    material_id: UUID
    title: str
    barred: tuple[str, ...]  # why it is recommended to nobody
    suited: Suited | None  # None: nothing of it is live
    may_plan: bool


@dataclass(frozen=True)
class SideMatches:
    """Fragment beside a chat: what to choose for this customer."""

    customer: Customer
    matches: list[Shown]


@routes.get("/matches/customer/{id}")
@allow(*SEES_CUSTOMERS)
async def of_customer(request: web.Request) -> web.Response:
    """The ten materials that suit a customer best, each with why him and why now."""
    return await _of_customer(request, await customer_of(request))


@routes.post("/matches/customer/{id}")
@allow(Role.RM, Role.BRANCH_MANAGER, Role.HQ)
async def renew(request: web.Request) -> web.Response:
    """Match this customer again now, with what has happened since the night."""
    customer = await customer_of(request)
    session, room, now = session_of(request), request.app[STOCKROOM], now_of(request)
    steps = await sops.materials_in_steps(session)
    await match_reading.renew(session, customer, room, now, steps)
    return await _of_customer(request, customer)


async def _of_customer(request: web.Request, customer: Customer) -> web.Response:
    found = await _matches_of(request, customer)
    context = CustomerMatches(
        customer=customer,
        matches=found,
        moment=await _moment(request, customer),
        made_at=found[0].made_at if found else None,
        may_renew=signed(request).may(Role.RM, Role.BRANCH_MANAGER, Role.HQ),
    )
    return fragment(request, "bot/_customer_matches.html", context)


async def _matches_of(request: web.Request, customer: Customer) -> list[Shown]:
    session, room = session_of(request), request.app[STOCKROOM]
    steps = await sops.materials_in_steps(session)
    return await match_reading.of_customer(session, customer, room, now_of(request), steps)


async def _moment(request: web.Request, customer: Customer) -> Moment:
    session, now, settings = session_of(request), now_of(request), request.app[SETTINGS]
    if await care.complains(session, customer.id):
        return Moment("投诉还没有办结：暂停营销，只推荐服务和投教内容", "red")
    left = await touch_reading.marketing_left(session, customer.id, settings, now)
    consent = await book.consent_of(session, customer.id, now)
    if consent is None:
        return Moment("没有营销授权：只推荐不含产品的服务和投教内容", "red")
    sent, policy = (
        await touch_reading.marketing_moments(session, customer.id, now),
        policy_of(settings),
    )
    if isinstance(may_contact(ConsentFacts(consent.granted_at), sent, now, policy=policy), Allowed):
        return Moment(f"现在可以联系，本月还可营销触达 {left} 次", "green")
    try:
        opens = next_allowed_time(now, sent, policy=policy)
    except NoOpenTime:
        return Moment("近期没有可以营销触达的时间", "red")
    return Moment(f"营销内容请在 {when(opens)} 之后发送，本月还可 {left} 次", "orange")


@routes.get(f"/matches/material/{{material_id:{ID}}}")
@allow(*SEES_CUSTOMERS)
async def of_material(request: web.Request) -> web.Response:
    """Whom a material suits among the customers one may see, and why it does not suit the rest."""
    session, who, now = session_of(request), signed(request), now_of(request)
    material_id = UUID(request.match_info["material_id"])
    if not await shelf.visible_versions(session, material_id, reader_of(who), now):
        raise web.HTTPNotFound
    context = await _of_material(session, request, material_id, now)
    return fragment(request, "bot/_material_matches.html", context)


async def _of_material(
    session: AsyncSession, request: web.Request, material_id: UUID, now: datetime
) -> MaterialMatches:
    who, live = signed(request), await library.live_version_of(session, material_id, now)
    if live is None:
        return MaterialMatches(material_id, "", (), None, may_plan=False)
    [document] = await library.documents(session, [live.id])
    against = barred(document, local_day(now), await sops.materials_in_steps(session))
    suited = None
    if not against:
        [piece] = await pieces_of(session, [document])
        suited = await suiting.of_material(session, piece, book.visible(who), now)
    may_plan = who.may(Role.HQ) and not against
    return MaterialMatches(material_id, document.title, against, suited, may_plan)


@routes.get("/sidebar/{contact}/matches")
@SIDEBAR
async def beside_chat(request: web.Request) -> web.Response:
    """What suits the customer of this chat best; one tap makes it a reply."""
    chat = await chat_of(request, "materials")
    if chat is None:
        return not_yours(request)
    session, now = session_of(request), now_of(request)
    found = await _matches_of(request, chat.customer)
    staff = Facts(staff=await session.get_one(Staff, signed(request).id))
    if not staff.certified(now):
        found = [one for one in found if one.piece.kind is Kind.EDUCATION and not one.piece.risk]
    return fragment(
        request, "sidebar/_matches.html", SideMatches(chat.customer, found[:BESIDE_CHAT])
    )

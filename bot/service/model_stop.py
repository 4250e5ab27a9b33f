"""停用模型: the page that says whether models may word, who stopped them, and how it is lifted."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from bank.models import Role, Staff
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed
from knowledge import metering
from outbound import stops
from outbound.models import ModelStop

routes = web.RouteTableDef()

SEES = (Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
LATEST = 20
DAYS = 14


@dataclass(frozen=True)
class UsedDay:
    """What models took on one day."""

    day: date
    tokens: int
    share: float  # of the budget of today, in per cent
    askings: int
    turned_away: int


@dataclass(frozen=True)
class ModelPage:
    """`/service/model`: whether models may word, and what became of earlier stops."""

    stop: ModelStop | None
    earlier: list[ModelStop]
    names: dict[UUID, str]
    model: str  # its name; empty where the bank has none
    days: list[UsedDay]  # what it took, newest first
    a_day: int  # tokens it may take
    used_up: bool  # whether today's replies are quoted because of that
    may_ask: bool
    may_lift: bool
    may_stop: bool
    refused: str
    because: str  # as typed


@routes.get("/service/model")
@allow(*SEES)
async def model_page(request: web.Request) -> web.Response:
    """Whether a model may word anything now."""
    return await _page(request)


@routes.post("/service/model/ask")
@allow(Role.HQ)
async def ask(request: web.Request) -> web.Response:
    """Head office asks to lift the stop, and says why."""
    because = str((await request.post()).get("because", ""))
    asked = await stops.ask(
        session_of(request), by=signed(request), because=because, now=now_of(request)
    )
    if isinstance(asked, stops.Refused):
        return await _page(request, asked.reason, because)
    return see_other("/service/model?done=已提出恢复，等待合规同意")


@routes.post("/service/model/lift")
@allow(Role.COMPLIANCE)
async def lift(request: web.Request) -> web.Response:
    """Somebody else, of compliance, agrees."""
    lifted = await stops.lift(session_of(request), by=signed(request), now=now_of(request))
    if isinstance(lifted, stops.Refused):
        return await _page(request, lifted.reason)
    return see_other("/service/model?done=模型起草已恢复；客服账号的自动答复仍需逐个开启")


async def _page(request: web.Request, refused: str = "", because: str = "") -> web.Response:
    session, who, settings = session_of(request), signed(request), request.app[SETTINGS]
    stop = await stops.current(session)
    query = select(ModelStop).where(col(ModelStop.lifted_at).is_not(None))
    newest = query.order_by(col(ModelStop.stopped_at).desc()).limit(LATEST)
    earlier = list((await session.execute(newest)).scalars())
    asked_by = stop.asked_by if stop else None
    days = await _days(session, settings.llm_tokens_a_day)
    today = local_day(now_of(request))
    context = ModelPage(
        stop=stop,
        earlier=earlier,
        names=await _names(session, [*earlier, *([stop] if stop else [])]),
        model=settings.llm_model if settings.llm_base_url else "",
        days=days,
        a_day=settings.llm_tokens_a_day,
        used_up=any(one.day == today and one.turned_away for one in days),
        may_ask=stop is not None and who.may(Role.HQ),
        may_lift=asked_by not in (None, who.id) and who.may(Role.COMPLIANCE),
        may_stop=stop is None and who.may(Role.HQ, Role.COMPLIANCE),
        refused=refused,
        because=because,
    )
    return page(request, "bot/model_stop.html", context, status=409 if refused else 200)


async def _days(session: AsyncSession, a_day: int) -> list[UsedDay]:
    return [
        UsedDay(
            one.day, one.tokens, 100 * one.tokens / a_day if a_day else 100.0, one.askings,
            one.turned_away,
        )
        for one in await metering.latest(session, DAYS)
    ]  # fmt: skip


async def _names(session: AsyncSession, stops_shown: list[ModelStop]) -> dict[UUID, str]:
    ids = {
        person
        for one in stops_shown
        for person in (one.stopped_by, one.asked_by, one.lifted_by)
        if person is not None
    }
    rows = await session.execute(
        select(col(Staff.id), col(Staff.name)).where(col(Staff.id).in_(ids))
    )
    return {row.id: row.name for row in rows}

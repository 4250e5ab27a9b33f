"""工作台: the first page of every role."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local, local_day
from bot import figures, panels
from bot.demo import guide
from bot.figures import OVERSEES, SENT, Number
from bot.panels import Panel
from customers.book import visible
from customers.models import Customer
from desk.keys import SETTINGS
from desk.permissions import public
from desk.render import page, see_other
from desk.signed import SIGNED, Signed, now_of, session_of, signed
from knowledge import quality
from knowledge.models import Suggestion

routes = web.RouteTableDef()

DAYS = 30


@dataclass(frozen=True)
class Workbench:
    """`/`: numbers of the role, what waits, and where to go."""

    greeting: str
    numbers: list[Number]
    panels: list[Panel]
    trend: dict[str, object]  # ECharts option; empty for roles that see no suggestions


@routes.get("/")
@public
async def first_page(request: web.Request) -> web.StreamResponse:
    """The workbench of whoever is signed in; the guide of the demo, or sign-in, for others."""
    if SIGNED in request:
        return await _workbench(request)
    if request.app[SETTINGS].demo:
        return await guide.show(request)
    return see_other("/signin")


async def _workbench(request: web.Request) -> web.Response:
    session, who, now = session_of(request), signed(request), now_of(request)
    context = Workbench(
        greeting=f"{who.name}，{_part_of_day(now)}好",
        numbers=await figures.of(session, who, now),
        panels=await panels.of(session, who, request.app[SETTINGS], now),
        trend=await _trend(session, who, now),
    )
    return page(request, "bot/workbench.html", context)


def _part_of_day(now: datetime) -> str:
    hour = local(now).hour
    return "早上" if hour < 11 else "中午" if hour < 13 else "下午" if hour < 18 else "晚上"


async def _trend(session: AsyncSession, who: Signed, now: datetime) -> dict[str, object]:
    """Suggestions made and sent on each of the last 30 local days."""
    if not who.may(*OVERSEES):
        return {}
    day = func.date(func.timezone("Asia/Shanghai", col(Suggestion.created_at)))
    mine = select(Customer.id).where(visible(who))
    query = (
        select(day, func.count(), func.count().filter(col(Suggestion.state).in_(SENT)))
        .where(
            *quality.made(),
            col(Suggestion.customer_id).in_(mine),
            col(Suggestion.created_at) >= now - timedelta(days=DAYS),
        )
        .group_by(day)
    )
    found = {row[0]: (row[1], row[2]) for row in (await session.execute(query))}
    days = [local_day(now) - timedelta(days=DAYS - 1 - i) for i in range(DAYS)]
    return {
        "tooltip": {"trigger": "axis"},
        "legend": {"data": ["推荐", "采用"]},
        "xAxis": {"type": "category", "data": [f"{d:%m-%d}" for d in days]},
        "yAxis": {"type": "value", "name": "条", "minInterval": 1},
        "series": [
            {
                "name": "推荐",
                "type": "bar",
                "data": [found.get(d, (0, 0))[0] for d in days],
                "itemStyle": {"color": "#b9dcfb"},
            },
            {
                "name": "采用",
                "type": "bar",
                "barGap": "-100%",
                "data": [found.get(d, (0, 0))[1] for d in days],
                "itemStyle": {"color": "#0082ef"},
            },
        ],
    }

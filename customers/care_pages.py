"""关怀提醒: what customers wrote that a person must look at, to confirm or to undo."""

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy import Select, func, select
from sqlmodel import col

from bank import staff as people
from bank.models import Role, Staff
from customers import care
from customers.book import visible
from customers.models import CareAlert, CareKind, CareState, Customer
from desk.ids import ID
from desk.permissions import SEES_CUSTOMERS, allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

PAGE = 20
VISITOR, NOBODY = "微信客服访客", "—"
DECIDES = (Role.BRANCH_MANAGER, Role.COMPLIANCE)


@dataclass(frozen=True)
class CareRow:
    """A line of the list."""

    alert: CareAlert
    customer: str
    rm: str
    may_decide: bool  # nobody decides about words written to themselves
    chat: str  # address of the 微信客服 session it was written in; empty for an RM's chat


@dataclass(frozen=True)
class CarePage:
    """`/care`: within one's own customers."""

    rows: list[CareRow]
    names: dict[str, str]  # userid of who decided → name
    state: CareState
    kind: str
    kinds: list[tuple[str, str]]
    tabs: list[tuple[str, str, bool]]  # words with count, address, whether it is this one
    query: str
    total: int
    number: int
    pages: int
    error: str


@routes.get("/care")
@allow(*SEES_CUSTOMERS)
async def care_list(request: web.Request) -> web.Response:
    """Alerts in one state, the oldest open one first."""
    return await _shown(request)


async def _shown(request: web.Request, error: str = "") -> web.Response:
    session, who = session_of(request), signed(request)
    state, kind = _state(request), request.query.get("kind", "")
    query = _wanted(request, kind).where(col(CareAlert.state) == state)
    total = (await session.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
    pages = max(1, -(-total // PAGE))
    asked = request.query.get("page", "1")
    number = min(max(1, int(asked)), pages) if asked.isascii() and asked.isdigit() else 1
    raised = col(CareAlert.raised_at)
    order = raised.asc() if state is CareState.OPEN else raised.desc()
    found = await session.execute(query.order_by(order).limit(PAGE).offset((number - 1) * PAGE))
    rows = [
        CareRow(alert, customer, rm, who.may(*DECIDES) and alert.staff_id != who.id, _chat(alert))
        for alert, customer, rm in found
    ]
    kept = {"state": state.value} | ({"kind": kind} if kind in list(CareKind) else {})
    deciders = {row.alert.decided_by for row in rows} - {""}
    context = CarePage(
        rows=rows,
        names={userid: await _name(request, userid) for userid in deciders},
        state=state,
        kind=kind,
        kinds=[("", "全部类型")] + [(each.value, each.label) for each in CareKind],
        tabs=await _tabs(request, state, kind),
        query=urlencode(kept),
        total=total,
        number=number,
        pages=pages,
        error=error,
    )
    return page(request, "customers/care.html", context, status=422 if error else 200)


def _chat(alert: CareAlert) -> str:
    kind, _, place = alert.source.partition(":")
    return f"/service/{place.partition(':')[0]}" if kind == care.SERVICE else ""


def _state(request: web.Request) -> CareState:
    asked = request.query.get("state", "")
    return CareState(asked) if asked in list(CareState) else CareState.OPEN


def _wanted(request: web.Request, kind: str) -> Select[CareAlert, str, str]:
    """Theirs, and for those who see all also of contacts who are no customers yet."""
    query = (
        select(
            CareAlert,
            func.coalesce(col(Customer.name), VISITOR),
            func.coalesce(col(Staff.name), NOBODY),
        )
        .outerjoin(Customer, col(Customer.id) == col(CareAlert.customer_id))
        .outerjoin(Staff, col(Staff.id) == col(CareAlert.staff_id))
        .where(visible(signed(request)))
    )
    return query.where(col(CareAlert.kind) == CareKind(kind)) if kind in list(CareKind) else query


async def _tabs(request: web.Request, now: CareState, kind: str) -> list[tuple[str, str, bool]]:
    mine = _wanted(request, kind).subquery()
    rows = select(mine.c.state, func.count()).group_by(mine.c.state)
    counts = {CareState(state): n for state, n in await session_of(request).execute(rows)}
    more = f"&kind={kind}" if kind in list(CareKind) else ""
    return [
        (f"{each.label}（{counts.get(each, 0):,}）", f"/care?state={each.value}{more}", each is now)
        for each in CareState
    ]


async def _name(request: web.Request, userid: str) -> str:
    found = await people.by_userid(session_of(request), userid)
    return found.name if found else userid


@routes.post(f"/care/{{alert_id:{ID}}}/confirm")
@allow(*DECIDES)
async def confirm(request: web.Request) -> web.Response:
    """It was understood rightly; what was stopped stays stopped."""
    outcome = await care.confirm(
        session_of(request), _id(request), await _reason(request),
        by=signed(request), now=now_of(request),
    )  # fmt: skip
    return await _answer(request, outcome, "已确认")


@routes.post(f"/care/{{alert_id:{ID}}}/undo")
@allow(*DECIDES)
async def undo(request: web.Request) -> web.Response:
    """The customer did not mean it; what was stopped goes on."""
    outcome = await care.undo(
        session_of(request), _id(request), await _reason(request),
        by=signed(request), now=now_of(request),
    )  # fmt: skip
    return await _answer(request, outcome, "已撤销")


async def _answer(request: web.Request, outcome: care.Refused | None, done: str) -> web.Response:
    if isinstance(outcome, care.Refused):
        return await _shown(request, outcome.reason)
    return see_other(f"/care?{urlencode({'done': done})}")


def _id(request: web.Request) -> UUID:
    return UUID(request.match_info["alert_id"])


async def _reason(request: web.Request) -> str:
    return str((await request.post()).get("reason", ""))

"""法律保全 beside a customer's portrait: placed and released by compliance, seen by audit too."""

from dataclasses import dataclass

from aiohttp import web

from bank.models import Role
from customers import holds
from customers.addressed import customer_of
from customers.models import Customer, LegalHold
from desk.permissions import allow
from desk.render import fragment, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()


@dataclass(frozen=True)
class HoldCard:
    """`/customers/{id}/hold`: whether this customer is under legal hold, and since when."""

    customer: Customer
    hold: LegalHold | None
    past: list[LegalHold]
    may_change: bool


@routes.get("/customers/{id}/hold")
@allow(Role.COMPLIANCE, Role.AUDITOR)
async def hold_card(request: web.Request) -> web.Response:
    """Whether this customer is under legal hold."""
    session, customer = session_of(request), await customer_of(request)
    history = await holds.history(session, customer.id)
    context = HoldCard(
        customer=customer,
        hold=next((hold for hold in history if hold.released_at is None), None),
        past=[hold for hold in history if hold.released_at is not None],
        may_change=signed(request).may(Role.COMPLIANCE),
    )
    return fragment(request, "customers/_hold.html", context)


@routes.post("/customers/{id}/hold/place")
@allow(Role.COMPLIANCE)
async def place(request: web.Request) -> web.Response:
    """From now on nothing of this customer is purged or erased."""
    customer, reason = await customer_of(request), await _reason(request)
    who, now = signed(request).userid, now_of(request)
    wrong = await holds.place(session_of(request), customer, reason, by=who, now=now)
    return see_other(f"/customers/{customer.id}?done={wrong or '已设置法律保全'}")


@routes.post("/customers/{id}/hold/release")
@allow(Role.COMPLIANCE)
async def release(request: web.Request) -> web.Response:
    """The ordinary terms count again."""
    customer, reason = await customer_of(request), await _reason(request)
    who, now = signed(request).userid, now_of(request)
    wrong = await holds.release(session_of(request), customer, reason, by=who, now=now)
    return see_other(f"/customers/{customer.id}?done={wrong or '已解除法律保全'}")


async def _reason(request: web.Request) -> str:
    return str((await request.post()).get("reason", "")).strip()

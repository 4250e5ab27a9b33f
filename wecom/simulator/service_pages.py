"""The page 微信客服: the customer's chat with the account beside the servicer's desktop."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import aiohttp_jinja2
from aiohttp import web

from wecom.simulator.api_call import PLATFORM
from wecom.simulator.pages import POLICY
from wecom.simulator.service_desk import hall
from wecom.simulator.service_view import service_view

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class ServicePage:
    """What the page is born with; `link` is the service link a customer came by, if any."""

    corp_name: str
    customer: str
    account: str
    servicer: str
    opened: str
    link: str


def add_routes(app: web.Application) -> None:
    """The page's addresses."""
    app.router.add_get("/service", service, name="service")
    app.router.add_get("/service/view", view)


async def service(request: web.Request) -> web.Response:
    """The customer's phone at a service account beside the servicer's desktop."""
    platform, query = request.app[PLATFORM], request.query
    place = hall(platform)
    newest = max(place.sessions.values(), key=lambda s: s.wrote_at or _NEVER, default=None)
    account = next(iter(place.accounts.values()), None)
    page = ServicePage(
        corp_name=platform.corp.name,
        customer=query.get("customer") or (newest.external_userid if newest else _anybody(request)),
        account=query.get("account", ""),
        servicer=query.get("servicer") or next(iter(account.servicers if account else {}), ""),
        opened=f"{newest.open_kfid}/{newest.external_userid}" if newest else "",
        link=query.get("link", ""),
    )
    context = {"page": page, "boot": asdict(page)}
    response = aiohttp_jinja2.render_template("service.html", request, context)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


async def view(request: web.Request) -> web.Response:
    """What phone and desktop show now."""
    query = request.query
    return web.json_response(
        service_view(
            request.app[PLATFORM],
            customer=query.get("customer", ""),
            account=query.get("account", ""),
            servicer=query.get("servicer", ""),
            opened=query.get("opened", ""),
        )
    )


def _anybody(request: web.Request) -> str:
    return next(iter(request.app[PLATFORM].world.contacts), "")

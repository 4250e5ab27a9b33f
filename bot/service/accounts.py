"""客服账号: which accounts of 微信客服 answer without a person, and how to stop them all."""

from dataclasses import dataclass

from aiohttp import web
from sqlalchemy import func
from sqlmodel import col, select

from bank import audit
from bank.models import Role
from bot.models import ServiceAccount, ServiceSession
from bot.service import chat as service_chat
from bot.service import rows as service_rows
from bot.service.greeting import allowed
from desk.keys import SESSIONS, SETTINGS, WECOM
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed
from outbound import stops
from wecom.errors import WeComError

routes = web.RouteTableDef()

SEES = (Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
SWITCHES = (Role.HQ, Role.COMPLIANCE)
STOPPED = "一键停用全部自动答复和模型起草"
STILL_STOPPED = "合规已停用自动答复和模型起草，恢复后才能开启：见“模型起草”页。"


@dataclass(frozen=True)
class AccountRow:
    """An account and its switch."""

    account: ServiceAccount
    chats: int


@dataclass(frozen=True)
class AccountsPage:
    """`/service/accounts`: which accounts answer without a person."""

    rows: list[AccountRow]
    allowed: bool
    confidence: float
    may_switch: bool
    problem: str


@routes.get("/service/accounts")
@allow(*SEES)
async def account_list(request: web.Request) -> web.Response:
    """The accounts of 微信客服 and their switches."""
    return await _accounts_page(request)


@routes.post("/service/accounts/sync")
@allow(*SWITCHES)
async def sync_accounts(request: web.Request) -> web.Response:
    """Ask WeCom which accounts there are."""
    try:
        known = await service_chat.learn_accounts(request.app[SESSIONS], request.app[WECOM])
    except WeComError as error:
        problem = f"企业微信没有返回客服账号（{type(error).__name__} {error.errcode or ''}）。"
        return await _accounts_page(request, problem)
    return see_other(f"/service/accounts?done=已同步 {known} 个客服账号")


@routes.post("/service/accounts/{open_kfid}/automatic")
@allow(*SWITCHES)
async def switch_account(request: web.Request) -> web.Response:
    """Let an account answer without a person, or no longer; kept in the audit book."""
    session, wanted = session_of(request), (await request.post()).get("automatic") == "on"
    account = await session.get(
        ServiceAccount, request.match_info["open_kfid"], with_for_update=True
    )
    if account is None:
        raise web.HTTPNotFound
    if wanted and await stops.current(session) is not None:
        return await _accounts_page(request, STILL_STOPPED, status=409)
    if account.automatic != wanted:
        account.automatic = wanted
        verb = "automatic_on" if wanted else "automatic_off"
        audit.record(
            session,
            f"bot:service_account:{verb}",
            account.open_kfid,
            by=signed(request).userid,
            now=now_of(request),
            name=account.name,
        )
    return see_other(f"/service/accounts?done=已{'开启' if wanted else '停用'}自动答复")


@routes.post("/service/stop")
@allow(*SWITCHES)
async def stop(request: web.Request) -> web.Response:
    """Stop every automatic answer and everything a model words, from the next moment on."""
    session = session_of(request)
    reason = str((await request.post()).get("reason", "")).strip()[:200] or STOPPED
    await stops.stop(session, by=signed(request), reason=reason, now=now_of(request))
    stopped = await service_rows.stop_all(session)
    for open_kfid in stopped:
        audit.record(
            session,
            "bot:service_account:automatic_off",
            open_kfid,
            by=signed(request).userid,
            now=now_of(request),
            reason=STOPPED,
        )
    return see_other(f"/service/model?done=模型起草和 {len(stopped)} 个客服账号的自动答复已停用")


async def _accounts_page(
    request: web.Request, problem: str = "", status: int = 502
) -> web.Response:
    session, settings = session_of(request), request.app[SETTINGS]
    query = select(ServiceSession.open_kfid, func.count()).group_by(col(ServiceSession.open_kfid))
    counts = dict((await session.execute(query)).all())
    accounts = sorted((await service_rows.accounts(session)).values(), key=lambda one: one.name)
    context = AccountsPage(
        rows=[AccountRow(account, counts.get(account.open_kfid, 0)) for account in accounts],
        allowed=allowed(settings),
        confidence=settings.service_confidence,
        may_switch=signed(request).may(*SWITCHES),
        problem=problem,
    )
    return page(request, "bot/service_accounts.html", context, status=status if problem else 200)

"""系统 · 企业微信接口: what WeCom refuses us, what it may have created, which callbacks we"
" refuse."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Role
from bot.inbound import rejections
from bot.models import CallbackRejection, IntentState, PlatformIntent
from desk.keys import WECOM
from desk.permissions import allow
from desk.render import page, see_other
from desk.signed import now_of, session_of, signed
from wecom.callback import Reason
from wecom.traffic import Standing

routes = web.RouteTableDef()

A_WEEK = timedelta(days=7)
SHOWN = 50

REFUSED = {
    "CredentialWrong": (
        "企业ID、AgentId 或 Secret 不被接受，或应用已停用",
        "运行 siyu doctor，按提示核对凭证",
    ),
    "NetworkNotTrusted": (
        "出口 IP 不在企业可信 IP 名单中",
        "到「应用管理 → 自建应用 → 企业可信IP」加入本机出口 IP",
    ),
    "RateLimited": ("调用过于频繁，企业微信暂停了该接口", "无需处理，到时会自动试探恢复"),
}
CALLS = {
    "externalcontact/add_contact_way": "渠道活码",
    "externalcontact/add_moment_task": "朋友圈任务",
    "externalcontact/customer_acquisition/create_link": "获客链接",
    "externalcontact/add_corp_tag": "企业标签",
    "externalcontact/add_intercept_rule": "敏感词规则",
    "externalcontact/groupchat/add_join_way": "加群活码",
    "externalcontact/group_welcome_template/add": "入群欢迎语",
    "externalcontact/remind_groupmsg_send": "群发提醒",
    "message/send": "应用消息",
}
REASONS = {
    Reason.SIGNATURE: (
        "签名不符",
        "多为互联网扫描，可忽略；若企业微信后台保存回调地址时也失败，请重新复制 Token",
    ),
    Reason.AES_KEY: (
        "签名正确但无法解密",
        "EncodingAESKey 与企业微信后台不一致，请到「接收消息 → 设置API接收」重新复制",
    ),
    Reason.RECEIVER: (
        "接收方不是本企业",
        "请核对 SIYU_WECOM_CORP_ID 与「我的企业 → 企业信息 → 企业ID」",
    ),
    Reason.ENVELOPE: ("不是企业微信的加密消息", "多为互联网扫描或网关改写了正文"),
}


@dataclass(frozen=True)
class Blocked:
    """A call nobody makes now, in words."""

    call: str
    reason: str
    todo: str
    seconds: int
    refusals: int


@dataclass(frozen=True)
class Refused:
    """Callbacks that were refused for one reason."""

    row: CallbackRejection
    label: str
    todo: str


@dataclass(frozen=True)
class Intended:
    """Something that may exist at WeCom or not."""

    row: PlatformIntent
    label: str
    facts: str


@dataclass(frozen=True)
class PlatformPage:
    """`/system/wecom`: empty tables mean all is well."""

    blocked: list[Blocked]
    refused: list[Refused]
    intended: list[Intended]
    may_settle: bool


@routes.get("/system/wecom")
@allow(Role.ADMIN, Role.AUDITOR)
async def platform(request: web.Request) -> web.Response:
    """What stands between us and WeCom at the moment."""
    session, now = session_of(request), now_of(request)
    context = PlatformPage(
        blocked=[_blocked(one) for one in request.app[WECOM].calls.standing()],
        refused=[_refused(row) for row in await rejections.since(session, now - A_WEEK)],
        intended=[_intended(row) for row in await _unknown(session)],
        may_settle=signed(request).may(Role.ADMIN),
    )
    return page(request, "bot/platform.html", context)


@routes.post("/system/wecom/intents/{id}/{verdict}")
@allow(Role.ADMIN)
async def settle(request: web.Request) -> web.Response:
    """A person has looked in the console: it was created, or it was not."""
    session, now, verdict = session_of(request), now_of(request), request.match_info["verdict"]
    intent = await _find(session, request.match_info["id"])
    if verdict not in VERDICTS or intent is None or intent.state is not IntentState.UNKNOWN:
        raise web.HTTPNotFound
    intent.state, intent.settled_at = VERDICTS[verdict], now
    audit.record(session, f"bot:intent:{verdict}", intent.id, by=signed(request).userid, now=now)
    return see_other("/system/wecom?done=已记录核对结果")


VERDICTS = {"done": IntentState.DONE, "abandoned": IntentState.ABANDONED}


async def _find(session: AsyncSession, text: str) -> PlatformIntent | None:
    try:
        intent_id = UUID(text)
    except ValueError:
        return None
    return await session.get(PlatformIntent, intent_id, with_for_update=True)


async def _unknown(session: AsyncSession) -> list[PlatformIntent]:
    query = (
        select(PlatformIntent)
        .where(col(PlatformIntent.state) == IntentState.UNKNOWN)
        .order_by(col(PlatformIntent.created_at).desc())
        .limit(SHOWN)
    )
    return list((await session.execute(query)).scalars())


def _blocked(one: Standing) -> Blocked:
    reason, todo = REFUSED.get(one.reason, (one.reason, "运行 siyu doctor 查看原因"))
    number = f"（{one.errcode}）" if one.errcode else ""
    return Blocked(one.call or "全部接口", reason + number, todo, round(one.seconds), one.refusals)


def _refused(row: CallbackRejection) -> Refused:
    label, todo = REASONS[Reason(row.reason)]
    named = f"：{row.receiver}" if row.receiver else ""
    return Refused(row, label + named, todo)


def _intended(row: PlatformIntent) -> Intended:
    facts = "，".join(f"{name}={value}" for name, value in row.facts.items() if value)
    return Intended(row, CALLS.get(row.call, row.call), facts)

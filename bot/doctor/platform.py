"""WeCom itself: who we are to it, what we may call, whom we may see, what it archives."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import aiohttp
from sqlalchemy.exc import SQLAlchemyError

from bank import staff as people
from bank.database import open_engine, open_sessions
from bank.models import Staff
from bank.settings import Settings
from bot.app import Pace, archive_client, wecom_client
from bot.doctor.findings import Finding, Words, ill, well, worth_knowing
from wecom.client import WeComClient
from wecom.errors import (
    ArchiveRefused,
    CredentialWrong,
    NetworkNotTrusted,
    NotPermitted,
    RelationGone,
    Unreachable,
    WeComError,
)

TOKEN = Words("WeCom credentials", "企业微信凭证")
CONTACTS = Words("customer contacts", "客户联系接口")
RANGE = Words("visible range", "可见范围")
CLOCK = Words("clock", "时钟")
ARCHIVE = Words("conversation archive", "会话内容存档")
SEATS = Words("archive seats", "存档席位")
MOST_SKEW = timedelta(minutes=1)


async def look(settings: Settings, now: datetime) -> list[Finding]:
    """What WeCom says to us, from the first call on; what an ill one hides is not asked."""
    rms = await _relationship_managers(settings)
    async with aiohttp.ClientSession() as http:
        wecom = wecom_client(settings, http, pace=Pace(sleep=_at_once))
        found = [await _asked(lambda: _token(wecom), TOKEN)]
        if found[0].good:
            found.append(await _asked(lambda: _clock(wecom, now), CLOCK))
            found += await _contacts(wecom, rms)
        return found + await _archive(settings, http, wecom, rms, admitted=found[0].good)


async def _at_once(_: float) -> None:
    """Somebody waits at the terminal: a busy platform is asked again without a pause."""


async def _asked(look: Callable[[], Awaitable[Finding]], subject: Words) -> Finding:
    try:
        return await look()
    except WeComError as error:
        return _refusal(subject, error)
    except ValueError as wrong:
        return ill(
            subject,
            Words(str(wrong), "配置有误"),
            Words("Correct the settings named above.", "请先更正上面指出的配置。"),
        )


async def _token(wecom: WeComClient) -> Finding:
    await wecom.platform.callback_addresses()
    return well(TOKEN, "accepted, and our address is trusted", "凭证有效，出口 IP 已受信任")


async def _clock(wecom: WeComClient, now: datetime) -> Finding:
    skew = now - await wecom.platform.time()
    seconds = round(skew.total_seconds())
    if abs(skew) <= MOST_SKEW:
        return well(CLOCK, f"{abs(seconds)} s from WeCom's", f"与企业微信相差 {abs(seconds)} 秒")
    return ill(
        CLOCK,
        Words(f"{seconds:+} s from WeCom's", f"与企业微信相差 {seconds:+} 秒"),
        Words(
            "Set the clock by NTP: callbacks signed more than five minutes away are held back.",
            "请启用 NTP 校时：签名时间相差超过五分钟的回调会被暂存，不予处理。",
        ),
    )


async def _contacts(wecom: WeComClient, rms: list[Staff]) -> list[Finding]:
    try:
        serving = {userid.lower() for userid in await wecom.contacts.follow_users()}
    except WeComError as error:
        return [_refusal(CONTACTS, error)]
    permitted = well(CONTACTS, "may be called by this app", "本应用可以调用")
    return [permitted, _in_range(serving, rms)]


def _in_range(serving: set[str], rms: list[Staff]) -> Finding:
    missing = [rm for rm in rms if rm.userid.lower() not in serving]
    if not rms:
        return worth_knowing(
            RANGE, f"{len(serving)} members; no RM is registered yet", "尚未登记客户经理"
        )
    if not missing:
        return well(RANGE, f"all {len(rms)} RMs are in it", f"{len(rms)} 名客户经理均在范围内")
    named = "、".join(f"{rm.name}（{rm.userid}）" for rm in missing[:5])
    more = f" …{len(missing)}" if len(missing) > 5 else ""
    return ill(
        RANGE,
        Words(
            f"{len(missing)} of {len(rms)} RMs cannot be seen: {named}{more}",
            f"{len(rms)} 名客户经理中有 {len(missing)} 名不可见：{named}{more}",
        ),
        Words(
            "Add them under 应用管理 → 自建应用 → 可见范围, and to 客户联系 → 权限配置 → 使用范围.",
            "请在「应用管理 → 自建应用 → 可见范围」以及「客户联系 → 权限配置 → 使用范围」"
            "中加入他们。",
        ),
    )


async def _archive(
    settings: Settings,
    http: aiohttp.ClientSession,
    wecom: WeComClient,
    rms: list[Staff],
    *,
    admitted: bool,
) -> list[Finding]:
    client = archive_client(settings, http)
    if client is None:
        return [
            worth_knowing(
                ARCHIVE,
                "not set; RMs type or paste the customer's question",
                "未配置，由客户经理输入或粘贴客户的问题",
            )
        ]
    try:
        await client.messages(0, 1)
    except WeComError as error:
        return [_refusal(ARCHIVE, error)]
    reached = well(ARCHIVE, "the sidecar answers", "存档服务可以读取")
    return [reached, await _asked(lambda: _seats(wecom, rms), SEATS)] if admitted else [reached]


async def _seats(wecom: WeComClient, rms: list[Staff]) -> Finding:
    seated = {userid.lower() for userid in await wecom.archive_consent.permitted()}
    without = [rm for rm in rms if rm.userid.lower() not in seated]
    if seated and not without:
        return well(
            SEATS, f"{len(seated)} members are archived", f"已为 {len(seated)} 名成员开启存档"
        )
    named = "、".join(f"{rm.name}（{rm.userid}）" for rm in without[:5])
    return ill(
        SEATS,
        Words(
            f"{len(without)} RMs have none: {named}" if seated else "nobody has one",
            f"{len(without)} 名客户经理没有席位：{named}" if seated else "没有任何成员开启存档",
        ),
        Words(
            "Buy seats and add the RMs under 管理工具 → 会话内容存档 → 开启范围; without a seat"
            " nothing"
            " that is said to them can be read.",
            "请在「管理工具 → 会话内容存档 → 开启范围」购买席位并加入客户经理；"
            "没有席位的会话无法读取。",
        ),
    )


def _refusal(subject: Words, error: WeComError) -> Finding:
    """A refusal of WeCom, with what to click for the kind of it."""
    says = Words(str(error), f"企业微信返回 {error.errcode or error.reason or '无应答'}")
    for kind, todo in CURES:
        if isinstance(error, kind):
            return ill(subject, says, _with_address(todo, error))
    return ill(subject, says, ANY_OTHER)


def _with_address(todo: Words, error: WeComError) -> Words:
    """The address WeCom saw is the one to enter: nobody has to look for it."""
    if not isinstance(error, NetworkNotTrusted) or not error.address:
        return todo
    return Words(
        f"{todo.en} It saw us come from {error.address}.",
        f"{todo.zh}企业微信看到的出口 IP 是 {error.address}。",
    )


ANY_OTHER = Words(
    "Look the number up in WeCom's list of global error codes.",
    "请到企业微信全局错误码页面查询该编号。",
)
CURES: tuple[tuple[type[WeComError], Words], ...] = (
    (
        NetworkNotTrusted,
        Words(
            "Add our outgoing address under 应用管理 → 自建应用 → 企业可信IP (for the archive:"
            " 管理工具 →"
            " 会话内容存档 → 可信IP地址).",
            "请在「应用管理 → 自建应用 → 企业可信IP」加入本机出口 IP（会话存档为「管理工具 →"
            " 会话内容存档 →"
            " 可信IP地址」）。",
        ),
    ),
    (
        CredentialWrong,
        Words(
            "企业ID, AgentId and Secret must come from the same app: copy them again from"
            " 我的企业 and"
            " 应用管理 → 自建应用 (for the archive, its own Secret), and see that the app is not"
            " switched off.",
            "企业ID、AgentId 与 Secret 必须属于同一个应用：请从「我的企业」与「应用管理 →"
            " 自建应用」重新复制"
            "（会话存档使用其专用 Secret），并确认应用未被停用。",
        ),
    ),
    (
        NotPermitted,
        Words(
            "List the app under 客户联系 → 客户 → API → 可调用接口的应用, and tick"
            " 外部联系人变更回调 in its"
            " 接收消息 settings (for the archive: 管理工具 → 会话内容存档 → API →"
            " 可调用接口的应用).",
            "请在「客户联系 → 客户 → API → 可调用接口的应用」中勾选本应用，"
            "并在应用的接收消息设置中勾选"
            "「外部联系人变更回调」（会话存档为「管理工具 → 会话内容存档 → API →"
            " 可调用接口的应用」）。",
        ),
    ),
    (
        ArchiveRefused,
        Words(
            "The archive is off or expired: see 管理工具 → 会话内容存档.",
            "会话内容存档未开启或已到期，请查看「管理工具 → 会话内容存档」。",
        ),
    ),
    (
        RelationGone,
        Words(
            "The member is not in this company's directory; correct the userid under 系统 → 员工.",
            "通讯录中没有该成员，请在「系统 → 员工」更正账号。",
        ),
    ),
    (
        Unreachable,
        Words(
            "Nothing came back: allow outgoing https to the address in SIYU_WECOM_BASE_URL or"
            " SIYU_ARCHIVE_URL.",
            "没有得到应答：请放行到 SIYU_WECOM_BASE_URL 或 SIYU_ARCHIVE_URL 的出站 https。",
        ),
    ),
)


async def _relationship_managers(settings: Settings) -> list[Staff]:
    """The enabled RMs of our staff list; none where the database cannot tell."""
    engine = open_engine(settings.database_url, pool_size=1)
    try:
        async with open_sessions(engine)() as session:
            return [rm for rm in await people.relationship_managers(session) if rm.enabled]
    except (SQLAlchemyError, OSError):
        return []
    finally:
        await engine.dispose()

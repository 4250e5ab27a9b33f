"""Makes and deletes contact ways at WeCom: written down first, each once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, or_, select

from bank.database import Sessions
from bank.models import Staff
from bot.intents import CONTACT_WAY
from bot.models import ContactWay, IntentState, PlatformIntent, WayState
from wecom.client import WeComClient
from wecom.contact_ways import ContactWay as PlatformWay
from wecom.contact_ways import ContactWayCreated
from wecom.errors import (
    Busy,
    ContactWayRefused,
    CredentialWrong,
    NetworkNotTrusted,
    NotPermitted,
    OutcomeUnknown,
    RateLimited,
    RelationGone,
    TokenDead,
    WeComError,
)

log = structlog.get_logger("bot")

GONE = 41044

NOT_ENABLED = "客户经理账号已停用，启用后再重试"
LOOKED_UP = "上一次创建没有收到回答，正在向企业微信核对，不会重复创建"
LATER = "企业微信暂时没有响应，稍后自动重试"
TOO_OFTEN = "企业微信限制了调用频率，稍后自动重试"
NUMBERS = {
    41041: "这枚活码的成员超过 100 人",
    41045: "全行 50 万枚活码的额度已用完；停用不再使用的活码后重试",
    41054: "该成员尚未激活企业微信或未完成实名认证；请本人登录一次企业微信后重试",
    84074: "该成员没有客户联系权限；请管理员在“客户联系 - 权限配置”中添加后重试",
}
KINDS: tuple[tuple[type[WeComError], str], ...] = (
    (NotPermitted, "成员不在应用可见范围内，或应用没有客户联系权限；请管理员检查后重试"),
    (RelationGone, "企业微信中没有这位成员；请核对成员账号后重试"),
    (NetworkNotTrusted, "本系统的出口 IP 不在企业可信 IP 中；请管理员添加后重试"),
    (CredentialWrong, "应用的凭证不被企业微信接受；请管理员检查应用配置后重试"),
    (TokenDead, "应用的凭证不被企业微信接受；请管理员检查应用配置后重试"),
)


@dataclass(frozen=True)
class WayMaker:
    """Does at WeCom what the rows ask for; any number of processes may run one."""

    sessions: Sessions
    wecom: WeComClient
    now: Callable[[], datetime]

    async def work(self) -> int:
        """Make and delete everything that is due; returns how many rows were looked at."""
        tried: set[UUID] = set()
        while (way_id := await self._next(tried)) is not None:
            tried.add(way_id)
        return len(tried)

    async def _next(self, tried: set[UUID]) -> UUID | None:
        """One row, locked while WeCom is asked: no other process asks for it meanwhile."""
        making = col(ContactWay.state) == WayState.MAKING
        # A retired code whose picture is still known is still open at WeCom.
        leaving = (col(ContactWay.state) == WayState.RETIRED) & (col(ContactWay.qr_code) != "")
        query = (
            select(ContactWay)
            .where(or_(making, leaving), col(ContactWay.id).not_in(tried))
            .order_by(col(ContactWay.made_at), col(ContactWay.id))
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self.sessions.begin() as session:
            way = (await session.execute(query)).scalar_one_or_none()
            if way is None:
                return None
            if way.state is WayState.RETIRED:
                await self._delete(way)
            else:
                await self._make(session, way)
            log.info("contact_way", way=str(way.id), state=way.state.value)
            return way.id

    async def _make(self, session: AsyncSession, way: ContactWay) -> None:
        staff = await session.get_one(Staff, way.staff_id)
        if not staff.enabled:
            way.state, way.failure = WayState.FAILED, NOT_ENABLED
            return
        try:
            if await self._asked_before(session, way):
                return
            wish = PlatformWay(
                members=(staff.userid,),
                state=way.key,
                remark=way.channel,
                skip_verify=way.skip_verify,
            )
            _is_live(way, await self.wecom.contact_ways.create(wish))
        except OutcomeUnknown:
            way.failure = LOOKED_UP
        except RateLimited:
            way.failure = TOO_OFTEN
        except Busy:
            way.failure = LATER
        except WeComError as refusal:
            way.state, way.failure = WayState.FAILED, in_words(refusal)

    async def _asked_before(self, session: AsyncSession, way: ContactWay) -> bool:
        """Whether an earlier request settles it: it is made, or may yet turn out to be.

        `bot/intents.py` looks at WeCom for what it has made; what is surely not there may be
        asked for again.
        """
        query = (
            select(PlatformIntent)
            .where(
                PlatformIntent.call == CONTACT_WAY,
                col(PlatformIntent.facts)["state"].astext == way.key,
            )
            .order_by(col(PlatformIntent.created_at).desc())
            .limit(1)
        )
        intent = (await session.execute(query)).scalar_one_or_none()
        if intent is None or intent.state in (IntentState.REFUSED, IntentState.ABANDONED):
            return False
        if intent.state is IntentState.DONE:
            found = await self.wecom.contact_ways.get(intent.result)
            _is_live(way, ContactWayCreated(intent.result, found.qr_code))
        else:
            way.failure = LOOKED_UP
        return True

    async def _delete(self, way: ContactWay) -> None:
        try:
            await self.wecom.contact_ways.delete(way.config_id or "")
        except ContactWayRefused as refusal:
            if refusal.errcode != GONE:
                way.failure = in_words(refusal)
                return
        except WeComError as refusal:
            way.failure = in_words(refusal)
            return
        way.qr_code, way.failure = "", ""


def _is_live(way: ContactWay, made: ContactWayCreated) -> None:
    way.config_id, way.qr_code = made.config_id, made.qr_code
    way.state, way.failure = WayState.LIVE, ""


def in_words(refusal: WeComError) -> str:
    """Why WeCom made no code, and what to do."""
    said = NUMBERS.get(refusal.errcode or 0) or next(
        (words for kind, words in KINDS if isinstance(refusal, kind)), "企业微信拒绝了请求"
    )
    return f"{said}（错误码 {refusal.errcode}）" if refusal.errcode else said

"""Which pairs of token and key callbacks may be locked with, and when each was last in use.

A change without downtime: enter the new pair as the next one here, then in WeCom's console; when
the old one has not been used for an hour, make the next the current one.
"""

from datetime import UTC, datetime

from aiohttp import web
from prometheus_client import Counter
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.metrics import PAIRS
from bank.settings import Settings
from bot.models import Cursor
from wecom.callback import CallbackKeys

# What people call each pair; further apps are known by their AgentId.
CURRENT, NEXT, APP = "current", "next", "app"
MARK = "callback_keys/"


def accepted_keys(settings: Settings) -> tuple[CallbackKeys, ...]:
    """Every pair that opens callbacks of the corp, the current one first; none without a token."""
    pairs = [
        (CURRENT, settings.wecom_token, settings.wecom_aes_key),
        (NEXT, settings.wecom_token_next, settings.wecom_aes_key_next),
        *((f"{APP} {app.agent_id}", app.token, app.aes_key) for app in settings.wecom_more_apps),
    ]
    return tuple(
        CallbackKeys(token.get_secret_value(), key.get_secret_value(), settings.wecom_corp_id, name)
        for name, token, key in pairs
        if token.get_secret_value() and key.get_secret_value()
    )


def current_keys(settings: Settings) -> CallbackKeys:
    """The current pair; ValueError without one."""
    accepted = accepted_keys(settings)
    if not accepted:
        raise ValueError("set SIYU_WECOM_TOKEN and SIYU_WECOM_AES_KEY")
    return accepted[0]


def pair_label(name: str) -> str:
    """The pair in words."""
    if name.startswith(f"{APP} "):
        return f"其他应用（AgentId {name.removeprefix(f'{APP} ')}）"
    return {CURRENT: "当前密钥", NEXT: "备用密钥"}.get(name, name)


class PairsInUse:
    """When each pair last opened a callback, noted here and kept in the table for every process."""

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}
        self._counters: dict[str, Counter] = {}

    def note(self, pair: str, now: datetime) -> None:
        """It has opened one more."""
        counter = self._counters.get(pair)
        if counter is None:
            counter = self._counters[pair] = PAIRS.labels(pair)
        counter.inc()
        self._last[pair] = now

    async def save(self, session: AsyncSession) -> None:
        """Tell the other processes, and whoever starts after us."""
        noted, self._last = self._last, {}
        for pair, moment in noted.items():
            row = insert(Cursor).values(name=MARK + pair, position=int(moment.timestamp()))
            later = func.greatest(col(Cursor.position), row.excluded.position)
            newer = row.on_conflict_do_update(index_elements=["name"], set_={"position": later})
            await session.execute(newer)


async def last_used(session: AsyncSession) -> dict[str, datetime]:
    """When each pair last opened a callback in any process, to half a minute."""
    marks = select(col(Cursor.name), col(Cursor.position)).where(col(Cursor.name).startswith(MARK))
    return {
        name.removeprefix(MARK): datetime.fromtimestamp(second, UTC)
        for name, second in await session.execute(marks)
    }


KEYS: web.AppKey[tuple[CallbackKeys, ...]] = web.AppKey("KEYS")
USED = web.AppKey("USED", PairsInUse)

"""A check of the settings against the outside; each failure says what to do."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import psycopg

from bank.database import plain_url
from bank.settings import Settings
from bot.app import archive_client, wecom_client
from migrations import newest
from wecom.errors import WeComError


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    good: bool
    says: str

    def line(self) -> str:
        """For a terminal."""
        return f"{'ok  ' if self.good else 'FAIL'} {self.subject}: {self.says}"


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; one failure does not hide the next."""
    return [await look(settings) for look in LOOKS]


async def _database(settings: Settings) -> Finding:
    try:
        async with await psycopg.AsyncConnection.connect(
            plain_url(settings.database_url), connect_timeout=5
        ) as connection:
            row = await (await connection.execute("SHOW synchronous_commit")).fetchone()
    except psycopg.OperationalError as error:
        return Finding(
            "database", False, f"cannot connect ({type(error).__name__}); check SIYU_DATABASE_URL"
        )
    durable = row is not None and row[0] != "off"
    return Finding(
        "database", durable, "reached" if durable else "synchronous_commit is off; switch it on"
    )


async def _schema(settings: Settings) -> Finding:
    try:
        async with await psycopg.AsyncConnection.connect(plain_url(settings.database_url)) as c:
            row = await (await c.execute("SELECT version_num FROM alembic_version")).fetchone()
    except psycopg.Error:
        row = None
    current = row is not None and row[0] == newest()
    return Finding("schema", current, "current" if current else "not migrated; run `siyu migrate`")


async def _callback(settings: Settings) -> Finding:
    key = settings.wecom_aes_key.get_secret_value()
    if not settings.wecom_token.get_secret_value() or not re.fullmatch(r"[A-Za-z0-9]{43}", key):
        return Finding(
            "callback keys",
            False,
            "set SIYU_WECOM_TOKEN and SIYU_WECOM_AES_KEY (43 letters and digits) as shown under"
            " 应用管理 → 自建应用 → 接收消息",
        )
    return Finding("callback keys", True, "well formed")


async def _token(settings: Settings) -> Finding:
    async with aiohttp.ClientSession() as http:
        try:
            await wecom_client(settings, http).follow_users()
        except (WeComError, ValueError) as error:
            return Finding("WeCom API", False, f"{type(error).__name__}: {error}")
    return Finding("WeCom API", True, "token granted, customer contacts may be read")


async def _archive(settings: Settings) -> Finding:
    async with aiohttp.ClientSession() as http:
        client = archive_client(settings, http)
        if client is None:
            return Finding(
                "conversation archive", True, "not set; RMs type the customer's question themselves"
            )
        try:
            await client.messages(0, 1)
        except WeComError as error:
            return Finding("conversation archive", False, f"{type(error).__name__}: {error}")
    return Finding("conversation archive", True, "reached")


async def _address(settings: Settings) -> Finding:
    parts = urlsplit(settings.public_url)
    public = parts.scheme == "https" and parts.hostname not in ("localhost", "127.0.0.1", None)
    says = (
        "https and public" if public else "WeCom needs a public https address; set SIYU_PUBLIC_URL"
    )
    return Finding("public address", public, says)


LOOKS: tuple[Callable[[Settings], Awaitable[Finding]], ...] = (
    _database,
    _schema,
    _callback,
    _token,
    _archive,
    _address,
)

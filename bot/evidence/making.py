"""Making a pack from the command line: link, gather in one snapshot, note it, write."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit, audit_chain
from bank.audit_heads import open_heads
from bank.audit_keeping import Keeper
from bank.database import Sessions, open_engine, open_sessions
from bank.settings import Settings
from bot.evidence import gathering, permitted
from bot.evidence.gathering import Gathered
from bot.evidence.masked import without_personal_data
from bot.evidence.pack import Label, write_pack
from content.files import LocalFileStore


class NoSuchSubject(ValueError):
    """There is no such customer or touch."""


class NotPermitted(ValueError):
    """The pack may not be taken."""


@dataclass(frozen=True)
class Order:
    """What is asked for, and by whom."""

    about: str  # customer or touch
    subject: UUID
    out: Path
    personal: bool = False
    by: str = ""
    second: str = ""


async def make_pack(settings: Settings, order: Order, now: datetime) -> dict[str, Any]:
    """The pack's manifest; the making of it is a line of the audit book before a file is there."""
    engine = open_engine(settings.database_url, pool_size=2)
    try:
        sessions, heads = open_sessions(engine), open_heads(settings)
        await Keeper(sessions, heads).link(now)
        made, label = await _gathered(sessions, settings, order, now)
        async with sessions.begin() as session:
            await _note(session, order, made, label, now)
        await Keeper(sessions, heads).link(now)
        return write_pack(order.out, made, label, settings, heads.signer)
    finally:
        await engine.dispose()


async def _gathered(
    sessions: Sessions, settings: Settings, order: Order, now: datetime
) -> tuple[Gathered, Label]:
    async with sessions() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        files = LocalFileStore(settings.home / "files")
        gather = {"customer": gathering.about_customer, "touch": gathering.about_touch}
        made = await gather[order.about](session, files, order.subject)
        if made is None:
            raise NoSuchSubject(f"no {order.about} {order.subject}")
        if order.personal:
            wrong = await permitted.refusal(session, made.rows, order.by, order.second)
            if wrong:
                raise NotPermitted(wrong)
        book = await audit_chain.end_of_chain(session)
        label = Label(now, order.by or audit.SYSTEM, order.second, order.personal, book)
        return (made if order.personal else without_personal_data(made)), label


async def _note(
    session: AsyncSession, order: Order, made: Gathered, label: Label, now: datetime
) -> None:
    second = {"second": order.second} if order.second else {}
    audit.record(
        session, "bot:evidence:pack", order.subject, by=label.made_by, now=now,
        about={"customer": "客户", "touch": "触达"}[order.about], rows=made.rows,
        personal=order.personal, **second,
    )  # fmt: skip

"""云州银行: a bank with a year behind it, the same for the same seed and day."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Touchpoint
from bank.calendar import at_local
from bank.models import AuditEntry
from bank.settings import Settings
from bot.demo.attachments import attachments
from bot.demo.channels import channels
from bot.demo.group_talk import group_talk
from bot.demo.groups import groups
from bot.demo.history import Reply, conversations
from bot.demo.library import line, shelves
from bot.demo.money import brought_along, holdings, purchases, reported, settle
from bot.demo.people import People, people
from bot.demo.product_changes import product_changes
from bot.demo.readings import readings
from bot.demo.rows import Rows
from bot.demo.sequences import sequences
from bot.demo.service import service
from customers.models import Stage

SEED = 20261

# A relation this young has not become a conversation yet.
YOUNG = timedelta(days=10)


async def load(session: AsyncSession, today: date, seed: int, settings: Settings) -> None:
    """Write the whole bank into an empty, migrated database, in the caller's transaction."""
    await written(today, seed, settings).write(session)
    await settle(session, settings.attribution_window_days)


def written(today: date, seed: int, settings: Settings) -> Rows:
    """Every row of the bank but the credit, whose lines only the ledger writes."""
    rows = Rows()
    cast = people(rows, today, seed)
    shelf = shelves(rows, cast, today, seed)
    product_changes(rows, cast, shelf, today)
    shares = brought_along(cast, shelf, today, seed)
    replies = conversations(rows, cast, shelf, today, seed)
    _note_stages(cast, replies, at_local(today, time()))
    bought = purchases(cast, shelf, shares, replies, today, seed)
    sequences(rows, cast, shelf, shares, bought, today, seed, settings)
    attachments(rows, cast, shelf, today, seed)
    readings(rows, today, seed, settings)
    holdings(rows, shares, today)
    reported(rows, bought)
    channels(rows, cast, shelf, today, seed, settings)
    service(rows, cast, shelf, today, settings.bank_name)
    groups(rows, cast, today, seed)
    group_talk(rows, today)
    _note_endings(rows, cast)
    # The database numbers both in the order they come: the order in which they happened.
    rows.of(Touchpoint).sort(key=lambda point: point.at)
    rows.of(AuditEntry).sort(key=lambda entry: entry.at)
    return rows


def _note_stages(cast: People, replies: Sequence[Reply], now: datetime) -> None:
    answered = {reply.client.id for reply in replies}
    for client in cast.clients:
        old = now - client.first.added_at > YOUNG
        if client.row.stage is Stage.NEW and (client.id in answered or old):
            client.row.stage = Stage.FOLLOWING


def _note_endings(rows: Rows, cast: People) -> None:
    """The audit line of every relation that ended."""
    for client in cast.clients:
        for bond in client.bonds:
            if bond.removed_at is not None:
                lost = client.row.stage is not Stage.UNINTERESTED
                how = "removed_by_customer" if lost else "removed_by_rm"
                rows.add(line("customers:follow:end", bond.id, "system", bond.removed_at, how=how))

"""On the first morning the tables and the platform say the same: no comparison mends anything."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from sqlmodel import col, select, update

from bank.settings import Settings
from bot.app import Parts, open_parts
from bot.demo.run import CORP, demo_settings, prepared
from bot.inbound import repair
from bot.inbound.repair import Kind
from bot.models import Repair
from customers.models import CustomerGroup, GroupMember
from tests.demo.looking import MIDNIGHT
from wecom.simulator import make_simulator

MORNING = MIDNIGHT + timedelta(hours=9)


@pytest.fixture
async def fresh(settings: Settings) -> AsyncIterator[Parts]:
    """The product beside the platform, on a bank that was loaded a moment ago."""
    port = unused_port()
    joined = demo_settings(settings, port)
    platform = make_simulator(
        await prepared(joined, MORNING),
        corp=CORP,
        callback_url=f"{joined.public_url}/wecom/callback",
        sidebar_url=f"{joined.public_url}/sidebar",
        now=_morning,
    )
    app = web.Application()
    app.add_subapp("/simulator/", platform)
    server = TestServer(app, port=port)
    await server.start_server()
    async with open_parts(joined, now=_morning) as parts:
        yield parts
    await server.close()


def _morning() -> datetime:
    return MORNING


async def compared(fresh: Parts) -> dict[str, Repair]:
    """One round of every kind."""
    await repair.run_due(fresh.sessions, fresh.wecom, _morning)
    async with fresh.sessions() as session:
        return {row.kind: row for row in (await session.execute(select(Repair))).scalars()}


async def seats_of(fresh: Parts) -> list[dict[str, object]]:
    """Every seat, with all that is kept of it."""
    async with fresh.sessions() as session:
        query = select(GroupMember).order_by(col(GroupMember.id))
        return [seat.model_dump() for seat in (await session.execute(query)).scalars()]


async def test_no_comparison_finds_anything_to_mend(fresh: Parts) -> None:
    rounds = await compared(fresh)
    assert rounds.keys() == set(Kind)
    assert {kind: row.mended for kind, row in rounds.items()} == {kind: {} for kind in Kind}
    assert {row.failure for row in rounds.values()} == {""}
    assert rounds[Kind.GROUPS].looked_at == 9
    assert rounds[Kind.DETAILS].looked_at > 380


async def test_reading_every_group_again_changes_no_seat(fresh: Parts) -> None:
    before = await seats_of(fresh)
    async with fresh.sessions.begin() as session:
        await session.execute(update(CustomerGroup).values(member_version=""))
    rounds = await compared(fresh)
    assert rounds[Kind.GROUPS].mended == {}
    assert await seats_of(fresh) == before

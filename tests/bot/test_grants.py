"""Tokens and tickets in the database: one fetch for all processes, sealed, renewed in time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from sqlalchemy import text

from bank.database import Sessions
from bank.sealing import Seal
from bot.grants import SharedGrants
from tests.conftest import Clock
from tests.wecom.wire import FOLLOWERS, TOKEN, Platform, Seen, Watch, a_platform, client_of, refused
from wecom.errors import CredentialWrong, Unreachable
from wecom.tokens import Grant, GrantStore

SEAL = Seal([b"k" * 32])
NAME = "wwBANK/1000002/access_token"


class Fetcher:
    """Somebody who fetches tokens and counts them."""

    def __init__(self, *, lifetime: float = 7200.0) -> None:
        self.count, self.lifetime = 0, lifetime
        self.together = self.most = 0

    async def __call__(self) -> Grant:
        self.together += 1
        self.most = max(self.most, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        self.count += 1
        return Grant(f"{TOKEN}-{self.count}", self.lifetime)


@pytest.fixture
def grants(sessions: Sessions, clock: Clock) -> GrantStore:
    """The grants of one process."""
    return SharedGrants(sessions, SEAL, clock)


class TestSharedGrants:
    async def test_processes_that_start_together_fetch_one(
        self, sessions: Sessions, clock: Clock
    ) -> None:
        fetch = Fetcher()
        processes = [SharedGrants(sessions, SEAL, clock) for _ in range(8)]
        taken = await asyncio.gather(*(one.take(NAME, "", fetch) for one in processes))
        assert (fetch.count, fetch.most) == (1, 1)
        assert {grant.value for grant in taken} == {f"{TOKEN}-1"}

    async def test_a_dead_one_is_replaced_once_for_all(
        self, sessions: Sessions, clock: Clock
    ) -> None:
        fetch = Fetcher()
        processes = [SharedGrants(sessions, SEAL, clock) for _ in range(8)]
        dead = (await processes[0].take(NAME, "", fetch)).value
        taken = await asyncio.gather(*(one.take(NAME, dead, fetch) for one in processes))
        assert (fetch.count, fetch.most) == (2, 1)
        assert {grant.value for grant in taken} == {f"{TOKEN}-2"}

    async def test_it_is_renewed_five_minutes_before_it_dies(
        self, grants: GrantStore, clock: Clock
    ) -> None:
        fetch = Fetcher()
        await grants.take(NAME, "", fetch)
        clock.forward(timedelta(seconds=6899))
        kept = await grants.take(NAME, "", fetch)
        assert (kept.lifetime, kept.renew_in, fetch.count) == (301.0, 1.0, 1)
        clock.forward(timedelta(seconds=1))
        await grants.take(NAME, "", fetch)
        assert fetch.count == 2

    async def test_apps_and_kinds_do_not_mix(self, grants: GrantStore) -> None:
        fetch = Fetcher()
        names = ("ww1/1/access_token", "ww1/2/access_token", "ww2/1/access_token", "ww1/1/ticket")
        values = {(await grants.take(name, "", fetch)).value for name in names}
        assert len(values) == 4

    async def test_a_refused_fetch_leaves_nothing_behind(self, grants: GrantStore) -> None:
        async def refuse() -> Grant:
            raise CredentialWrong(call="gettoken", errcode=40001)

        with pytest.raises(CredentialWrong):
            await grants.take(NAME, "", refuse)
        assert (await grants.take(NAME, "", Fetcher())).value == f"{TOKEN}-1"

    async def test_what_is_stored_cannot_be_read_without_the_key(
        self, grants: GrantStore, sessions: Sessions, clock: Clock
    ) -> None:
        await grants.take(NAME, "", Fetcher())
        async with sessions() as session:
            row = (await session.execute(text("SELECT * FROM wecom_grant"))).one()
        assert TOKEN.encode() not in bytes(row.sealed)
        assert TOKEN not in str(row)
        fetch = Fetcher()
        await SharedGrants(sessions, Seal([b"x" * 32]), clock).take(NAME, "", fetch)
        assert fetch.count == 1


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """The small platform of `tests/wecom`."""
    async with a_platform() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections of our own."""
    async with aiohttp.ClientSession() as session:
        yield session


class TestClientsThatShare:
    async def test_many_processes_with_a_dead_token_fetch_one_new(
        self,
        platform: Platform,
        http: aiohttp.ClientSession,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        stores = [SharedGrants(sessions, SEAL, clock) for _ in range(4)]
        clients = [
            client_of(http, platform, Watch(), grants=store, timeout=5.0) for store in stores
        ]
        await asyncio.gather(*(one.contacts.follow_users() for one in clients))
        assert platform.count("gettoken") == 1
        platform.seen.clear()

        def only_the_new(seen: Seen) -> dict[str, object]:
            return refused(40014) if seen.query["access_token"] == f"{TOKEN}-1" else {}

        platform.replies[FOLLOWERS] = [only_the_new]
        platform.replies["gettoken"] = [{"access_token": f"{TOKEN}-2", "expires_in": 7200}]
        calls = [one.contacts.follow_users() for one in clients for _ in range(25)]
        await asyncio.gather(*calls)
        assert platform.count("gettoken") == 1
        assert platform.count(FOLLOWERS) == 200

    async def test_a_platform_that_hangs_keeps_nobody_out_for_ever(
        self,
        platform: Platform,
        http: aiohttp.ClientSession,
        sessions: Sessions,
        clock: Clock,
    ) -> None:
        store = SharedGrants(sessions, SEAL, clock)
        client = client_of(http, platform, Watch(), grants=store, timeout=5.0)
        platform.replies["gettoken"] = ["502"]
        with pytest.raises(Unreachable):
            await client.contacts.follow_users()
        platform.replies.clear()
        assert await client.contacts.follow_users() == []

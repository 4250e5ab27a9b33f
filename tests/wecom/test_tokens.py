"""The access token and the tickets: fetched once, renewed in time, never shown."""

import asyncio
from typing import Any

import pytest

from tests.wecom.wire import (
    CREATE,
    FOLLOWERS,
    MESSAGE,
    SECRET,
    TOKEN,
    Platform,
    Seen,
    Watch,
    refused,
)
from wecom.client import WeComClient
from wecom.errors import CredentialWrong, TokenDead
from wecom.to_customers import ToCustomers
from wecom.tokens import Grant, TokenSource


class TestToken:
    async def test_fifty_callers_share_one_fetch(
        self, client: WeComClient, platform: Platform
    ) -> None:
        await asyncio.gather(*(client.contacts.follow_users() for _ in range(50)))
        assert platform.count("gettoken") == 1
        assert platform.count(FOLLOWERS) == 50
        assert platform.last("gettoken").query == {"corpid": "wwBANK", "corpsecret": SECRET}

    async def test_it_is_renewed_before_it_expires(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        await client.contacts.follow_users()
        watch.second = 6899.0
        await client.contacts.follow_users()
        assert platform.count("gettoken") == 1
        watch.second = 6900.0
        await client.contacts.follow_users()
        assert platform.count("gettoken") == 2
        assert platform.last(FOLLOWERS).query["access_token"] == f"{TOKEN}-2"

    async def test_a_dead_token_is_replaced_and_the_call_made_again(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(42001), {"follow_user": ["zhangsan"]}]
        assert await client.contacts.follow_users() == ["zhangsan"]
        assert (platform.count("gettoken"), platform.count(FOLLOWERS)) == (2, 2)

    async def test_fifty_callers_with_a_dead_token_fetch_one_new(
        self, client: WeComClient, platform: Platform
    ) -> None:
        # The platform may hand out the same letters again: what counts is when they were fetched.
        platform.replies["gettoken"] = [{"access_token": TOKEN, "expires_in": 7200}]
        platform.replies[FOLLOWERS] = [
            lambda _: refused(40014) if platform.count("gettoken") == 1 else {}
        ]
        await asyncio.gather(*(client.contacts.follow_users() for _ in range(50)))
        assert platform.count("gettoken") == 2

    async def test_a_late_complaint_about_an_old_token_leaves_the_new_one(
        self, watch: Watch
    ) -> None:
        async def same_letters() -> Grant:
            return Grant(TOKEN, 7200)

        source = TokenSource(same_letters, now=watch.now)
        old = await source.current()
        source.invalidate(old)
        new = await source.current()
        source.invalidate(old)
        assert await source.current() is new is not old

    async def test_a_platform_that_takes_no_token_is_asked_twice_and_no_more(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(40014)]
        with pytest.raises(TokenDead):
            await client.contacts.follow_users()
        assert (platform.count("gettoken"), platform.count(FOLLOWERS)) == (2, 2)

    async def test_a_create_with_a_dead_token_is_made_again_because_nothing_happened(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[CREATE] = [refused(40014), {"msgid": "msg1"}]
        assert (await ToCustomers(client).mass_send(MESSAGE)).msgid == "msg1"

    async def test_a_wrong_secret_is_not_tried_again_and_again(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies["gettoken"] = [refused(40001)]
        calls = [client.contacts.follow_users() for _ in range(50)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {CredentialWrong}
        with pytest.raises(CredentialWrong):
            await client.contacts.follow_users()
        assert platform.count("gettoken") == 1
        watch.second = 60.0
        with pytest.raises(CredentialWrong):
            await client.contacts.follow_users()
        assert platform.count("gettoken") == 2

    async def test_a_caller_who_gives_up_does_not_take_the_token_from_the_others(
        self, client: WeComClient, platform: Platform
    ) -> None:
        asked = asyncio.Event()

        def token(seen: Seen) -> dict[str, Any]:
            asked.set()
            return platform.token(seen)

        platform.replies["gettoken"] = [token]
        first = asyncio.create_task(client.contacts.follow_users())
        second = asyncio.create_task(client.contacts.follow_users())
        await asked.wait()
        first.cancel()
        assert await second == []
        assert platform.count("gettoken") == 1

    async def test_tickets_are_cached_each_for_itself(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies["get_jsapi_ticket"] = [{"ticket": "page", "expires_in": 7200}]
        platform.replies["ticket/get"] = [{"ticket": "agent", "expires_in": 7200}]
        for _ in range(3):
            assert await client.tickets.page() == "page"
            assert await client.tickets.agent() == "agent"
        assert platform.last("ticket/get").query["type"] == "agent_config"
        assert (platform.count("get_jsapi_ticket"), platform.count("ticket/get")) == (1, 1)
        watch.second = 7000.0
        await client.tickets.agent()
        assert platform.count("ticket/get") == 2

"""Pace and distance: what is not asked, for how long, and who tries first when it may be."""

import asyncio

import aiohttp
import pytest

from tests.wecom.wire import CREATE, FOLLOWERS, MESSAGE, Platform, Watch, client_of, refused
from wecom.client import WeComClient
from wecom.errors import (
    CredentialWrong,
    NetworkNotTrusted,
    NotPermitted,
    RateLimited,
    Unreachable,
)
from wecom.moments import Moment
from wecom.to_customers import ToCustomers
from wecom.traffic import Bucket, Rate, Standing

CONTACTS = "externalcontact/list"


class TestTheCallThatIsRateLimited:
    async def test_one_tries_for_all_when_the_minute_is_over(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009)]
        with pytest.raises(RateLimited):
            await client.contacts.follow_users()
        watch.second = 60.0
        platform.replies[FOLLOWERS] = ["hang"]
        calls = [client.contacts.follow_users() for _ in range(20)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {RateLimited}
        assert platform.count(FOLLOWERS) == 2

    async def test_many_at_once_count_as_one_refusal(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009)]
        calls = [client.contacts.follow_users() for _ in range(20)]
        await asyncio.gather(*calls, return_exceptions=True)
        [standing] = client.calls.standing()
        assert standing == Standing(FOLLOWERS, "RateLimited", 45009, 60.0, 1)

    async def test_at_most_one_probe_in_half_a_minute_and_an_hour_when_it_lasts(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009)]
        asked: list[float] = []
        for second in range(0, 4000, 5):
            watch.second = float(second)
            before = platform.count(FOLLOWERS)
            with pytest.raises(RateLimited):
                await client.contacts.follow_users()
            asked += [watch.second] * (platform.count(FOLLOWERS) - before)
        assert asked == [0.0, 60.0, 120.0, 3720.0]

    async def test_a_probe_that_learns_nothing_waits_half_a_minute(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009), "502", {"follow_user": ["zhangsan"]}]
        with pytest.raises(RateLimited):
            await client.contacts.follow_users()
        watch.second = 60.0
        with pytest.raises(RateLimited):
            await client.contacts.follow_users()
        watch.second = 90.0
        assert await client.contacts.follow_users() == ["zhangsan"]
        assert client.calls.standing() == ()

    async def test_another_refusal_shows_that_the_limit_is_over(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009), refused(48002), {}]
        with pytest.raises(RateLimited):
            await client.contacts.follow_users()
        watch.second = 60.0
        with pytest.raises(NotPermitted):
            await client.contacts.follow_users()
        assert await client.contacts.follow_users() == []

    async def test_a_caller_who_leaves_lets_the_next_one_try(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(45009), "hang", {}]
        with pytest.raises(RateLimited):
            await client.contacts.follow_users()
        watch.second = 60.0
        probe = asyncio.create_task(client.contacts.follow_users())
        await platform.hanging.wait()
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        watch.second = 90.0
        assert await client.contacts.follow_users() == []


class TestTheAppThatIsRefused:
    @pytest.mark.parametrize(
        ("code", "kind"), [(60020, NetworkNotTrusted), (40013, CredentialWrong), (48006, None)]
    )
    async def test_nothing_is_asked_for_a_minute_and_then_once(
        self,
        client: WeComClient,
        platform: Platform,
        watch: Watch,
        code: int,
        kind: type[Exception] | None,
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(code)]
        wanted = kind or CredentialWrong
        with pytest.raises(wanted):
            await client.contacts.follow_users()
        with pytest.raises(wanted):
            await client.contacts.of_member("zhangsan")
        assert platform.count(CONTACTS) == 0
        [standing] = client.calls.standing()
        assert (standing.call, standing.errcode, standing.seconds) == ("", code, 60.0)
        watch.second = 60.0
        assert await client.contacts.of_member("zhangsan") == []
        assert client.calls.standing() == ()

    async def test_a_wrong_secret_is_tried_once_a_minute(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies["gettoken"] = [refused(40001)]
        for second in range(0, 600, 10):
            watch.second = float(second)
            with pytest.raises(CredentialWrong):
                await client.contacts.follow_users()
        assert platform.count("gettoken") == 10
        assert platform.count(FOLLOWERS) == 0

    async def test_where_we_call_from_is_kept_for_who_has_to_allow_it(
        self, client: WeComClient, platform: Platform
    ) -> None:
        said = "not allow to access from your ip, hint: [1571278460_17_5fe1], from ip: 203.0.113.7"
        platform.replies[FOLLOWERS] = [{"errcode": 60020, "errmsg": said}]
        for _ in range(2):
            with pytest.raises(NetworkNotTrusted) as caught:
                await client.contacts.follow_users()
            assert caught.value.address == "203.0.113.7"
        assert platform.count(FOLLOWERS) == 1

    async def test_another_app_of_the_company_goes_on(
        self,
        client: WeComClient,
        http: aiohttp.ClientSession,
        platform: Platform,
        watch: Watch,
    ) -> None:
        platform.replies[FOLLOWERS] = [refused(60020), {}]
        with pytest.raises(NetworkNotTrusted):
            await client.contacts.follow_users()
        other = client_of(http, platform, watch, agent_id=1000003)
        assert await other.contacts.follow_users() == []
        assert platform.count("gettoken") == 2


class TestPace:
    def test_a_bucket_waits_a_little_and_refuses_to_wait_long(self, watch: Watch) -> None:
        bucket = Bucket(Rate(10, 60.0), watch.now)
        assert [bucket.wait("x") for _ in range(10)] == [0.0] * 10
        assert bucket.wait("x") == pytest.approx(6.0)
        with pytest.raises(RateLimited) as caught:
            bucket.wait("x")
        assert caught.value.retry_after == pytest.approx(12.0)
        watch.second = 60.0
        assert bucket.wait("x") == 0.0

    async def test_ten_moments_a_minute(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies["externalcontact/add_moment_task"] = [{"jobid": "job"}]
        for _ in range(11):
            await ToCustomers(client).moment(Moment("周报"))
        assert watch.waits == [pytest.approx(6.0)]
        with pytest.raises(RateLimited):
            await ToCustomers(client).moment(Moment("周报"))
        assert platform.count("externalcontact/add_moment_task") == 11

    async def test_no_more_than_twenty_of_one_name_at_once(
        self, client: WeComClient, platform: Platform
    ) -> None:
        await asyncio.gather(*(client.contacts.follow_users() for _ in range(60)))
        assert platform.count(FOLLOWERS) >= 60
        assert 1 < platform.most_at_once <= 20

    async def test_too_many_at_once_is_waited_out_even_by_a_creation(
        self, client: WeComClient, platform: Platform, watch: Watch
    ) -> None:
        platform.replies[CREATE] = [refused(45033), refused(45033), {"msgid": "msg1"}]
        assert (await ToCustomers(client).mass_send(MESSAGE)).msgid == "msg1"
        assert len(watch.waits) == 2
        assert client.calls.standing() == ()

    async def test_a_slow_platform_is_not_taken_for_a_limit(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[FOLLOWERS] = ["502"]
        with pytest.raises(Unreachable):
            await client.contacts.follow_users()
        assert client.calls.standing() == ()

"""What goes wrong on purpose, what time it is, and apps with keys and rights of their own."""

import asyncio
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from tests.wecom.test_simulator import CHEN, CORP, LI, NOON, WU, Platform, a_platform
from wecom.simulator import App

FOLLOWERS = "externalcontact/get_follow_user_list"
OTHER_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


async def edits(platform: Platform, count: int) -> list[int]:
    """So many remarks, a second apart; the times of the callbacks that came, in their order."""
    platform.receiver.xml.clear()
    url = f"{platform.base}/control/edit_remark"
    for number in range(count):
        wish = {"userid": LI, "external_userid": CHEN, "remark": f"第 {number} 次"}
        await platform.http.post(url, json=wish)
        platform.now += timedelta(seconds=1)
    await platform.control("settle")
    return [int(event["CreateTime"]) for event in platform.receiver.take()]


async def status(platform: Platform, path: str = FOLLOWERS) -> int:
    """The HTTP status of a call."""
    token = await platform.token()
    async with platform.http.get(f"{platform.base}/cgi-bin/{path}?access_token={token}") as answer:
        return answer.status


async def test_a_share_of_the_callbacks_is_lost_the_same_ones_for_the_same_seed():
    async with a_platform() as platform:
        seen = []
        for _ in range(2):
            await platform.control("faults", clear=True, callbacks={"drop_rate": 0.3, "seed": 7})
            start = int(platform.now.timestamp())
            seen.append([at - start for at in await edits(platform, 40)])
        await platform.control("faults", clear=True)
        assert len(await edits(platform, 10)) == 10
    assert seen[0] == seen[1]
    assert 20 <= len(seen[0]) < 36


async def test_a_doubled_callback_can_come_many_times():
    async with a_platform() as platform:
        await platform.control("faults", callbacks={"duplicate": 1, "copies": 10})
        assert len(await edits(platform, 1)) == 10


async def test_a_late_callback_comes_when_its_time_has_come_on_the_platforms_clock():
    async with a_platform() as platform:
        await platform.control("faults", callbacks={"delay": 1, "delay_seconds": 3600})
        first, second = NOON.timestamp(), NOON.timestamp() + 1
        assert await edits(platform, 2) == [second]
        await platform.control("clock", forward_seconds=3600)
        assert [int(event["CreateTime"]) for event in platform.receiver.take()] == [first]


async def test_a_late_callback_can_wait_until_it_is_released():
    async with a_platform() as platform:
        await platform.control("faults", callbacks={"delay": 2})
        assert await edits(platform, 2) == []
        await platform.control("clock", forward_seconds=86400)
        assert platform.receiver.take() == []
        assert (await platform.control("release"))["released"] == 2
        assert len(platform.receiver.take()) == 2


async def test_late_callbacks_come_out_of_order_when_each_has_its_own_delay():
    async with a_platform() as platform:
        late = {"delay_rate": 1, "delay_seconds": 60, "delay_up_to": 86400, "seed": 5}
        await platform.control("faults", callbacks=late)
        assert await edits(platform, 10) == []
        times = []
        for _ in range(25):
            await platform.control("clock", forward_seconds=3600)
            times += [int(event["CreateTime"]) for event in platform.receiver.take()]
    assert len(times) == 10
    assert times != sorted(times)


async def test_a_receiver_that_does_not_answer_in_time_is_called_again():
    async with a_platform(callback_timeout_seconds=0.05) as platform:
        platform.receiver.hold.clear()
        working = asyncio.create_task(edits(platform, 1))
        while not (await platform.get("control/state"))["deliveries"]:
            pass
        while not (await platform.get("control/state"))["deliveries"][0]["answers"]:
            pass
        platform.receiver.hold.set()
        await working
        [delivery] = (await platform.get("control/state"))["deliveries"]
    assert delivery["answers"][0] == 0
    assert delivery["answers"][-1] == 200


async def test_one_line_keeps_the_order_and_more_lines_deliver_side_by_side():
    async with a_platform() as platform:
        assert (await platform.control("lines", lines=8))["lines"] == 8
        platform.receiver.hold.clear()
        working = asyncio.create_task(edits(platform, 8))
        while platform.receiver.open < 8:
            await platform.get("control/calls")
        platform.receiver.hold.set()
        await working
        assert platform.receiver.most_open == 8
        await platform.control("lines", lines=1)
        platform.receiver.most_open = 0
        times = await edits(platform, 8)
    assert times == sorted(times)
    assert platform.receiver.most_open == 1


@pytest.mark.parametrize("answer", ["500", "502", "503"])
async def test_calls_answer_server_errors(answer: str):
    async with a_platform() as platform:
        await platform.control("faults", api=[{"path": FOLLOWERS, "answer": answer}])
        assert [await status(platform), await status(platform)] == [int(answer), 200]


@pytest.mark.parametrize("answer", ["half", "lost", "reset"])
async def test_answers_break_off(answer: str):
    async with a_platform() as platform:
        body = {"sender": LI, "external_userid": [WU], "text": {"content": "利率提醒"}}
        path = "externalcontact/add_msg_template"
        await platform.control("faults", api=[{"path": path, "answer": answer}])
        with pytest.raises(aiohttp.ClientError):
            await platform.api(path, body)
        # A reset call was never carried out; the other two were.
        assert len(platform.world.tasks) == (answer != "reset")


async def test_a_share_of_the_calls_fails_until_it_is_cleared():
    async with a_platform() as platform:
        fault = {"path": FOLLOWERS, "rate": 0.5, "answer": -1}
        await platform.control("faults", api=[fault], seed=3)
        codes = [(await platform.api(FOLLOWERS))["errcode"] for _ in range(40)]
        assert 8 < codes.count(-1) < 32
        await platform.control("faults", clear=True)
        assert (await platform.api(FOLLOWERS))["errcode"] == 0


async def test_over_the_rate_an_address_is_shut_for_a_minute():
    async with a_platform() as platform:
        await platform.control("settings", calls_per_minute={FOLLOWERS: 3, "": 0})
        codes = [(await platform.api(FOLLOWERS))["errcode"] for _ in range(4)]
        assert codes == [0, 0, 0, 45009]
        assert (await platform.api("externalcontact/list", userid=LI))["errcode"] == 0
        platform.now += timedelta(seconds=59)
        assert (await platform.api(FOLLOWERS))["errcode"] == 45009
        blocked = (await platform.get("control/calls"))["blocked"]
        assert list(blocked) == [FOLLOWERS]
        await platform.control("clock", forward_seconds=1)
        assert (await platform.api(FOLLOWERS))["errcode"] == 0


async def test_over_the_hourly_rate_it_is_shut_for_an_hour():
    async with a_platform() as platform:
        await platform.control("settings", calls_per_hour={FOLLOWERS: 2})
        codes = [(await platform.api(FOLLOWERS))["errcode"] for _ in range(3)]
        platform.now += timedelta(minutes=59)
        codes.append((await platform.api(FOLLOWERS))["errcode"])
        platform.now += timedelta(minutes=1)
        codes.append((await platform.api(FOLLOWERS))["errcode"])
    assert codes == [0, 0, 45009, 45009, 0]


async def test_guessing_secrets_shuts_the_token_address():
    async with a_platform() as platform:
        await platform.control("settings", wrong_secrets=2)
        token = await platform.token()
        query = {"corpid": CORP.corp_id, "corpsecret": "guess"}
        codes = [(await platform.get("cgi-bin/gettoken", **query))["errcode"] for _ in range(3)]
        query["corpsecret"] = CORP.secret
        codes.append((await platform.get("cgi-bin/gettoken", **query))["errcode"])
        assert codes == [40001, 40001, 45009, 45009]
        platform.now += timedelta(hours=1)
        assert await platform.token() == token


async def test_too_many_calls_at_once_are_refused():
    async with a_platform() as platform:
        await platform.control("settings", calls_at_once=1)
        token = await platform.token()
        url = f"{platform.base}/cgi-bin/externalcontact/remark?access_token={token}"
        half_sent = asyncio.Event()
        finish = asyncio.Event()

        async def slowly() -> Any:
            yield b'{"userid":'
            half_sent.set()
            await finish.wait()
            yield b'"LiMin"}'

        first = asyncio.create_task(platform.http.post(url, data=slowly()))
        await half_sent.wait()
        codes: list[int] = []
        while not codes or codes[-1] != 45033:
            async with platform.http.post(url, data=b"{}") as response:
                codes.append((await response.json())["errcode"])
        finish.set()
        async with await first as response:
            assert (await response.json())["errcode"] == 40096


async def test_callers_outside_the_trusted_addresses_are_refused():
    async with a_platform() as platform:
        await platform.control("settings", trusted_ips=["203.0.113.9"])
        assert (await platform.api(FOLLOWERS))["errcode"] == 60020
        await platform.control("settings", trusted_ips=["127.0.0.1"])
        assert (await platform.api(FOLLOWERS))["errcode"] == 0


async def test_the_platforms_clock_moves_and_answers_are_dated_by_it():
    async with a_platform() as platform:
        token = await platform.token()
        moved = await platform.control("clock", forward_seconds=7201)
        assert moved["now"].startswith("2026-03-02T06:00:01")
        url = f"{platform.base}/cgi-bin/{FOLLOWERS}?access_token={token}"
        async with platform.http.get(url) as response:
            assert (await response.json())["errcode"] == 42001
            dated = parsedate_to_datetime(response.headers["Date"])
        assert dated == NOON + timedelta(seconds=7201)


async def test_the_log_of_calls_counts_what_was_answered():
    async with a_platform() as platform:
        await platform.api(FOLLOWERS)
        await platform.control("faults", api=[{"path": FOLLOWERS, "answer": 45009}])
        await platform.api(FOLLOWERS)
        log = await platform.get("control/calls")
    newest = log["calls"][0]
    assert (newest["path"], newest["errcode"], newest["fault"]) == (FOLLOWERS, 45009, "45009")
    assert newest["agent_id"] == CORP.agent_id
    counted = {(row["path"], row["errcode"]): row["count"] for row in log["counts"]}
    assert counted[FOLLOWERS, 0] == counted[FOLLOWERS, 45009] == 1


def another_app(**options: Any) -> App:
    """A second app of the bank."""
    return App(1000003, "other-secret", "otherToken", OTHER_KEY, **options)


async def test_every_entitled_app_hears_of_customers_with_its_own_keys():
    for_service_only = App(1000004, "third", "third", OTHER_KEY, functions=frozenset({"service"}))
    async with a_platform(apps=(another_app(), for_service_only)) as platform:
        [event] = await platform.events("delete_follow", userid=LI, external_userid=WU)
        [same] = platform.others[1000003].take()
        assert event == same
        assert platform.others[1000004].take() == []
        refused = await platform.api(FOLLOWERS, secret="third")
        assert refused["errcode"] == 48002
        assert (await platform.api("kf/account/list", {}, secret="third"))["errcode"] != 48002


async def test_tokens_and_tickets_belong_to_one_app():
    async with a_platform(apps=(another_app(),)) as platform:
        mine, theirs = await platform.token(), await platform.token("other-secret")
        assert mine != theirs
        ticket = await platform.api("ticket/get", type="agent_config")
        other = await platform.api("ticket/get", type="agent_config", secret="other-secret")
        assert ticket["ticket"] != other["ticket"]
        await platform.control("invalidate_token", agent_id=1000003)
        assert await platform.token() == mine
        assert await platform.token("other-secret") != theirs


async def test_an_app_knows_only_the_members_in_its_range():
    app = another_app(visible=frozenset({LI}))
    async with a_platform(apps=(app,)) as platform:
        secret = "other-secret"
        assert (await platform.api(FOLLOWERS, secret=secret))["follow_user"] == [LI]
        path = "externalcontact/list"
        assert (await platform.api(path, userid="ZhouYan", secret=secret))["errcode"] == 60011
        await platform.control("delete_follow", userid=LI, external_userid=CHEN)
        platform.others[1000003].take()
        path = "externalcontact/get"
        assert (await platform.api(path, external_userid=CHEN, secret=secret))["errcode"] == 84061
        assert (await platform.api(path, external_userid=CHEN))["errcode"] == 0
        await platform.events("delete_follow", userid="ZhouYan", external_userid=CHEN)
        assert platform.others[1000003].take() == []


async def test_a_new_key_counts_from_the_next_callback_on():
    async with a_platform() as platform:
        assert (await platform.control("app", token="fresh", aes_key=OTHER_KEY))["status"] == 200
        platform.receiver.token, platform.receiver.aes_key = "fresh", OTHER_KEY
        [event] = await platform.events("delete_follow", userid=LI, external_userid=WU)
        assert event["ChangeType"] == "del_follow_user"
        async with platform.http.post(f"{platform.base}/control/verify_callback") as response:
            assert (await response.json())["ok"]


async def test_a_wish_nobody_understands_is_refused():
    async with a_platform() as platform:
        wrong = [
            await platform.control("faults", api=[{"answer": "explode"}]),
            await platform.control("lines", lines=0),
            await platform.control("settings", mass_send_quotas="daily"),
            await platform.control("clock"),
        ]
    assert [answer["status"] for answer in wrong] == [400] * 4

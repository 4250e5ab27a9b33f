"""Whatever an answer looks like: a value, or a WeComError; never anything else."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wecom.doors import NOON, RECORDED
from wecom.client import WeComClient
from wecom.contact_ways import ContactWay
from wecom.errors import WeComError
from wecom.group_welcomes import GroupWelcome
from wecom.join_ways import JoinWay
from wecom.mass_sends import MassSend
from wecom.messages import Text
from wecom.moments import Moment
from wecom.rules import Rule
from wecom.service_messages import ServiceState, ServiceText
from wecom.to_customers import ToCustomers

Act = Callable[[WeComClient], Awaitable[object]]


async def all_of(values: AsyncIterator[object]) -> list[object]:
    """What an iterator yields."""
    return [value async for value in values]


RECORDS: dict[str, Any] = {}
for file in sorted(RECORDED.glob("*.json")):
    RECORDS |= json.loads(file.read_text())

ACTS: dict[str, Act] = {
    "externalcontact/get_follow_user_list": lambda c: c.contacts.follow_users(),
    "externalcontact/list": lambda c: c.contacts.of_member("z"),
    "externalcontact/get": lambda c: c.contacts.get("wm"),
    "externalcontact/batch/get_by_user": lambda c: all_of(c.contacts.relations(["z"])),
    "externalcontact/get_corp_tag_list": lambda c: c.tags.all(),
    "externalcontact/add_corp_tag": lambda c: c.tags.create(["a"], group_name="g"),
    "externalcontact/add_contact_way": lambda c: c.contact_ways.create(ContactWay(("z",), "s")),
    "externalcontact/get_contact_way": lambda c: c.contact_ways.get("id"),
    "externalcontact/list_contact_way": lambda c: c.contact_ways.listed(NOON, NOON),
    "externalcontact/customer_acquisition/list_link": lambda c: c.links.all(),
    "externalcontact/customer_acquisition/get": lambda c: c.links.get("ca"),
    "externalcontact/customer_acquisition/create_link": lambda c: c.links.create("n", ["z"]),
    "externalcontact/customer_acquisition/customer": lambda c: all_of(c.links.customers("ca")),
    "externalcontact/customer_acquisition_quota": lambda c: c.links.quota(),
    "externalcontact/customer_acquisition/statistic": lambda c: c.links.statistic("ca", NOON, NOON),
    "externalcontact/customer_acquisition/get_chat_info": lambda c: c.links.chat_info("key"),
    "externalcontact/group_welcome_template/add": lambda c: ToCustomers(c).group_welcome(
        GroupWelcome("您好")
    ),
    "externalcontact/group_welcome_template/get": lambda c: c.group_welcomes.get("id"),
    "externalcontact/groupchat/list": lambda c: c.groups.listed(),
    "externalcontact/groupchat/get": lambda c: c.groups.get("wr"),
    "externalcontact/groupchat/add_join_way": lambda c: c.groups.create_join_way(JoinWay(("wr",))),
    "externalcontact/groupchat/get_join_way": lambda c: c.groups.join_way("id"),
    "externalcontact/groupchat/statistic": lambda c: c.groups.statistics(NOON, NOON, ["z"]),
    "externalcontact/groupchat/statistic_group_by_day": lambda c: c.groups.statistics_by_day(
        NOON, NOON, ["z"]
    ),
    "externalcontact/groupchat/transfer": lambda c: c.groups.transfer(["wr"], "z"),
    "externalcontact/opengid_to_chatid": lambda c: c.groups.id_of_opengid("og"),
    "externalcontact/add_msg_template": lambda c: ToCustomers(c).mass_send(
        MassSend("z", ("wm",), "t")
    ),
    "externalcontact/get_groupmsg_list_v2": lambda c: c.mass_sends.listed(NOON, NOON),
    "externalcontact/get_groupmsg_task": lambda c: c.mass_sends.tasks("m"),
    "externalcontact/get_groupmsg_send_result": lambda c: c.mass_sends.results("m", "z"),
    "externalcontact/add_moment_task": lambda c: ToCustomers(c).moment(Moment("t")),
    "externalcontact/get_moment_task_result": lambda c: c.moments.job("j"),
    "externalcontact/get_moment_list": lambda c: c.moments.listed(NOON, NOON),
    "externalcontact/get_moment_task": lambda c: c.moments.tasks("mom"),
    "externalcontact/get_moment_customer_list": lambda c: all_of(c.moments.customers("mom", "z")),
    "externalcontact/get_moment_send_result": lambda c: all_of(c.moments.results("mom", "z")),
    "externalcontact/get_moment_comments": lambda c: c.moments.comments("mom", "z"),
    "externalcontact/add_intercept_rule": lambda c: c.rules.create(Rule("n", ("w",), ("z",))),
    "externalcontact/get_intercept_rule": lambda c: c.rules.get("id"),
    "externalcontact/get_intercept_rule_list": lambda c: c.rules.all(),
    "externalcontact/transfer_customer": lambda c: c.transfers.request("a", "b", ["wm"]),
    "externalcontact/transfer_result": lambda c: all_of(c.transfers.results("a", "b")),
    "externalcontact/get_unassigned_list": lambda c: all_of(c.transfers.unassigned()),
    "externalcontact/get_user_behavior_data": lambda c: c.behaviour.of(["z"], NOON, NOON),
    "message/send": lambda c: c.messages.send(["z"], Text("t")),
    "message/update_template_card": lambda c: c.messages.update_card(["z"], "rc", button="b"),
    "media/upload": lambda c: c.media.upload("file", "a.pdf", b"123456"),
    "media/uploadimg": lambda c: c.media.upload_image("a.png", b"123456"),
    "media/get": lambda c: c.media.get("m"),
    "kf/account/list": lambda c: c.service.accounts(),
    "kf/add_contact_way": lambda c: c.service.contact_way("wk"),
    "kf/sync_msg": lambda c: c.service.sync("wk", ""),
    "kf/send_msg": lambda c: ToCustomers(c).answer("wk", "wm", ServiceText("t"), "m1"),
    "kf/send_msg_on_event": lambda c: ToCustomers(c).answer_event("code", ServiceText("t"), "m1"),
    "kf/service_state/get": lambda c: c.service.state("wk", "wm"),
    "kf/service_state/trans": lambda c: c.service.move("wk", "wm", ServiceState.ENDED),
    "kf/servicer/list": lambda c: c.service.servicers("wk"),
    "kf/servicer/add": lambda c: c.service.add_servicers("wk", ["z"]),
    "kf/customer/batchget": lambda c: c.service.customers(["wm"]),
    "msgaudit/get_permit_user_list": lambda c: c.archive_consent.permitted(),
    "msgaudit/check_single_agree": lambda c: c.archive_consent.single([("z", "wm")]),
    "msgaudit/check_room_agree": lambda c: c.archive_consent.room("wr"),
    "auth/getuserinfo": lambda c: c.sign_in.member_of_code("code"),
    "auth/getuserdetail": lambda c: c.sign_in.detail("ticket"),
    "gettoken": lambda c: c.contacts.follow_users(),
    "get_jsapi_ticket": lambda c: c.tickets.page(),
    "ticket/get": lambda c: c.tickets.agent(),
    "getcallbackip": lambda c: c.platform.time(),
}

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**18, max_value=10**30),
    st.floats(allow_nan=True),
    st.text(max_size=5),
    st.sampled_from(["\ud800", "x\udfff", "", "null"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in an answer."""
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [place for key, one in inside for place in ((*path, key), *places(one, (*path, key)))]


def changed(answer: Any, place: tuple[Any, ...], value: object, *, gone: bool) -> Any:
    """The answer with something else, or nothing, in one place."""
    copy = json.loads(json.dumps(answer))
    spot = copy
    for key in place[:-1]:
        spot = spot[key]
    if gone:
        del spot[place[-1]]
    else:
        spot[place[-1]] = value
    return copy


@st.composite
def bodies(draw: st.DrawFn, path: str) -> bytes:
    """An answer to a call: of the documented shape with up to three things wrong, or no JSON."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.binary(max_size=40))
    answer = RECORDS.get(path) or {"errcode": 0, "errmsg": "ok", "x": 1}
    for _ in range(draw(st.integers(1, 3))):
        where = places(answer)
        if not where:
            break
        place = draw(st.sampled_from(where))
        answer = changed(answer, place, draw(ODD), gone=draw(st.booleans()))
    return json.dumps(answer).encode()


class Wire:
    """A platform that gives one call any answer at all."""

    def __init__(self) -> None:
        self.path, self.body = "", b""

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/cgi-bin/")
        if path == self.path:
            return web.Response(body=self.body, content_type="application/json")
        return web.json_response(RECORDS[path])


@asynccontextmanager
async def clients(wire: Wire) -> AsyncIterator[Callable[[], WeComClient]]:
    """New clients of that platform, none of which knows what the others met."""

    async def at_once(_: float) -> None:
        return

    app = web.Application(client_max_size=32 << 20)
    app.router.add_route("*", "/{path:.*}", wire.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        yield lambda: WeComClient(
            http,
            base_url=str(server.make_url("/")),
            corp_id="ww",
            agent_id=1,
            secret="s",
            now=lambda: 0.0,
            sleep=at_once,
        )


@pytest.mark.parametrize("path", ACTS)
def test_no_answer_raises_anything_but_a_wecom_error(path: str) -> None:
    wire, loop = Wire(), asyncio.new_event_loop()
    opened = clients(wire)
    new_client = loop.run_until_complete(opened.__aenter__())

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(body=bodies(path))
    def any_answer(body: bytes) -> None:
        wire.path, wire.body = path, body
        with suppress(WeComError):
            loop.run_until_complete(_act(new_client()))

    async def _act(client: WeComClient) -> object:
        return await ACTS[path](client)

    any_answer()
    loop.run_until_complete(opened.__aexit__(None, None, None))
    loop.close()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"errcode": 0, "follow_user": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"errcode": ' + b"9" * 5000 + b"}",
        b'{"errcode": true}',
        b'{"errcode": NaN}',
        b'{"errcode": 0, "follow_user": ["\\ud800"]}',
        b"\xff\xfe",
        b"",
    ],
)
async def test_answers_made_to_break_a_reader(body: bytes) -> None:
    wire = Wire()
    wire.path, wire.body = "externalcontact/get_follow_user_list", body
    async with clients(wire) as new_client:
        with pytest.raises(WeComError):
            await new_client().contacts.follow_users()

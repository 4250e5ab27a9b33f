"""Every call, made at the simulator and at answers as the manual prints them: the same types."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.wecom.doors import NOON, PNG, Door, recorded, simulator
from wecom.archive_consent import Consent
from wecom.attachments import Link
from wecom.behaviour import BehaviourDay
from wecom.cards import Button, ButtonCard, Page, TextNotice, Title
from wecom.contact_ways import ContactWay, ContactWayCreated, ContactWayFound
from wecom.contacts import Contact, Relation, Remark
from wecom.group_figures import GroupFigures
from wecom.group_welcomes import GroupWelcome
from wecom.groups import Group, GroupListed, GroupMember, NotMoved
from wecom.join_ways import JoinWay, JoinWayFound
from wecom.links import ChatInfo, LinkCustomer, LinkFigures, Quota
from wecom.links import Link as AcquisitionLink
from wecom.mass_sends import MassSend, MassSendCreated, MassSendRecord, MassSendResult, MassSendTask
from wecom.messages import MessageSent, Text
from wecom.moments import (
    Moment,
    MomentCustomer,
    MomentJob,
    MomentRecord,
    MomentTask,
    Reactions,
)
from wecom.rules import Pattern, Rule, RuleFound, RuleListed
from wecom.service import ServiceAccount, ServiceCustomer, ServicePage, Servicer
from wecom.service_messages import Choice, Menu, ServiceMessage, ServiceState, ServiceText
from wecom.sign_in import MemberDetail
from wecom.simulator.login import MEMBER_COOKIE
from wecom.tags import CompanyTag, TagGroup
from wecom.to_customers import ToCustomers
from wecom.transfers import TransferAsked, TransferResult, Unassigned

MONTH = timedelta(days=29)
SOON = timedelta(hours=1)


@pytest.fixture(params=["simulator", "recorded"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    """A platform: the simulator, or the manual."""
    opened = simulator() if request.param == "simulator" else recorded()
    async with opened as one:
        yield one


def all_of(kind: type, values: object) -> bool:
    """Whether there is at least one, and every one is of this type."""
    assert isinstance(values, list | tuple)
    assert values, f"no {kind.__name__}"
    return all(type(value) is kind for value in values)


class TestTheCalls:
    async def test_contacts(self, door: Door) -> None:
        contacts = door.client.contacts
        assert all_of(str, await contacts.follow_users())
        assert all_of(str, await contacts.of_member(door.member))
        person = await contacts.get(door.customer)
        assert type(person) is Contact
        assert person.follows
        assert all_of(Relation, [one async for one in contacts.relations([door.member])])
        await contacts.set_remark(Remark(door.member, door.customer, "陈总", mobiles=()))

    async def test_tags(self, door: Door) -> None:
        tags = door.client.tags
        made = await tags.create(["稳健型"], group_name="风险偏好")
        assert type(made) is TagGroup
        assert all_of(CompanyTag, made.tags)
        assert all_of(TagGroup, await tags.all())
        tag = made.tags[0].id
        await tags.rename(tag, "平衡型")
        await tags.mark(door.member, door.customer, add=[tag])
        await tags.mark(door.member, door.customer, remove=[tag])
        await tags.delete([tag])

    async def test_contact_ways(self, door: Door) -> None:
        ways = door.client.contact_ways
        made = await ways.create(ContactWay((door.member,), "hz-01", "大堂易拉宝"))
        assert type(made) is ContactWayCreated
        assert made.qr_code
        found = await ways.get(made.config_id)
        assert type(found) is ContactWayFound
        assert found.config_id == made.config_id
        assert made.config_id in await ways.listed(NOON - MONTH, NOON + SOON)
        await ways.update(made.config_id, ContactWay((door.other,), "hz-02"))
        await ways.delete(made.config_id)

    async def test_links(self, door: Door) -> None:
        links = door.client.links
        made = await links.create("三月沙龙", [door.member])
        assert type(made) is AcquisitionLink
        assert "customer_channel=%E6%B2%99%E9%BE%99" in made.for_channel("沙龙")
        assert all_of(str, await links.all())
        link_id = (await links.get(made.link_id)).link_id
        came = await door.hand("tap_link", link_id=link_id, name="林女士", channel="salon")
        assert all_of(LinkCustomer, [one async for one in links.customers(link_id)])
        assert type(await links.quota()) is Quota
        assert type(await links.statistic(link_id, NOON - MONTH, NOON + SOON)) is LinkFigures
        key = "CHATKEY"
        if door.world:
            who, to = came["external_userid"], came["userid"]
            await door.hand("message", **{"from": who, "to": to, "text": "您好"})
            await door.hand("message", **{"from": who, "to": to, "text": "在吗"})
            key = next(iter(door.world.chat_keys))
        assert type(await links.chat_info(key)) is ChatInfo
        await links.update(link_id, "四月沙龙", [door.other])
        await links.delete(link_id)

    async def test_welcomes(self, door: Door) -> None:
        came = await door.hand("add_contact", userid=door.member, name="林女士")
        page = Link("本周市场回顾", "https://bank.example/weekly")
        await ToCustomers(door.client).welcome(came["welcome_code"], "您好", (page,))
        templates = door.client.group_welcomes
        made = await ToCustomers(door.client).group_welcome(GroupWelcome("欢迎 %NICKNAME%", page))
        assert type(await templates.get(made)) is GroupWelcome
        await ToCustomers(door.client).edit_group_welcome(made, GroupWelcome("欢迎您"))
        await templates.delete(made)

    async def test_groups(self, door: Door) -> None:
        groups, chat_id = door.client.groups, await door.group()
        assert all_of(GroupListed, await groups.listed([door.member]))
        group = await groups.get(chat_id)
        assert type(group) is Group
        assert all_of(GroupMember, group.members)
        assert any(member.is_customer for member in group.members)
        assert len(group.member_version) == 32
        figures = await groups.statistics(NOON - MONTH, NOON, [door.member])
        assert all_of(GroupFigures, figures)
        daily = await groups.statistics_by_day(NOON - MONTH, NOON, [door.member])
        assert all_of(GroupFigures, daily)
        assert all(figure.day for figure in daily)
        stayed = await groups.transfer([chat_id], door.other)
        assert all_of(NotMoved, stayed)
        assert isinstance(await groups.transfer_in_service([chat_id], door.other), list)

    async def test_join_ways(self, door: Door) -> None:
        groups, chat_id = door.client.groups, await door.group()
        made = await groups.create_join_way(JoinWay((chat_id,), "salon-03", "沙龙"))
        found = await groups.join_way(made)
        assert type(found) is JoinWayFound
        assert found.qr_code
        await groups.update_join_way(made, JoinWay((chat_id,), "salon-04"))
        await groups.delete_join_way(made)

    async def test_mass_sends(self, door: Door) -> None:
        sends = door.client.mass_sends
        made = await ToCustomers(door.client).mass_send(
            MassSend(door.member, (door.customer,), "固收周报已更新")
        )
        assert type(made) is MassSendCreated
        assert all_of(MassSendRecord, await sends.listed(NOON - MONTH, NOON + SOON))
        assert all_of(MassSendTask, await sends.tasks(made.msgid))
        assert all_of(MassSendResult, await sends.results(made.msgid, door.member))
        await sends.remind(made.msgid)
        await sends.cancel(made.msgid)
        await sends.cancel(made.msgid)

    async def test_a_mass_send_to_a_group(self, door: Door) -> None:
        sends, chat_id = door.client.mass_sends, await door.group()
        made = await ToCustomers(door.client).mass_send(
            MassSend(door.member, (), "本周答疑", chat_ids=(chat_id,))
        )
        results = await sends.results(made.msgid, door.member)
        assert all_of(MassSendResult, results)
        assert all(result.chat_id for result in results)

    async def test_moments(self, door: Door) -> None:
        moments = door.client.moments
        job = await ToCustomers(door.client).moment(Moment("市场周报", senders=(door.member,)))
        if door.simulated:
            await door.hand("clock", forward_seconds=60)
        done = await moments.job(job)
        assert type(done) is MomentJob
        assert done.finished
        assert all_of(MomentRecord, await moments.listed(NOON - MONTH, NOON + SOON))
        assert all_of(MomentTask, await moments.tasks(done.moment_id))
        published = {"moment_id": done.moment_id, "userid": door.member}
        await door.hand("publish_moment", **published)
        reaction = {"external_userid": door.customer, "kind": "like"}
        await door.hand("react_to_moment", **published, **reaction)
        customers = [one async for one in moments.customers(done.moment_id, door.member)]
        assert all_of(MomentCustomer, customers)
        assert all_of(str, [one async for one in moments.results(done.moment_id, door.member)])
        reactions = await moments.comments(done.moment_id, door.member)
        assert type(reactions) is Reactions
        assert reactions.likes
        await moments.cancel(done.moment_id)

    async def test_rules(self, door: Door) -> None:
        rules = door.client.rules
        rule = Rule("承诺收益", ("保本", "稳赚"), (door.member,), patterns=(Pattern.PHONE,))
        made = await rules.create(rule)
        assert type(await rules.get(made)) is RuleFound
        assert all_of(RuleListed, await rules.all())
        await rules.update(made, Rule("承诺收益", ("保本",), (door.other,), blocks=False))
        await rules.delete(made)

    async def test_transfers(self, door: Door) -> None:
        transfers, people = door.client.transfers, (door.member, door.other)
        assert all_of(TransferAsked, await transfers.request(*people, [door.customer], "您好"))
        assert all_of(TransferResult, [one async for one in transfers.results(*people)])
        await door.hand("resign", userid=door.member)
        assert all_of(Unassigned, [one async for one in transfers.unassigned()])
        assert all_of(TransferAsked, await transfers.request_resigned(*people, ["wmWu"]))
        assert all_of(TransferResult, [one async for one in transfers.results_resigned(*people)])

    async def test_behaviour(self, door: Door) -> None:
        days = await door.client.behaviour.of([door.member], NOON - MONTH, NOON)
        assert all_of(BehaviourDay, days)

    async def test_messages(self, door: Door) -> None:
        messages = door.client.messages
        assert type(await messages.send([door.member], Text("有新任务"))) is MessageSent
        card = ButtonCard(Title("请接手"), (Button("接手", "take"),), "task-1")
        sent = await messages.send([door.member], card)
        assert sent.response_code
        lost = await messages.update_card([door.member], sent.response_code, button="已接手")
        assert isinstance(lost, tuple)
        await messages.recall(sent.msgid)

    async def test_a_card_that_takes_the_place_of_another(self, door: Door) -> None:
        messages = door.client.messages
        card = ButtonCard(Title("请接手"), (Button("接手", "take"),), "task-2")
        sent = await messages.send([door.member], card)
        told = TextNotice(Title("已由周岩接手"), Page("https://bank.example/tasks"))
        await messages.update_card([door.member], sent.response_code, card=told)

    async def test_media(self, door: Door) -> None:
        media = door.client.media
        media_id = await media.upload("image", "封面.png", PNG)
        assert await media.get(media_id) == PNG
        assert (await media.upload_image("封面.png", PNG)).startswith("http")
        assert await media.upload_attachment("image", "封面.png", PNG)

    async def test_service(self, door: Door) -> None:
        service, kfid = door.client.service, await door.service()
        to_customers = ToCustomers(door.client)
        assert all_of(ServiceAccount, await service.accounts())
        assert (await service.contact_way(kfid, "hall", scene_param="a=1")).endswith("=a%3D1")
        who = (await door.hand("service_enter", open_kfid=kfid, name="林女士"))["external_userid"]
        await door.hand("service_write", open_kfid=kfid, external_userid=who, text="在吗")
        page = await service.sync(kfid, "")
        assert type(page) is ServicePage
        assert all_of(ServiceMessage, page.messages)
        assert {"event", "text"} <= {message.kind for message in page.messages}
        assert all(message.external_userid for message in page.messages)
        event = next(message.event for message in page.messages if message.event)
        menu = Menu((Choice("1", "转人工"),), "您好，请选择")
        assert await to_customers.answer_event(event.welcome_code, menu, "hello-1")
        assert await to_customers.answer(kfid, who, ServiceText("您好"), "answer-1")
        assert all_of(ServiceCustomer, await service.customers([who]))
        await service.move(kfid, who, ServiceState.SERVICER, door.member)
        assert await service.state(kfid, who) is ServiceState.SERVICER
        assert (await service.standing(kfid, who)).servicer
        assert await service.add_servicers(kfid, [door.other]) == []
        assert all_of(Servicer, await service.servicers(kfid))
        assert await service.remove_servicers(kfid, [door.other]) == []

    async def test_consent_to_the_archive(self, door: Door) -> None:
        consent, chat_id = door.client.archive_consent, await door.group()
        assert all_of(str, await consent.permitted())
        assert all_of(Consent, await consent.single([(door.member, door.customer)]))
        assert all_of(Consent, await consent.room(chat_id))

    async def test_tickets_and_the_platform_itself(self, door: Door) -> None:
        assert await door.client.tickets.page()
        assert await door.client.tickets.agent()
        assert all_of(str, await door.client.platform.callback_addresses())
        assert all_of(str, await door.client.platform.api_addresses())
        assert (await door.client.platform.time()).utcoffset() == timedelta(0)

    async def test_what_a_member_agreed_to_show(self, door: Door) -> None:
        if door.simulated:
            address = f"{door.base}/connect/oauth2/authorize"
            query = {
                "appid": door.client.calls.corp_id,
                "redirect_uri": "http://127.0.0.1:9/back",
                "response_type": "code",
                "scope": "snsapi_privateinfo",
                "state": "s",
                "agentid": str(door.client.calls.agent_id),
            }
            door.http.cookie_jar.update_cookies({MEMBER_COOKIE: door.member})
            async with door.http.get(address, params=query, allow_redirects=False) as response:
                code = response.headers["Location"].partition("code=")[2].partition("&")[0]
        else:
            code = "CODE"
        signed_in = await door.client.sign_in.member_of_code(code)
        assert signed_in.user_ticket
        detail = await door.client.sign_in.detail(signed_in.user_ticket)
        assert type(detail) is MemberDetail

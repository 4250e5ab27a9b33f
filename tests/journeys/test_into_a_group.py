"""Material sent into a customer group by hand: whose group, how often, and who received it."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Opener, Opening, Touchpoint, TrackedLink
from bank.models import Role
from bot.chat import group_messages
from bot.recipients import Sent, received
from content.models import Kind, Material, Version
from customers.models import CustomerGroup, GroupMember
from desk.signed import Signed
from outbound.models import OutboundMessage, OutboundState
from tests.builders import MONDAY, a_staff, an_approved_material
from tests.conftest import Visitor
from tests.sendables import an_office_of, live
from tests.town import Town
from wecom.simulator.opening import PHONE

CHAT = "wrTownGroup"


@pytest.fixture
async def version(town: Town, session: AsyncSession) -> Version:
    """The RM's group with a customer and somebody unknown, and material for groups."""
    group = CustomerGroup(chat_id=CHAT, name="城东理财交流群", owner_userid=town.rm.userid)
    session.add(group)
    await session.flush()
    contact = str(town.customer.external_userid)
    people: dict[str, dict[str, Any]] = {
        contact: {"customer_id": town.customer.id, "nickname": "李女士"},
        "wmStranger": {"nickname": "小周"},
        "wmGone": {"nickname": "已退群", "left_at": MONDAY},
        town.rm.userid: {"is_staff": True},
    }
    session.add_all(
        GroupMember(group_id=group.id, member_id=member, joined_at=MONDAY, **facts)
        for member, facts in people.items()
    )
    made = await an_approved_material(session)
    await session.commit()
    return made


async def clears(visitor: Visitor, version: Version, key: object) -> dict[str, Any]:
    """The last check of one sending."""
    path = f"/sidebar/groups/{CHAT}/messages/{key}/clear"
    told: dict[str, Any] = await (await visitor.post(path, {"version": str(version.id)})).json()
    return told


async def tells(visitor: Visitor, key: object, parts: int = 1) -> int:
    """The page says what the group has taken."""
    path = f"/sidebar/groups/{CHAT}/messages/{key}/sent"
    return (await visitor.post(path, {"parts": parts})).status


async def test_everybody_in_the_group_at_that_moment_is_a_recipient(
    town: Town, session: AsyncSession, version: Version
) -> None:
    sidebar, key = await town.sidebar(), uuid4()
    told = await clears(sidebar, version, key)
    assert told["messages"] == [
        {"msgtype": "text", "enterChat": True, "text": {"content": version.body}}
    ]
    assert await tells(sidebar, key) == 200
    [row] = await town.all(OutboundMessage)
    assert row.state is OutboundState.SENT
    members = {one["member_id"] for one in row.recipients}
    assert members == {str(town.customer.external_userid), "wmStranger"}
    [point] = await town.all(Touchpoint)
    assert (point.customer_id, point.channel) == (town.customer.id, "group")
    officer = await a_staff(session, Role.COMPLIANCE)
    await session.commit()
    who = Signed(officer.id, officer.userid, officer.name, frozenset({Role.COMPLIANCE}), None, "")
    material = await session.get_one(Material, version.material_id)
    told_to = await received(session, Sent(material, version).versions, who, limit=10)
    assert {one.customer for one in told_to} == {"李女士", "小周"}
    desk = await town.client(officer)
    page = await desk.text(f"/system/outbound/{row.id}")
    assert "当时群里 2 位客户，其中 1 位已建档" in page


async def test_the_same_sending_goes_out_once(town: Town, version: Version) -> None:
    sidebar, key = await town.sidebar(), uuid4()
    await clears(sidebar, version, key)
    await tells(sidebar, key)
    assert (await clears(sidebar, version, key))["refused"] == [group_messages.ALREADY]
    assert len(await town.all(OutboundMessage)) == 1


async def test_a_link_into_a_group_says_which_group_and_names_nobody_who_opens_it(
    town: Town, session: AsyncSession, version: Version
) -> None:
    article = await live(await an_office_of(session, town.parts.files), Kind.ARTICLE)
    await session.commit()
    sidebar, key = await town.sidebar(), uuid4()
    await sidebar.text(f"/sidebar/groups/{CHAT}/message?version={article.id}")
    assert await town.all(TrackedLink) == []  # looked at, not sent
    [_, card] = (await clears(sidebar, article, key))["messages"]
    [link] = await town.all(TrackedLink)
    assert card["news"]["link"] == f"{town.base}/r/{link.code}"
    assert (link.source, link.source_id, link.chat_id) == ("group", str(key), CHAT)
    assert (link.customer_id, link.contact) == (None, "")
    async with town.http.get(card["news"]["link"], headers={"User-Agent": PHONE}) as page:
        assert page.status == 200
    await town.parts.radar.write()
    [one] = await town.all(Opening)
    assert (one.opener, one.customer_id, one.code) == (Opener.UNKNOWN, None, link.code)


async def test_a_group_of_somebody_else_is_nobodys_business(
    town: Town, session: AsyncSession, version: Version
) -> None:
    other = await a_staff(session, Role.RM, name="周航")
    await session.commit()
    theirs, key = await town.sidebar(other), uuid4()
    assert "这个群不在您的客户群里" in await theirs.text(f"/sidebar/groups/{CHAT}")
    assert (await clears(theirs, version, key))["refused"] == [group_messages.ANOTHER]
    await clears(await town.sidebar(), version, key)
    assert await tells(theirs, key) == 404
    [row] = await town.all(OutboundMessage)
    assert row.state is OutboundState.CLEARED


async def test_nothing_is_noted_as_sent_without_a_clearance(town: Town, version: Version) -> None:
    assert await tells(await town.sidebar(), uuid4()) == 404
    assert await town.all(Touchpoint) == []


async def test_the_page_says_beforehand_what_stands_against_it(
    town: Town, session: AsyncSession, version: Version
) -> None:
    named = await an_approved_material(session, title="李女士专享", body="李女士，您好，请查收。")
    await session.commit()
    sidebar = await town.sidebar()
    listed = await sidebar.text(f"/sidebar/groups/{CHAT}")
    assert version.title in listed
    assert "只列出前" not in listed
    page = await sidebar.text(f"/sidebar/groups/{CHAT}/message?version={named.id}")
    assert "内容提到了群内客户“李女士”" in page
    assert await town.all(OutboundMessage) == []


async def test_a_list_that_is_cut_says_so(
    town: Town, session: AsyncSession, version: Version
) -> None:
    for number in range(30):
        await an_approved_material(session, title=f"群素材{number}")
    await session.commit()
    sidebar = await town.sidebar()
    assert "只列出前 30 份" in await sidebar.text(f"/sidebar/groups/{CHAT}")
    assert "只列出前" not in await sidebar.text(f"/sidebar/groups/{CHAT}?q={version.title}")

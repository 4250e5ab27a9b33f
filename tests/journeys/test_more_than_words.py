"""An RM sends pictures, films, files and cards: exactly what was approved reaches the phone."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution.models import Touchpoint
from bank.models import Role
from bot.recipients import Sent, received
from content import sendable
from content.models import Kind, Material, StoredFile, Version
from desk.signed import Signed
from knowledge.models import Suggestion, SuggestionState
from outbound import media
from outbound.attachments import Attached
from outbound.models import OutboundMessage, OutboundState, UploadedMedia
from tests.builders import MONDAY, a_staff
from tests.conftest import Visitor
from tests.content.worlds import Office
from tests.sendables import CARDS, COVER, FILM, PAPER, POSTER, an_office_of, live
from tests.town import Town


@dataclass
class Sidebar:
    """The RM's sidebar over HTTP, with the chat's bridge as its page uses it."""

    town: Town
    visitor: Visitor

    async def picks(self, version: Version) -> Suggestion:
        """The RM chooses a material from the list."""
        contact = self.town.customer.external_userid
        answer = await self.visitor.post(f"/sidebar/{contact}/pick", {"version": str(version.id)})
        assert answer.status == 200, await answer.text()
        return await self.newest()

    async def newest(self) -> Suggestion:
        """The suggestion made last, as it stands."""
        found = await self.town.all(Suggestion)
        newest: Suggestion = max(found, key=lambda one: (one.created_at, str(one.id)))
        return newest

    async def attaches(self, suggestion: Suggestion, version: Version) -> int:
        """The RM puts it beside the text."""
        path = f"/sidebar/suggestions/{suggestion.id}/attach"
        return (await self.visitor.post(path, {"version": str(version.id)})).status

    async def clears(self, suggestion: Suggestion, **fields: Any) -> dict[str, Any]:
        """The last check."""
        form = {"text": suggestion.draft, "page": "p1", **fields}
        path = f"/sidebar/suggestions/{suggestion.id}/clear"
        told: dict[str, Any] = await (await self.visitor.post(path, form)).json()
        return told

    async def through_the_bridge(self, messages: list[dict[str, Any]]) -> list[str]:
        """The page hands them to the JS-SDK; what it answers, one by one."""
        answers = []
        for message in messages:
            wish = {
                "member": self.town.rm.userid,
                "customer": self.town.customer.external_userid,
                "params": message,
            }
            async with self.town.http.post(f"{self.town.platform}/bridge/send", json=wish) as said:
                answers.append((await said.json())["err_msg"])
        return answers

    async def tells(self, suggestion: Suggestion, parts: int) -> None:
        """The page notes what the chat has taken."""
        path = f"/sidebar/suggestions/{suggestion.id}/sent"
        assert (await self.visitor.post(path, {"parts": parts})).status == 200

    async def sends(self, suggestion: Suggestion) -> list[dict[str, Any]]:
        """Everything of one press; what went through the bridge."""
        told = await self.clears(suggestion)
        assert "messages" in told, told
        messages: list[dict[str, Any]] = told["messages"]
        answers = await self.through_the_bridge(messages)
        assert answers == ["sendChatMessage:ok"] * len(messages)
        await self.tells(suggestion, len(messages))
        return messages


async def ledger(town: Town) -> list[dict[str, Any]]:
    """What the customer really saw, bubble by bubble."""
    async with town.http.get(f"{town.platform}/control/ledger") as response:
        lines: list[dict[str, Any]] = (await response.json())["ledger"]
    return [line for line in lines if line["external_userid"] == town.customer.external_userid]


@pytest.fixture
async def office(town: Town, session: AsyncSession) -> Office:
    """The content team over the product's own files."""
    return await an_office_of(session, town.parts.files)


@pytest.fixture
async def sidebar(town: Town) -> Sidebar:
    """The RM at the sidebar."""
    return Sidebar(town, await town.sidebar())


async def said(town: Town) -> list[OutboundMessage]:
    """The rows of what was said, oldest first."""
    return sorted(await town.all(OutboundMessage), key=lambda row: (row.at, row.state.value))


SEEN = {
    Kind.IMAGE: ("image", POSTER),
    Kind.VIDEO: ("video", FILM),
    Kind.FILE: ("file", PAPER),
}


@pytest.mark.parametrize("kind", SEEN)
async def test_the_bytes_on_the_phone_are_the_bytes_that_were_approved(
    town: Town, office: Office, sidebar: Sidebar, kind: Kind
) -> None:
    version = await live(office, kind)
    await office.session.commit()
    suggestion = await sidebar.picks(version)
    await sidebar.sends(suggestion)
    msgtype, _ = SEEN[kind]
    text, file = await ledger(town)
    assert (text["msgtype"], text["text"]) == ("text", suggestion.draft)
    stored = await office.session.get_one(StoredFile, version.file_id)
    approved = await town.parts.files.read(stored.id)
    assert (file["msgtype"], file["sha256"]) == (msgtype, hashlib.sha256(approved).hexdigest())
    assert file["body"]["filename"] == stored.name
    [row] = await said(town)
    [kept] = row.attachments
    assert (kept["shape"], kept["sha256"]) == (msgtype, file["sha256"])
    assert (row.state, row.delivered) == (OutboundState.SENT, 2)
    assert (await sidebar.newest()).state is SuggestionState.SENT


async def test_a_link_card_and_a_mini_program_carry_their_approved_address_and_cover(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    link, app = await live(office, Kind.LINK), await live(office, Kind.MINI_PROGRAM)
    await office.session.commit()
    suggestion = await sidebar.picks(link)
    assert await sidebar.attaches(suggestion, app) == 200
    await sidebar.sends(suggestion)
    _, card, mini = await ledger(town)
    assert card["msgtype"] == "link"
    async with town.http.get(card["body"]["url"], allow_redirects=False) as opened:
        assert (opened.status, opened.headers["Location"]) == (303, CARDS[Kind.LINK].url)
    assert card["body"]["title"] == CARDS[Kind.LINK].title
    assert (mini["msgtype"], mini["body"]["appid"]) == ("miniprogram", "wx" + "a1" * 8)
    for picture in (card["body"]["picurl"], mini["body"]["picurl"]):
        async with town.http.get(picture) as shown:
            assert shown.status == 200
            assert shown.content_type == "image/jpeg"
            assert len(await shown.read()) > len(COVER) // 2


async def test_an_article_goes_as_its_beginning_and_a_card_to_our_page_of_it(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    article = await live(office, Kind.ARTICLE)
    await office.session.commit()
    await sidebar.sends(await sidebar.picks(article))
    _, card = await ledger(town)
    assert card["body"]["title"] == article.title
    async with town.http.get(card["body"]["url"]) as page:
        assert page.status == 200
        assert article.body.split("，")[1] in await page.text()


async def test_a_combination_is_one_row_and_one_touchpoint_for_each_material(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    poster, paper = await live(office, Kind.IMAGE), await live(office, Kind.FILE)
    await office.session.commit()
    suggestion = await sidebar.picks(poster)
    assert await sidebar.attaches(suggestion, paper) == 200
    assert await sidebar.attaches(suggestion, paper) == 422
    await sidebar.sends(suggestion)
    assert [line["msgtype"] for line in await ledger(town)] == ["text", "image", "file"]
    [row] = await said(town)
    assert [one["version_id"] for one in row.attachments] == [str(poster.id), str(paper.id)]
    assert {one["version_id"] for one in row.versions} == {str(poster.id), str(paper.id)}
    seen = await town.all(Touchpoint)
    assert {point.version_id for point in seen} == {poster.id, paper.id}
    officer = await a_staff(office.session, Role.COMPLIANCE)
    who = Signed(officer.id, officer.userid, officer.name, frozenset({Role.COMPLIANCE}), None, "")
    of_paper = Sent(await office.session.get_one(Material, paper.material_id), paper)
    [told] = await received(office.session, of_paper.versions, who, limit=10)
    assert told.customer == town.customer.name


async def test_a_poster_may_go_without_a_word(town: Town, office: Office, sidebar: Sidebar) -> None:
    poster = await live(office, Kind.IMAGE)
    await office.session.commit()
    suggestion = await sidebar.picks(poster)
    told = await sidebar.clears(suggestion, text="")
    assert [one["msgtype"] for one in told["messages"]] == ["image"]
    await sidebar.through_the_bridge(told["messages"])
    await sidebar.tells(suggestion, 1)
    assert [line["msgtype"] for line in await ledger(town)] == ["image"]
    assert (await sidebar.newest()).state is SuggestionState.EDITED


async def test_an_attachment_withdrawn_meanwhile_is_refused_in_words(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    poster, paper = await live(office, Kind.IMAGE), await live(office, Kind.FILE)
    await office.session.commit()
    suggestion = await sidebar.picks(poster)
    await sidebar.attaches(suggestion, paper)
    desk = await town.client(office.compliance)
    reason = {"reason": "监管口径有变，需要重写。"}
    assert (await desk.post(f"/content/versions/{paper.id}/withdraw", reason)).status == 303
    told = await sidebar.clears(suggestion)
    assert told["refused"] == ["引用的素材已下线、过期或不再适合该客户，请换一条。"]
    assert await ledger(town) == []
    assert (await sidebar.newest()).state is SuggestionState.WITHDRAWN


async def test_a_file_that_is_not_what_was_approved_is_refused(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    paper = await live(office, Kind.FILE)
    await office.session.commit()
    suggestion = await sidebar.picks(paper)
    assert paper.file_id is not None
    await town.parts.files.put(paper.file_id, PAPER + b"% one more line")
    told = await sidebar.clears(suggestion)
    assert told["refused"] == [sendable.CHANGED.format(title=paper.title)]
    assert await town.all(UploadedMedia) == []
    assert await ledger(town) == []


async def test_what_the_chat_did_not_take_is_sent_from_there_on(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    poster = await live(office, Kind.IMAGE)
    await office.session.commit()
    suggestion = await sidebar.picks(poster)
    told = await sidebar.clears(suggestion)
    await sidebar.through_the_bridge(told["messages"][:1])
    await sidebar.tells(suggestion, 1)
    assert (await sidebar.newest()).state is SuggestionState.OFFERED
    assert await sidebar.attaches(suggestion, await live(office, Kind.FILE)) == 422
    again = await sidebar.clears(suggestion, again="1")
    assert again["done"] == 1
    await sidebar.through_the_bridge(again["messages"][again["done"] :])
    await sidebar.tells(suggestion, 2)
    assert [line["msgtype"] for line in await ledger(town)] == ["text", "image"]
    [row] = await said(town)
    assert row.delivered == 2
    assert again["messages"][1] != told["messages"][1]


async def test_a_media_id_is_shared_lives_three_days_and_is_renewed_before_it_dies(
    town: Town, office: Office, sidebar: Sidebar
) -> None:
    poster = await live(office, Kind.IMAGE)
    await office.session.commit()
    first = (await sidebar.sends(await sidebar.picks(poster)))[1]["image"]["mediaid"]
    town.clock.forward(timedelta(hours=1))
    sidebar.visitor = await town.sidebar()
    second = (await sidebar.sends(await sidebar.picks(poster)))[1]["image"]["mediaid"]
    assert first == second
    parts = town.parts
    assert await media.renew(parts.sessions, parts.files, parts.wecom, town.clock()) == 0
    town.clock.forward(timedelta(days=2, hours=11))
    assert await media.renew(parts.sessions, parts.files, parts.wecom, town.clock()) == 1
    town.clock.forward(timedelta(hours=13))
    sidebar.visitor = await town.sidebar()
    suggestion = await sidebar.picks(poster)
    third = (await sidebar.sends(suggestion))[1]["image"]["mediaid"]
    assert third != first
    dead = {"msgtype": "image", "image": {"mediaid": first}}
    assert await sidebar.through_the_bridge([dead]) == ["sendChatMessage:fail invalid content"]


async def test_two_processes_that_need_a_file_upload_it_once(town: Town, office: Office) -> None:
    poster = await live(office, Kind.IMAGE)
    await office.session.commit()
    parts = town.parts
    found = (await sendable.of_versions(office.session, [poster.id]))[poster.id]
    kept = await sendable.as_approved(office.session, parts.files, found)
    assert isinstance(kept, sendable.Bytes)
    one = Attached(poster.id, found.shape, found.title, file_id=poster.file_id, sha256=kept.sha256)

    async def needs() -> dict[str, str]:
        async with parts.sessions.begin() as session:
            return await media.ready(session, parts.files, parts.wecom, [one], MONDAY)

    ids = await asyncio.gather(*(needs() for _ in range(4)))
    assert len({told[kept.sha256] for told in ids}) == 1
    rows = (await office.session.execute(select(UploadedMedia))).scalars().all()
    assert len(rows) == 1
    async with town.http.get(f"{town.platform}/control/calls") as response:
        calls = (await response.json())["calls"]
    assert [call["path"] for call in calls].count("media/upload") == 1

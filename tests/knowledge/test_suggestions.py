"""What an RM may send: once, unharmed, and only while everything it is made of holds."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Touchpoint
from bank.models import Role
from bot.app import make_app
from compliance.disclosures import WEALTH
from compliance.normalise import as_seen
from content.models import Kind, State, Version
from customers.models import Follow, FollowState
from desk.keys import SETTINGS
from knowledge.finding import LONGEST, masked_question
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import Draft, Sentence, Source
from tests.builders import (
    MONDAY,
    a_product,
    a_staff,
    an_approved_material,
)
from tests.conftest import Product
from tests.knowledge.desk import Desk
from tests.knowledge.wire import ASKED


@pytest.fixture
async def desk(product: Product, session: AsyncSession) -> Desk:
    """One approved answer and nothing said yet."""
    await an_approved_material(session)
    return await Desk(product, session).opens()


# --------------------------------------------------------------------------------- sent once


async def test_two_open_pages_that_press_send_at_once_send_once(desk: Desk) -> None:
    made = await desk.asks()
    pages = [desk.clears(made, made.draft, page) for page in ("one", "two", "three")]
    said = await asyncio.gather(*pages)
    assert [answer.get("text") for answer in said].count(made.draft) == 1
    assert sum("避免重复发送" in str(answer.get("refused")) for answer in said) == 2


async def test_the_same_page_may_try_again_and_another_one_later(desk: Desk) -> None:
    made = await desk.asks()
    assert "text" in await desk.clears(made, made.draft, "one")
    assert "text" in await desk.clears(made, made.draft, "one")
    assert "refused" in await desk.clears(made, made.draft, "two")
    desk.product.clock.forward(timedelta(seconds=31))
    assert "text" in await desk.clears(made, made.draft, "two")


async def test_what_was_cleared_last_is_what_counts_as_sent(desk: Desk) -> None:
    made = await desk.asks()
    await desk.clears(made, f"李女士，{made.draft}", "one")
    await desk.clears(made, made.draft, "one")
    await desk.says_sent(made)
    after = await desk.now(made)
    assert (after.state, after.sent_text) == (SuggestionState.SENT, made.draft)


async def test_sent_without_clearance_is_nothing_and_sent_twice_is_once(desk: Desk) -> None:
    made = await desk.asks()
    assert await desk.says_sent(made) == 200
    assert (await desk.now(made)).state is SuggestionState.OFFERED
    await desk.clears(made, made.draft)
    await asyncio.gather(*(desk.says_sent(made) for _ in range(4)))
    assert (await desk.now(made)).state is SuggestionState.SENT
    assert len(await desk.all(Touchpoint)) == 1
    assert "已发送" in (await desk.clears(made, made.draft))["refused"][0]


async def test_what_the_customer_saw_counts_though_the_source_was_withdrawn_meanwhile(
    desk: Desk,
) -> None:
    made = await desk.asks()
    await desk.clears(made, made.draft, "one")
    await withdrawn(desk, made.version_id)
    assert "已下线" in (await desk.clears(made, made.draft, "one"))["refused"][0]
    await desk.says_sent(made)
    assert (await desk.now(made)).state is SuggestionState.SENT
    assert len(await desk.all(Touchpoint)) == 1


async def withdrawn(desk: Desk, version_id: UUID | None) -> None:
    async with desk.product.parts.sessions.begin() as other:
        (await other.get_one(Version, version_id)).state = State.WITHDRAWN


# ----------------------------------------------------------------------- who and what may be sent


async def test_the_former_rm_can_do_nothing_with_it(desk: Desk) -> None:
    made = await desk.asks()
    async with desk.product.parts.sessions.begin() as other:
        [follow] = await desk.all(Follow)
        (await other.get_one(Follow, follow.id)).state = FollowState.REMOVED_BY_CUSTOMER
    for verb in ("clear", "sent", "reject", "another"):
        answer = await desk.sidebar.post(f"/sidebar/suggestions/{made.id}/{verb}", {"text": "x"})
        assert answer.status == 404


async def test_who_sees_every_customer_still_sends_only_to_their_own(
    product: Product, session: AsyncSession
) -> None:
    await an_approved_material(session)
    desk = await Desk(product, session).opens()
    both = await a_staff(session, Role.RM, Role.HQ)
    await session.commit()
    visitor = await product.client(both, "sidebar")
    contact = desk.customer.external_userid
    assert "不在您的客户名单中" in await visitor.text(f"/sidebar/{contact}/profile")
    asked = await visitor.post(f"/sidebar/{contact}/ask", {"question": ASKED})
    assert "不在您的客户名单中" in await asked.text()
    assert await desk.all(Suggestion) == []


async def test_an_assessment_that_ran_out_meanwhile_refuses_the_product(
    product: Product, session: AsyncSession
) -> None:
    about = await a_product(session, rating=2)
    await an_approved_material(session, kind=Kind.PRODUCT_NOTE, risk=2, products=[about])
    desk = await Desk(product, session).opens(assessed_at=MONDAY - timedelta(days=364))
    made = await desk.asks()
    assert made.state is SuggestionState.OFFERED
    product.clock.at(MONDAY + timedelta(days=2))
    desk.sidebar = await product.client(desk.rm, "sidebar")
    assert "客户风险测评已超过12个月" in (await desk.clears(made, made.draft))["refused"][0]


class Joins:
    """A writer that makes a reply of the first sentence of every passage."""

    name = "joining"

    async def draft(self, question: str, sources: Sequence[Source]) -> Draft:
        """One sentence of each."""
        return Draft(tuple(Sentence(source.text, source) for source in sources), self.name)


async def test_a_reply_of_two_materials_needs_both_and_carries_both_reminders(
    product: Product, session: AsyncSession
) -> None:
    first = await an_approved_material(session)
    about = await a_product(session, rating=1)
    await an_approved_material(
        session,
        title="赎回到账进度查询",
        body="您可以在手机银行的交易记录里查看赎回的处理进度和到账情况。",
        questions=("赎回到账进度在哪查", "赎回的钱到账没有怎么看", "查赎回到账"),
        kind=Kind.PRODUCT_NOTE,
        risk=1,
        products=[about],
    )
    await session.commit()
    server = TestServer(
        make_app(
            product.app[SETTINGS],
            replace(product.parts, writer=Joins()),
        )
    )
    async with server:
        joined = Product(server, product.parts, product.clock)
        desk = await Desk(joined, session).opens()
        made = await desk.asks()
        assert len({c["version_id"] for c in made.citations}) == 2
        assert WEALTH in made.draft
        other = next(c for c in made.citations if c["version_id"] != str(first.id))
        await withdrawn(desk, UUID(other["version_id"]))
        page = await desk.sidebar.text(f"/sidebar/{desk.customer.external_userid}/suggestions")
        assert "已下线" in page
        assert "data-send" not in page
        assert "已下线" in (await desk.clears(made, made.draft))["refused"][0]
        await joined.close()


# ------------------------------------------------------------------------------------- edits


@pytest.fixture
async def selling(product: Product, session: AsyncSession) -> Desk:
    """The approved answer speaks of a product, so its reminder belongs to it."""
    about = await a_product(session, rating=2)
    await an_approved_material(session, kind=Kind.PRODUCT_NOTE, risk=2, products=[about])
    return await Desk(product, session).opens()


def hidden(mark: str) -> str:
    return "".join(f"{char}{mark}" for char in WEALTH)


@pytest.mark.parametrize(
    "ending",
    [
        "",
        hidden("\u200b"),
        hidden("\u0336"),
        f"\u202e{WEALTH}",
        WEALTH[:-4],
        "\n" * 500 + WEALTH,
        "（" + hidden("\u2060") + "）",
    ],
    ids=["cut", "zero width", "struck", "turned", "half", "far below", "joined"],
)
async def test_an_edit_cannot_take_the_reminder_away(selling: Desk, ending: str) -> None:
    made = await selling.asks()
    body = made.draft.split("\n")[0]
    said = await selling.clears(made, body + ending)
    assert WEALTH in said["text"]
    assert "\n\n\n" not in said["text"]
    assert not set("\u200b\u0336\u202e\u2060") & set(said["text"])


async def test_the_untouched_draft_is_sent_as_it_is(selling: Desk) -> None:
    made = await selling.asks()
    assert (await selling.clears(made, made.draft))["text"] == made.draft
    await selling.says_sent(made)
    assert (await selling.now(made)).state is SuggestionState.SENT


@pytest.mark.parametrize("trick", ["保\u200b本保息", "保\u0336本\u0336保\u0336息", "保本保息"])
async def test_a_promise_in_disguise_is_refused(desk: Desk, trick: str) -> None:
    made = await desk.asks()
    said = await desk.clears(made, f"{made.draft}这款产品{trick}，您放心买。")
    assert said["refused"]
    assert (await desk.now(made)).cleared_at is None


async def test_a_reply_has_a_longest(desk: Desk) -> None:
    made = await desk.asks()
    for length in (LONGEST + 1, 5 * LONGEST):
        assert "4,000" in (await desk.clears(made, "好" * length))["refused"][0]


async def test_emoji_stay_as_they_are() -> None:
    assert as_seen("好的☺️1️⃣\r\n谢谢") == "好的☺️1️⃣\n谢谢"


# --------------------------------------------------------------------------------- questions


def test_a_question_has_a_longest_and_no_half_number_at_its_end() -> None:
    question = masked_question("问" * (LONGEST - 5) + "13812345678" + "后" * 10_000)
    assert question == "问" * (LONGEST - 5)
    assert masked_question("问\0题\u200b") == "问题"


async def test_an_endless_question_is_answered_with_a_page(desk: Desk) -> None:
    made = await desk.asks(ASKED + "啊" * 100_000)
    assert len(made.question) == LONGEST


async def test_a_picked_material_keeps_a_masked_question_too(desk: Desk) -> None:
    made = await desk.asks()
    form = {"version": str(made.version_id), "q": "客户手机13812345678"}
    path = f"/sidebar/{desk.customer.external_userid}/pick"
    assert (await desk.sidebar.post(path, form)).status == 200
    assert "13812345678" not in {s.question for s in await desk.all(Suggestion)}
    assert all("13812345678" not in s.question for s in await desk.all(Suggestion))
    assert (await desk.sidebar.post(path, {"version": "odd"})).status == 404


async def test_a_nickname_is_text_wherever_it_is_shown(
    product: Product, session: AsyncSession
) -> None:
    await an_approved_material(session)
    desk = await Desk(product, session).opens(name="{{7*7}}<script>alert(1)</script>")
    made = await desk.asks()
    contact = desk.customer.external_userid
    pages = [await desk.sidebar.text(f"/sidebar/{contact}/{tab}") for tab in ("suggest", "profile")]
    visitor = await product.client(desk.rm)
    pages.append(await visitor.text(f"/suggestions/{made.id}"))
    for page in pages:
        assert "<script>alert" not in page
        assert "49&lt;script" not in page
    assert any("{{7*7}}&lt;script&gt;" in page for page in pages)


async def test_odd_addresses_are_not_found(desk: Desk) -> None:
    visitor = await desk.product.client(desk.rm)
    for path in ("/suggestions/odd", f"/suggestions/{UUID(int=1)}", "/suggestions/customer/odd"):
        assert (await visitor.get(path)).status == 404
    for query in ("page=x", "page=-1", "page=99999999999999999999", "state=odd", "material=odd"):
        assert (await visitor.get(f"/suggestions?{query}")).status == 200
    hq = await a_staff(desk.session, Role.HQ)
    await desk.session.commit()
    for query in ("q=赎回&risk=²", "q=赎回&risk=99", "q=%00"):
        answer = await (await desk.product.client(hq)).get(f"/knowledge?{query}")
        assert answer.status == 200, query


async def test_a_plain_http_client_is_enough(desk: Desk) -> None:
    """The form's text may come with the line ends of a plain form."""
    made = await desk.asks()
    data = aiohttp.FormData({"text": made.draft.replace("\n", "\r\n")})
    answer = await desk.sidebar.post(f"/sidebar/suggestions/{made.id}/clear", data)
    assert (await answer.json())["text"] == made.draft

"""Path (i): a customer writes; a suggestion appears beside the chat; the RM decides."""

import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from attribution.models import Touchpoint, TouchpointKind
from bank.models import Role
from bot.models import InboundEvent, InboundState, Message
from content.models import Kind, State
from knowledge.models import Suggestion, SuggestionState
from tests.builders import a_customer, a_follow, a_product, a_staff, an_approved_material
from tests.town import Town

ASKED = "我赎回的钱几天能到账啊"


async def suggested(town: Town) -> Suggestion:
    """The one suggestion there is."""
    [suggestion] = await town.all(Suggestion)
    return suggestion


async def offered(town: Town, session: AsyncSession) -> Suggestion:
    """One approved material, one question it answers, and the suggestion made of them."""
    await an_approved_material(session)
    await session.commit()
    await town.writes(ASKED)
    await town.works()
    return await suggested(town)


async def clear(town: Town, suggestion: Suggestion, text: str) -> dict[str, Any]:
    """The RM presses send on this text; what the check answers."""
    rm = await town.sidebar()
    answer = await rm.post(f"/sidebar/suggestions/{suggestion.id}/clear", {"text": text})
    said: dict[str, Any] = await answer.json()
    return said


async def test_a_message_becomes_a_suggestion_with_its_source(
    town: Town, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    await session.commit()
    await town.writes(ASKED)
    await town.works()
    suggestion = await suggested(town)
    assert suggestion.state is SuggestionState.OFFERED
    assert suggestion.version_id == version.id
    assert suggestion.draft == version.body
    assert {c["passage"] for c in suggestion.citations} == {version.body}
    page = await (await town.sidebar()).text(f"/sidebar/{town.customer.external_userid}/suggest")
    assert version.body in page
    assert "《赎回多久到账》V1" in page


async def test_the_same_callback_twice_is_one_message_and_one_suggestion(
    town: Town, session: AsyncSession
) -> None:
    await an_approved_material(session)
    await session.commit()
    await town.control("faults", callbacks={"duplicate": 3})
    await town.writes(ASKED)
    await town.works()
    assert len(await town.all(Message)) == 1
    assert len(await town.all(Suggestion)) == 1
    assert len(await town.all(InboundEvent)) == 1


async def test_the_rm_sends_it_and_the_customer_sees_it_once(
    town: Town, session: AsyncSession
) -> None:
    suggestion = await offered(town, session)
    rm = await town.sidebar()
    cleared = await (
        await rm.post(f"/sidebar/suggestions/{suggestion.id}/clear", {"text": suggestion.draft})
    ).json()
    assert cleared["text"] == suggestion.draft
    await town.rm_says(cleared["text"])
    await rm.post(f"/sidebar/suggestions/{suggestion.id}/sent")
    await rm.post(f"/sidebar/suggestions/{suggestion.id}/sent")
    assert (await town.seen()).count(suggestion.draft) == 1
    assert (await suggested(town)).state is SuggestionState.SENT
    sent = [t for t in await town.all(Touchpoint) if t.kind is TouchpointKind.REPLY_SENT]
    assert [t.version_id for t in sent] == [suggestion.version_id]


async def test_a_browser_that_dies_after_sending_is_made_up_for_by_the_archive(
    town: Town, session: AsyncSession
) -> None:
    suggestion = await offered(town, session)
    rm = await town.sidebar()
    await rm.post(f"/sidebar/suggestions/{suggestion.id}/clear", {"text": suggestion.draft})
    await town.rm_says(suggestion.draft)
    await town.works()
    assert (await suggested(town)).state is SuggestionState.SENT


async def test_an_edit_that_promises_returns_is_refused_with_the_reason(
    town: Town, session: AsyncSession
) -> None:
    suggestion = await offered(town, session)
    answer = await clear(town, suggestion, suggestion.draft + "这款产品保本保息，您放心买。")
    assert answer["refused"]
    assert (await suggested(town)).state is SuggestionState.OFFERED


async def test_a_number_that_no_source_holds_is_refused(town: Town, session: AsyncSession) -> None:
    suggestion = await offered(town, session)
    answer = await clear(town, suggestion, suggestion.draft + "最多7天。")
    assert "7天" in answer["refused"][0]


async def test_an_edited_reply_is_stored_as_edited(town: Town, session: AsyncSession) -> None:
    suggestion = await offered(town, session)
    rm = await town.sidebar()
    text = "李女士，" + suggestion.draft
    await rm.post(f"/sidebar/suggestions/{suggestion.id}/clear", {"text": text})
    await rm.post(f"/sidebar/suggestions/{suggestion.id}/sent")
    after = await suggested(town)
    assert after.state is SuggestionState.EDITED
    assert after.sent_text == text


async def test_the_rm_says_it_does_not_fit_and_why(town: Town, session: AsyncSession) -> None:
    suggestion = await offered(town, session)
    rm = await town.sidebar()
    nothing = await rm.post(f"/sidebar/suggestions/{suggestion.id}/reject", {"reason": ""})
    assert nothing.status == 422
    await rm.post(f"/sidebar/suggestions/{suggestion.id}/reject", {"reason": "答非所问"})
    after = await suggested(town)
    assert (after.state, after.reject_reason) == (SuggestionState.REJECTED, "答非所问")


async def test_another_one_comes_from_other_material(town: Town, session: AsyncSession) -> None:
    first = await an_approved_material(session)
    second = await an_approved_material(
        session,
        title="赎回到账进度查询",
        body="您可以在手机银行的交易记录里查看赎回的处理进度和到账情况。",
        questions=("赎回到账进度在哪查", "赎回的钱到账没有怎么看", "查赎回到账"),
    )
    await session.commit()
    await town.writes(ASKED)
    await town.works()
    suggestion = await suggested(town)
    rm = await town.sidebar()
    await rm.post(f"/sidebar/suggestions/{suggestion.id}/another")
    both = await town.all(Suggestion)
    assert {s.version_id for s in both} == {first.id, second.id}


async def test_without_any_fitting_material_it_says_so(town: Town, session: AsyncSession) -> None:
    await an_approved_material(session)
    await session.commit()
    await town.writes("你们食堂的红烧肉是谁烧的")
    await town.works()
    suggestion = await suggested(town)
    assert suggestion.state is SuggestionState.NO_MATCH
    assert suggestion.draft == ""
    page = await (await town.sidebar()).text(f"/sidebar/{town.customer.external_userid}/suggest")
    assert "素材库里没有合适的答复" in page


async def test_an_unapproved_twin_of_the_best_material_never_shows(
    town: Town, session: AsyncSession
) -> None:
    chance = random.Random(7)
    approved = await an_approved_material(session)
    for state in (State.DRAFT, State.SUBMITTED, State.REJECTED, State.WITHDRAWN):
        await an_approved_material(session, title=f"孪生{state}", state=state)
    await session.commit()
    asks = [ASKED, *approved.questions, approved.body, approved.title]
    for _ in range(12):
        await town.writes(chance.choice(asks) + "吧" * chance.randint(0, 2))
    await town.works()
    for suggestion in await town.all(Suggestion):
        shown = {c["version_id"] for c in suggestion.candidates}
        assert shown <= {str(approved.id)}


async def test_material_above_the_customers_level_is_never_suggested(
    town: Town, session: AsyncSession
) -> None:
    risky = await a_product(session, rating=5, name="进取指数一号")
    await an_approved_material(
        session, kind=Kind.PRODUCT_NOTE, title="进取指数一号赎回", risk=5, products=[risky]
    )
    await session.commit()
    await town.writes(ASKED)
    await town.works()
    assert (await suggested(town)).state is SuggestionState.NO_MATCH


async def test_an_expired_assessment_leaves_only_material_without_products(
    town: Town, session: AsyncSession
) -> None:
    product = await a_product(session, rating=1, name="现金管理一号")
    await an_approved_material(
        session, kind=Kind.PRODUCT_NOTE, title="现金管理一号赎回", risk=1, products=[product]
    )
    plain = await an_approved_material(session)
    await session.commit()
    town.clock.forward(timedelta(days=340))
    async with town.parts.sessions.begin() as other:
        version = await other.get_one(type(plain), plain.id)
        version.valid_until = town.clock() + timedelta(days=1)
    await town.writes(ASKED)
    await town.works()
    suggestion = await suggested(town)
    assert {c["version_id"] for c in suggestion.candidates} <= {str(plain.id)}


async def test_withdrawn_after_the_suggestion_it_cannot_be_sent(
    town: Town, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    await session.commit()
    await town.writes(ASKED)
    await town.works()
    suggestion = await suggested(town)
    async with town.parts.sessions.begin() as other:
        (await other.get_one(type(version), version.id)).state = State.WITHDRAWN
    answer = await clear(town, suggestion, suggestion.draft)
    assert "已下线" in answer["refused"][0]
    assert (await suggested(town)).state is SuggestionState.WITHDRAWN


async def test_rm_a_cannot_see_the_customer_of_rm_b(town: Town, session: AsyncSession) -> None:
    await an_approved_material(session)
    other_rm = await a_staff(session, Role.RM, name="赵强")
    theirs = await a_customer(session, name="周先生")
    await a_follow(session, other_rm, theirs)
    await session.commit()
    await town.writes(ASKED)
    await town.works()
    suggestion = await suggested(town)
    stranger = await town.sidebar(other_rm)
    contact = town.customer.external_userid
    for tab in ("suggest", "suggestions", "scripts", "materials", "profile", "tasks"):
        page = await stranger.text(f"/sidebar/{contact}/{tab}")
        assert "不在您的客户名单中" in page
        assert suggestion.draft not in page
    for verb in ("clear", "sent", "reject", "another"):
        answer = await stranger.post(f"/sidebar/suggestions/{suggestion.id}/{verb}", {"text": "x"})
        assert answer.status == 404
    desk = await town.client(other_rm)
    assert (await desk.get(f"/suggestions/{suggestion.id}")).status == 404
    assert (await desk.get(f"/customers/{town.customer.id}")).status == 404
    assert suggestion.draft not in await desk.text("/suggestions")


async def test_without_an_archive_the_rm_types_the_question(
    town: Town, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    await session.commit()
    await town.works()
    rm = await town.sidebar()
    contact = town.customer.external_userid
    page = await (await rm.post(f"/sidebar/{contact}/ask", {"question": ASKED})).text()
    assert version.body in page
    empty = await rm.post(f"/sidebar/{contact}/ask", {"question": "  "})
    assert empty.status == 422


async def test_personal_data_is_masked_before_it_is_stored_with_the_suggestion(
    town: Town, session: AsyncSession
) -> None:
    await an_approved_material(session)
    await session.commit()
    await town.writes("赎回几天到账，我手机13812345678，卡号6222020200112233446")
    await town.works()
    question = (await suggested(town)).question
    assert "13812345678" not in question
    assert "6222020200112233446" not in question


@pytest.mark.parametrize("times", [1, 3])
async def test_an_unreadable_event_is_quarantined_and_blocks_nobody(
    town: Town, session: AsyncSession, times: int
) -> None:
    await an_approved_material(session)
    await session.commit()
    for _ in range(times):
        await town.parts.inbox.put(f"<broken {uuid4()}", "", town.clock())
    await town.writes(ASKED)
    await town.works()
    states = [event.state for event in await town.all(InboundEvent)]
    assert states.count(InboundState.QUARANTINED) == times
    assert (await suggested(town)).state is SuggestionState.OFFERED


async def test_what_is_stored_survives_the_process(town: Town, session: AsyncSession) -> None:
    """Stored and answered, then nothing: the next process finds it and handles it."""
    await an_approved_material(session)
    await session.commit()
    await town.writes(ASKED)
    stored = await town.all(InboundEvent)
    assert [event.state for event in stored] == [InboundState.NEW]
    async with town.parts.sessions.begin() as other:
        # As a process leaves it that died with the event in its hands.
        event = await other.get_one(InboundEvent, stored[0].id)
        event.lease_until, event.attempts = town.clock() + timedelta(seconds=60), 1
    await town.works()
    assert await town.all(Suggestion) == []
    town.clock.forward(timedelta(seconds=61))
    await town.works()
    assert (await suggested(town)).state is SuggestionState.OFFERED

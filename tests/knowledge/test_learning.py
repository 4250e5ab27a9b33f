"""What RMs accept is counted, offered to editors as wordings, and asked again before a release."""

import asyncio
import json
import re
from datetime import time, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner

from bank.calendar import at_local, local_day
from bank.database import utc_now
from bank.models import Role, Staff
from bot.cli import app
from bot.judging import judged
from bot.replaying import replayed
from content.models import State, Version
from knowledge.intents import Intent
from knowledge.models import CandidateQuestion, CandidateState, Suggestion, SuggestionState
from knowledge.writer import QuotingWriter
from tests.builders import a_branch, a_staff, an_approved_material
from tests.conftest import Product, Visitor
from tests.journeys.test_killed import environment
from tests.knowledge.desk import Desk
from tests.knowledge.wire import ASKED, BODY, Model

NEW_WORDING = "卖掉的理财隔几天能回到卡里"


@pytest.fixture
async def desk(product: Product, session: AsyncSession) -> Desk:
    """One approved answer and an RM who uses it."""
    await an_approved_material(session)
    return await Desk(product, session).opens()


async def accepted(desk: Desk, question: str, text: str = "") -> Suggestion:
    """The RM asks, and sends what is offered, or an edit of it."""
    made = await desk.asks(question)
    assert made.state is SuggestionState.OFFERED, made.reasons
    assert "text" in await desk.clears(made, text or made.draft)
    await desk.says_sent(made)
    desk.product.clock.forward(timedelta(minutes=31))
    desk.sidebar = await desk.product.client(desk.rm, "sidebar")
    return await desk.now(made)


async def editor_of(desk: Desk) -> tuple[Staff, Visitor]:
    editor = await a_staff(desk.session, Role.EDITOR, name="周编")
    await desk.session.commit()
    return editor, await desk.product.client(editor)


# ---------------------------------------------------------------------------------- quality


async def test_every_number_of_the_page_opens_as_many_rows(desk: Desk) -> None:
    await accepted(desk, ASKED)
    edited = await accepted(desk, NEW_WORDING, f"李女士，{BODY}")
    assert edited.edit_share is not None
    assert 0 < edited.edit_share < 0.2
    turned = await desk.asks("赎回的钱什么时候能用")
    path = f"/sidebar/suggestions/{turned.id}/reject"
    await desk.sidebar.post(path, {"reason": "语气不合适"})
    page = await desk.product.client(desk.rm)
    for by in ("material", "rm", "intent", "week"):
        shown = await page.text(f"/suggestions/quality?by={by}")
        links = re.findall(r'<a href="(/suggestions\?made=1[^"]*)">(\d+)</a>', shown)
        assert len(links) >= 5, by
        for link, number in links:
            listed = await page.text(link.replace("&amp;", "&"))
            rows = re.search(r"共 (\d+) 条", listed)
            assert rows, link
            assert rows[1] == number, link
    assert "语气不合适" in shown
    assert "67%" in shown


async def test_a_hand_picked_material_is_no_suggestion_of_ours(desk: Desk) -> None:
    made = await desk.asks()
    path = f"/sidebar/{desk.customer.external_userid}/pick"
    await desk.sidebar.post(path, {"version": str(made.version_id)})
    page = await (await desk.product.client(desk.rm)).text("/suggestions/quality?by=rm")
    assert re.findall(r"made=1&amp;days=30&amp;rm=[^\"]*\">(\d+)<", page)[0] == "1"


async def test_every_page_tells_the_same_share_of_suggestions_taken(desk: Desk) -> None:
    made = await accepted(desk, ASKED)
    turned = await desk.asks("赎回的钱什么时候能用")
    await desk.sidebar.post(f"/sidebar/suggestions/{turned.id}/reject", {"reason": "其他"})
    # Neither what nothing answers nor what the RM picks is a suggestion that could be taken.
    await desk.asks("你们食堂的红烧肉好吃吗")
    pick = f"/sidebar/{desk.customer.external_userid}/pick"
    await desk.sidebar.post(pick, {"version": str(made.version_id)})
    page = await desk.product.client(desk.rm)
    [live] = await desk.all(Version)
    assert "2 条推荐，采用 1 条" in await page.text("/")
    assert '<span class="stat-value">50%</span>' in await page.text("/suggestions/quality")
    assert "采用率 50%" in await page.text(f"/content/{live.material_id}/use")


async def test_what_the_customer_was_told_stays_in_sight(desk: Desk) -> None:
    made = await accepted(desk, ASKED)
    for number in range(6):
        await desk.asks(f"你们食堂的红烧肉好吃吗，第{number}次问")
    shown = await desk.sidebar.text(f"/sidebar/{desk.customer.external_userid}/suggest")
    assert "近期回复" in shown
    assert f'data-suggestion="{made.id}" data-state="sent"' in shown


async def test_weeks_say_their_year(desk: Desk) -> None:
    await accepted(desk, ASKED)
    page = await (await desk.product.client(desk.rm)).text("/suggestions/quality?by=week")
    assert re.search(r"<td>20\d\d-\d\d-\d\d 起</td>", page)


async def test_numbers_are_of_ones_own_customers(desk: Desk, session: AsyncSession) -> None:
    await accepted(desk, ASKED)
    elsewhere = await a_staff(session, Role.BRANCH_MANAGER, branch=await a_branch(session, "城西"))
    await session.commit()
    page = await (await desk.product.client(elsewhere)).text("/suggestions/quality")
    assert "这段时间没有推荐" in page
    for query in ("by=odd", "days=odd", "by=week&days=7"):
        visitor = await desk.product.client(desk.rm)
        assert (await visitor.get(f"/suggestions/quality?{query}")).status == 200
    for query in (
        "rm=odd",
        "week=2026-99-99",
        "intent=odd",
        "reason=%00x",
        "made=2",
        "intent=none",
    ):
        assert (await visitor.get(f"/suggestions?{query}")).status == 200


# -------------------------------------------------------------------------------- candidates


async def test_one_tap_makes_a_new_version_that_must_be_reviewed(desk: Desk) -> None:
    made = await accepted(desk, NEW_WORDING)
    _, page = await editor_of(desk)
    listed = await page.text("/candidates")
    assert NEW_WORDING in listed
    [live] = await desk.all(Version)
    form = {"material": str(live.material_id), "question": NEW_WORDING}
    assert (await page.post("/candidates/add", form)).status == 303
    newest = max(await desk.all(Version), key=lambda version: version.number)
    assert newest.state is State.SUBMITTED
    assert newest.questions == [*live.questions, NEW_WORDING]
    assert (await desk.now(made)).version_id == live.id
    [candidate] = await desk.all(CandidateQuestion)
    assert (candidate.state, candidate.version_id) == (CandidateState.ADDED, newest.id)
    assert NEW_WORDING not in await page.text("/candidates")
    assert (await page.post("/candidates/add", form)).status == 422


async def test_what_is_no_good_example_is_put_aside(desk: Desk) -> None:
    await accepted(desk, NEW_WORDING)
    _, page = await editor_of(desk)
    [live] = await desk.all(Version)
    form = {"material": str(live.material_id), "question": NEW_WORDING}
    kept = re.search(r'action="(/candidates/dismiss[^"]*)"', await page.text("/candidates?q=几天"))
    assert kept
    gone = await page.post(kept[1].replace("&amp;", "&"), form)
    assert gone.status == 303
    assert gone.headers["Location"].startswith("/candidates?q=%E5%87%A0%E5%A4%A9&page=1&done=")
    assert NEW_WORDING not in await page.text("/candidates")
    assert len(await desk.all(Version)) == 1
    for odd in ({"material": "odd"}, {}):
        assert (await page.post("/candidates/dismiss", odd)).status == 404


async def test_only_wordings_that_were_sent_wait_and_none_with_personal_data(desk: Desk) -> None:
    await desk.asks(NEW_WORDING)
    await accepted(desk, f"{ASKED}我的手机13812345678")
    _, page = await editor_of(desk)
    listed = await page.text("/candidates")
    assert NEW_WORDING not in listed
    assert "手机" not in listed
    assert "没有待处理的候选问法" in listed


async def test_an_rm_sees_no_list_and_adds_nothing(desk: Desk) -> None:
    await accepted(desk, NEW_WORDING)
    page = await desk.product.client(desk.rm)
    assert (await page.get("/candidates")).status == 403
    assert (await page.post("/candidates/add", {})).status == 403


async def test_a_material_with_a_version_under_way_takes_no_wording(desk: Desk) -> None:
    await accepted(desk, NEW_WORDING)
    await accepted(desk, "赎回以后几天钱才会回来呀")
    _, page = await editor_of(desk)
    [live] = await desk.all(Version)
    form = {"material": str(live.material_id), "question": NEW_WORDING}
    assert (await page.post("/candidates/add", form)).status == 303
    again = await page.post("/candidates/add", form | {"question": "赎回以后几天钱才会回来呀"})
    assert again.status == 422
    assert "还没上线的新版本" in await again.text()


# ----------------------------------------------------------------------------- judge, replay


async def test_accepted_suggestions_are_asked_again_and_nothing_is_stored(desk: Desk) -> None:
    for question in (ASKED, NEW_WORDING):
        await accepted(desk, question)
    before = len(await desk.all(Suggestion))
    now, settings = desk.product.clock(), desk.product.parts.settings
    report = await judged(settings, now, limit=10, ask_model=False)
    assert report["total"]["asked"] == 2
    assert report["total"]["rank_1"] == report["total"]["rank_3"] == 1.0
    assert report["by_intent"][Intent.QUESTION.value]["worded"] == 1.0
    assert report["missed"] == []
    assert len(await desk.all(Suggestion)) == before


async def test_a_library_that_would_not_offer_it_again_is_told_by_name(
    desk: Desk, session: AsyncSession
) -> None:
    made = await accepted(desk, ASKED)
    async with desk.product.parts.sessions.begin() as other:
        live = await other.get_one(Version, made.version_id)
        live.questions, live.title = ["网点几点开门", "周末营业吗", "营业时间"], "网点营业时间"
    for number in range(3):
        await an_approved_material(session, title=f"赎回到账{number}")
    await session.commit()
    now, settings = desk.product.clock(), desk.product.parts.settings
    report = await judged(settings, now, limit=10, ask_model=False)
    assert report["missed"] == [str(made.id)]
    assert report["total"]["rank_3"] == 0.0


async def test_material_that_is_gone_is_counted_apart(desk: Desk) -> None:
    made = await accepted(desk, ASKED)
    async with desk.product.parts.sessions.begin() as other:
        (await other.get_one(Version, made.version_id)).state = State.WITHDRAWN
    report = await judged(desk.product.parts.settings, desk.product.clock(), 10, False)
    assert (report["total"]["gone"], report["total"]["rank_3"]) == (1, None)


@pytest.fixture
async def today(product: Product, session: AsyncSession) -> Desk:
    """The same at a time that the command, which reads the real clock, calls today."""
    morning = at_local(local_day(utc_now()), time(10))
    product.clock.at(morning)
    await an_approved_material(session, now=morning)
    return await Desk(product, session).opens(now=morning)


async def siyu_judge(desk: Desk, *options: str, **around: str) -> tuple[int, dict[str, Any]]:
    """The command, as an operator types it: its exit code and its report."""
    env = environment(desk.product.parts.settings) | around
    told = await asyncio.to_thread(CliRunner().invoke, app, ["judge", *options], env=env)
    # What it logged to is closed by now.
    structlog.reset_defaults()
    return told.exit_code, json.loads(told.stdout) if told.stdout else {}


async def test_the_command_looks_at_the_newest_and_fails_below_the_share(
    today: Desk, session: AsyncSession
) -> None:
    code, report = await siyu_judge(today, "--least", "1")
    assert (code, report["total"]["asked"], report["total"]["rank_3"]) == (0, 0, None)
    for question in (ASKED, NEW_WORDING):
        newest = await accepted(today, question)
    code, report = await siyu_judge(today, "--least", "1")
    assert (code, report["total"]["asked"], report["total"]["rank_3"]) == (0, 2, 1.0)
    async with today.product.parts.sessions.begin() as other:
        live = await other.get_one(Version, newest.version_id)
        live.questions, live.title = ["网点几点开门", "周末营业吗", "营业时间"], "网点营业时间"
    for number in range(3):
        title = f"赎回到账{number}"
        await an_approved_material(session, title=title, now=today.product.clock())
    await session.commit()
    code, report = await siyu_judge(today, "--limit", "1", "--least", "0.5")
    assert (code, report["total"]["asked"], report["missed"]) == (1, 1, [str(newest.id)])
    assert (await siyu_judge(today, "--limit", "1"))[0] == 0


async def test_the_command_lets_the_model_word_only_when_asked_to(
    today: Desk, model: Model, address: str
) -> None:
    await accepted(today, ASKED)
    model.writes(("赎回申请确认后，资金一般在下一个工作日到账，具体以产品说明书为准。", 1))
    wire = {"SIYU_LLM_BASE_URL": address, "SIYU_LLM_MODEL": "m"}
    code, report = await siyu_judge(today, **wire)
    assert (code, report["writer"], model.asked) == (0, QuotingWriter().name, [])
    code, report = await siyu_judge(today, "--model", **wire)
    assert (code, report["total"]["worded"]) == (0, 1.0)
    assert report["writer"] != QuotingWriter().name
    assert len(model.asked) == 1


@pytest.mark.parametrize("options", [("--least", "1.5"), ("--least", "-1"), ("--limit", "many")])
async def test_the_command_refuses_wrong_usage(today: Desk, options: tuple[str, str]) -> None:
    assert await siyu_judge(today, *options) == (2, {})


async def test_the_replay_of_what_was_not_searched_for_tells_no_confidence(desk: Desk) -> None:
    made = await desk.asks("我要投诉你们，必须给个说法")
    page = await desk.product.client(desk.rm)
    shown = await page.text(f"/suggestions/{made.id}")
    assert "没有检索：这类消息不推荐素材" in shown
    for words in ("<dt>把握</dt>", "<dt>写法</dt>", "— 条"):
        assert words not in shown
    assert '<td class="num">—</td>' in await page.text("/suggestions")


async def test_a_replay_tells_all_that_led_to_it_and_what_became_of_it(desk: Desk) -> None:
    made = await accepted(desk, NEW_WORDING, f"李女士，{BODY}")
    told = await replayed(desk.product.parts.settings, made.id)
    assert told is not None
    for name in (
        "candidates",
        "filters",
        "intent",
        "conversation",
        "draft",
        "verdict",
        "citations",
    ):
        assert told[name], name
    assert told["candidates"][0]["score"]
    assert told["filters"]["sought"] == NEW_WORDING
    assert [attempt["state"] for attempt in told["attempts"]] == ["sent"]
    page = await (await desk.product.client(desk.rm)).text(f"/suggestions/{made.id}")
    assert "已送达" in page
    citation = made.citations[0]
    link = f"/content/{citation['material_id']}?v=1#p-{citation['position']}"
    assert link in page
    shown = await (await desk.product.client(desk.rm)).text(link)
    assert f'id="p-{citation["position"]}"' in shown

"""A wording model is never believed: whatever it answers, the customer gets passages."""

import hashlib
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from openai import AsyncOpenAI
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from bank.settings import Settings
from bot.app import writer as writer_of
from compliance.citations import stays_within
from compliance.imprint import AI_CONFIRMED
from knowledge import replies
from knowledge.metering import Meter
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import INSTRUCTIONS, OpenAIWriter
from outbound.check import Cleared
from outbound.facts import policy_of
from outbound.models import OutboundMessage
from tests.builders import a_customer, a_staff
from tests.conftest import Product
from tests.knowledge.wire import ASKED, BODY, FAITHFUL, Bench, Model


async def test_faithful_wording_is_offered_with_its_source(bench: Bench, model: Model) -> None:
    model.writes((FAITHFUL, 1))
    suggestion = await bench.suggest()
    assert suggestion.writer == "openai:m"
    assert suggestion.draft == FAITHFUL
    assert [c["passage"] for c in suggestion.citations] == [BODY]


BAD = {
    "promises": [(f"{FAITHFUL}这款产品保本保息。", 1)],
    "a number of its own": [("赎回申请确认后，资金一般在3个工作日到账。", 1)],
    "a number of another passage": [("赎回申请确认后，资金18:00到账。", 1)],
    "a product of ours nobody asked about": [("安心添利90天赎回申请确认后，下一个工作日到账。", 1)],
    "an invented product": [("稳盈宝赎回申请确认后，资金一般在下一个工作日到账。", 1)],
    "a passage that does not exist": [(FAITHFUL, 7)],
    "passage zero": [(FAITHFUL, 0)],
    "a passage by name": [(FAITHFUL, "1")],
    "what the passage does not say": [("赎回免收手续费，还可以参加抽奖。", 1)],
    "the opposite": [("赎回申请确认后，资金一般不在下一个工作日到账。", 1)],
    "its instructions": [(INSTRUCTIONS, 1)],
    "a link": [(f"{FAITHFUL}请点 https://evil.example/a", 1)],
    "markup": [(f"{FAITHFUL}<img src=x onerror=alert(1)>", 1)],
    "nothing": [],
    "an empty sentence": [("", 1)],
    "blanks": [("   ", 1)],
    "too many": [(FAITHFUL, 1)] * 9,
    "one good and one bad": [(FAITHFUL, 1), ("现在申购还送京东卡。", 1)],
}


@pytest.mark.parametrize("sentences", BAD.values(), ids=BAD.keys())
async def test_bad_wording_gives_way_to_the_quoted_passage(
    bench: Bench, model: Model, sentences: list[tuple[str, Any]]
) -> None:
    model.writes(*sentences)
    await is_quoted(await bench.suggest())
    assert len(model.asked) == 1


async def is_quoted(suggestion: Suggestion) -> None:
    assert suggestion.state is SuggestionState.OFFERED
    assert suggestion.writer == "quoting"
    assert suggestion.draft == BODY


BROKEN = {
    "no json": "好的，我来帮您写。",
    "half json": '{"sentences":[{"text":"赎回',
    "a list": "[1,2,3]",
    "a bare word": '{"sentences":"赎回"}',
    "deep nesting": '{"sentences":' + "[" * 1500 + "]" * 1500 + "}",
    "100k characters": '{"sentences":[{"text":"' + "赎回" * 50_000 + '","passage":1}]}',
    "null": '{"sentences":[{"text":null,"passage":1}]}',
    "empty": "",
}


@pytest.mark.parametrize("says", BROKEN.values(), ids=BROKEN.keys())
async def test_broken_answers_give_way_to_the_quoted_passage(
    bench: Bench, model: Model, says: str
) -> None:
    model.says = says
    await is_quoted(await bench.suggest())


@pytest.mark.parametrize(
    "raw",
    [
        web.Response(status=500, text="Traceback"),
        web.Response(status=429),
        web.Response(status=401),
        web.Response(text="<html>login</html>", content_type="text/html"),
        web.Response(text="\x00\xff garbage", content_type="application/json"),
        web.Response(text='data: {"a":1}\n\n', content_type="text/event-stream"),
        web.Response(body=b""),
        web.json_response({"choices": []}),
        web.json_response({"choices": None}),
        web.json_response({"choices": [{"message": None}]}),
        web.json_response([]),
    ],
    ids=range(11),
)
async def test_broken_servers_give_way_to_the_quoted_passage(
    bench: Bench, model: Model, raw: web.Response
) -> None:
    model.raw = raw
    await is_quoted(await bench.suggest())


async def test_a_server_that_hangs_is_not_waited_for(bench: Bench, model: Model) -> None:
    model.hangs = True
    await is_quoted(await bench.suggest())


async def test_a_redirect_is_not_followed(
    bench: Bench, model: Model, address: str, settings: Settings
) -> None:
    asked = settings.model_copy(update={"llm_base_url": address, "llm_model": "m"})
    model.raw = web.Response(status=307, headers={"Location": "/elsewhere"})
    ours = writer_of(asked, Meter(bench.product.parts.sessions, 10**6, bench.product.clock))
    assert isinstance(ours, OpenAIWriter)
    await is_quoted(await bench.suggest(writer=ours))
    await ours.close()
    assert len(model.asked) == 1
    assert model.elsewhere == []


PERSONAL = (
    "138 1234 5678",
    "138\u200b1234\u200b5678",
    "身份证11010519491231002X",
    "卡号6222020200112233446",
)


async def test_the_model_is_told_a_masked_question_and_passages_and_nothing_else(
    bench: Bench, model: Model, session: AsyncSession
) -> None:
    canary = await a_customer(session, name="金丝雀女士")
    canary.bank_no = "CANARY-0001"
    await session.flush()
    model.writes((FAITHFUL, 1))
    for number in PERSONAL:
        await bench.suggest(f"{ASKED}，{number}")
    assert len(model.asked) == len(PERSONAL)
    told = json.dumps(model.asked, ensure_ascii=False)
    for secret in (
        "5678",
        "11010519491231002X",
        "6222020200112233446",
        bench.customer.name,
        "昵称",
        str(bench.customer.id),
        str(bench.customer.external_userid),
        str(bench.customer.bank_no),
        bench.rm.userid,
        bench.rm.name,
        "金丝雀",
        "CANARY",
        "canary",
    ):
        assert secret not in told
    assert ASKED in told
    assert BODY in told


async def test_beyond_eight_wordings_a_minute_passages_are_quoted(
    bench: Bench, model: Model
) -> None:
    model.writes((FAITHFUL, 1))
    writers = [(await bench.suggest()).writer for _ in range(10)]
    assert writers == ["openai:m"] * 8 + ["quoting"] * 2
    assert len(model.asked) == 8
    bench.product.clock.forward(timedelta(minutes=2))
    assert (await bench.suggest()).writer == "openai:m"


@pytest.mark.parametrize(
    ("sentence", "within"),
    [
        (BODY, True),
        (FAITHFUL, True),
        ("您好，感谢您的咨询。", True),
        ("资金在下一个工作日到账，以产品说明书为准。", True),
        ("赎回后当天就能用。", False),
        ("稳盈宝赎回申请确认后，资金一般在下一个工作日到账。", False),
        ("赎回申请未确认，资金一般在下一个工作日到账。", False),
        ("免费赎回。", False),
    ],
)
def test_a_sentence_stays_within_its_passage_or_not(sentence: str, within: bool) -> None:
    assert stays_within(sentence, BODY) is within


def test_a_dropped_negation_is_not_within() -> None:
    passage = "本产品不保证本金，提前赎回不收手续费。"
    assert stays_within("本产品不保证本金。", passage)
    assert not stays_within("本产品保证本金。", passage)


@pytest.mark.parametrize("edit", ["", "李女士，"])
async def test_what_a_model_drafted_goes_out_marked_and_with_its_prompt_on_record(
    bench: Bench, model: Model, edit: str
) -> None:
    model.writes((FAITHFUL, 1))
    suggestion = await bench.suggest()
    policy, now = policy_of(bench.product.parts.settings), bench.product.clock()
    answer = await replies.clear(bench.session, suggestion, edit + suggestion.draft, policy, now)
    assert isinstance(answer, Cleared)
    assert answer.text == f"{edit}{FAITHFUL}\n{AI_CONFIRMED}"
    row = await bench.session.get_one(OutboundMessage, answer.message_id)
    assert (row.writer, row.ai_assisted, row.ai_marked) == ("openai:m", True, True)
    asked = model.asked[-1]["messages"][-1]["content"]
    prompt = hashlib.sha256(f"{INSTRUCTIONS}\n{asked}".encode()).hexdigest()
    assert row.prompt_hash == suggestion.prompt_hash == prompt
    assert row.edited == bool(edit)


# --------------------------------------------------------------------- the stop switch (C-42)


async def press(bench: Bench) -> None:
    """Compliance presses the button on the page, in a transaction of its own."""
    async with bench.product.parts.sessions.begin() as session:
        officer = await a_staff(session, Role.COMPLIANCE)
    desk = await bench.product.client(officer)
    answer = await desk.post("/service/stop", {"reason": "抽检发现编造"})
    assert answer.status == 303
    page = await desk.text("/service/model")
    assert "模型起草已停用" in page
    assert "抽检发现编造" in page
    assert "自动答复和模型起草已于" in await desk.text("/service")


async def test_after_the_stop_the_model_is_not_asked_and_the_passage_is_quoted(
    bench: Bench, model: Model
) -> None:
    model.writes((FAITHFUL, 1))
    await press(bench)
    await is_quoted(await bench.suggest())
    assert model.asked == []


async def test_what_a_model_is_still_writing_when_it_is_stopped_is_dropped(
    bench: Bench, model: Model, address: str
) -> None:
    model.writes((FAITHFUL, 1))
    model.meanwhile = lambda: press(bench)
    async with AsyncOpenAI(base_url=address, api_key="canary-key", max_retries=0) as client:
        await is_quoted(await bench.suggest(writer=OpenAIWriter(client, "m", patience=30)))
    assert len(model.asked) == 1


async def test_an_open_sidebar_says_so_and_the_models_draft_cannot_be_sent(
    bench: Bench, model: Model
) -> None:
    model.writes((FAITHFUL, 1))
    suggestion = await bench.suggest()
    await bench.session.commit()
    await press(bench)
    sidebar = await bench.product.client(bench.rm, "sidebar")
    page = await sidebar.text(f"/sidebar/{bench.customer.external_userid}/suggest")
    assert "停用模型起草，现在的推荐只引用审批原文" in page
    assert 'data-state="stopped"' in page
    sent = await sidebar.post(
        f"/sidebar/suggestions/{suggestion.id}/clear", {"text": suggestion.draft, "page": "p"}
    )
    assert "合规已停用模型起草" in (await sent.json())["refused"][0]


@pytest.mark.parametrize(
    ("role", "there"),
    [(Role.COMPLIANCE, True), (Role.HQ, True), (Role.AUDITOR, True), (Role.RM, False)],
)
async def test_the_menu_leads_there_for_who_may_look(bench: Bench, role: Role, there: bool) -> None:
    staff = await a_staff(bench.session, role)
    await bench.session.commit()
    home = await (await bench.product.client(staff)).text("/")
    assert ('class="menu-entry" href="/service/model"' in home) is there


async def test_without_a_model_nothing_is_said_to_be_well(
    product: Product, session: AsyncSession
) -> None:
    officer = await a_staff(session, Role.COMPLIANCE)
    await session.commit()
    page = await (await product.client(officer)).text("/service/model")
    assert "没有配置模型" in page
    assert "SIYU_LLM_BASE_URL" in page
    assert "模型可以起草" not in page
    assert re.search(r'<textarea [^>]*name="reason"[^>]*maxlength="200"', page), "nothing is cut"


async def test_two_people_lift_the_stop_and_the_model_words_again(
    bench: Bench, model: Model
) -> None:
    model.writes((FAITHFUL, 1))
    await press(bench)
    head_office = await a_staff(bench.session, Role.HQ)
    officer = await a_staff(bench.session, Role.COMPLIANCE)
    await bench.session.commit()
    hq = await bench.product.client(head_office)
    compliance = await bench.product.client(officer)
    assert (await compliance.post("/service/model/lift")).status == 409
    because = {"because": "复测 688 句全部通过"}
    assert (await hq.post("/service/model/ask", because)).status == 303
    assert (await hq.post("/service/model/lift")).status == 403
    assert (await compliance.post("/service/model/lift")).status == 303
    page = await compliance.text("/service/model")
    for said in ("全部停用", "立即停止", "照常进行", "抽检发现编造", "复测 688 句全部通过"):
        assert said in page
    assert (await bench.suggest()).writer == "openai:m"

"""A message that asks several things is answered in all of them, or says what it leaves open."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from compliance.disclosures import WEALTH
from content.models import Kind, State, Version
from customers.models import Customer
from knowledge import candidates, gaps
from knowledge.conversation import Turn
from knowledge.models import ContentGap, Suggestion, SuggestionState
from knowledge.parts import parts_of
from tests.builders import a_product, an_approved_material
from tests.conftest import Product
from tests.knowledge.desk import Desk
from tests.knowledge.wire import BODY, FAITHFUL, Bench, Model

FEES = "持有满七天后赎回不收手续费，七天以内按赎回金额的百分之一点五收取。"
BOTH = "我赎回的钱几天能到账啊？赎回的手续费多少？"
LEFT = "我赎回的钱几天能到账啊？停车券在哪里兑换？"
FUND = "稳盈月月开"


# ------------------------------------------------------------------------------ what is asked


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("赎回几天到账？手续费多少？", ("赎回几天到账？", "赎回手续费多少")),
        (f"{FUND}几天到账？手续费呢？", (f"{FUND}几天到账？", f"{FUND}手续费")),
        ("存单利率多少\n能提前支取吗", ("存单利率多少", "能提前支取吗")),
        ("风险测评在哪做，另外转账限额怎么调", ("风险测评在哪做", "另外转账限额怎么调")),
        ("赎回几天到账？", ()),
        ("我买的理财到期了，什么时候能到账？", ()),
        ("你好，在吗？我想问下赎回几天到账？", ()),
        ("真的吗？赎回几天到账？", ()),
        ("理财到期没有到账？这是怎么回事？", ()),
        ("谢谢！那手续费呢？", ()),
        ("怎么买？", ()),
        ("", ()),
    ],
)
def test_questions_stand_apart_and_what_only_presses_does_not(
    message: str, asked: tuple[str, ...]
) -> None:
    assert parts_of(message, (), (FUND,)) == asked


def test_the_turns_before_complete_every_part() -> None:
    before = (Turn("customer", f"{FUND}怎么样"), Turn("rm", "不错"))
    assert parts_of("起购多少呢？那手续费呢？", before, (FUND,)) == (
        f"{FUND}起购多少",
        f"{FUND}手续费",
    )


def test_a_message_of_nothing_but_questions_is_read_up_to_the_fourth() -> None:
    assert len(parts_of("理财怎么买？" * 50, (), ())) == 4
    # Small talk costs as much to read, and is never among the four.
    assert parts_of("今天天气好吗？" * 50 + BOTH, (), ()) == ()


# ------------------------------------------------------------------------------- one reply


@pytest.fixture
async def desk(product: Product, session: AsyncSession) -> Desk:
    """Two approved answers to two different questions."""
    await an_approved_material(session)
    questions = ("赎回的手续费多少", "赎回要收多少手续费", "提前赎回扣不扣费")
    await an_approved_material(session, title="赎回手续费说明", body=FEES, questions=questions)
    return await Desk(product, session).opens()


async def test_each_question_gets_its_paragraph_with_its_own_source(desk: Desk) -> None:
    made = await desk.asks(BOTH)
    assert made.state is SuggestionState.OFFERED, made.reasons
    assert made.draft == f"{BODY}\n{FEES}"
    assert [c["title"] for c in made.citations] == ["赎回多久到账", "赎回手续费说明"]
    assert made.reasons[0] == "客户问了不止一件事，分段作答"
    assert made.filters["parts"] == ["我赎回的钱几天能到账啊？", "赎回的手续费多少？"]
    assert made.filters["fitting"] == made.filters["live"] == made.filters["found"] == 2
    assert "text" in await desk.clears(made, made.draft)


async def test_what_nothing_answers_is_named_beside_what_is_answered(desk: Desk) -> None:
    made = await desk.asks(LEFT)
    assert made.draft == BODY
    assert made.unanswered == "停车券在哪里兑换？"
    page = await desk.sidebar.text(f"/sidebar/{desk.customer.external_userid}/suggestions")
    assert "“停车券在哪里兑换？”没有可依据的已审批素材，请自行补充" in page


async def test_what_nothing_answers_is_a_content_gap_and_the_rest_is_not(desk: Desk) -> None:
    await desk.asks(LEFT)
    async with desk.product.parts.sessions.begin() as own:
        await gaps.catch_up(own, desk.product.parts.index, desk.product.clock())
    assert [gap.question for gap in await desk.all(ContentGap)] == ["停车券在哪里兑换？"]


async def test_a_message_of_several_questions_is_no_example_question(desk: Desk) -> None:
    made = await desk.asks(BOTH)
    await desk.clears(made, made.draft)
    await desk.says_sent(made)
    assert await candidates.waiting(desk.session) == ([], 0)


async def test_the_riskiest_source_decides_what_suits(
    product: Product, session: AsyncSession
) -> None:
    await an_approved_material(session)
    fund = await a_product(session, rating=2)
    questions = ("赎回的手续费多少", "赎回要收多少手续费", "提前赎回扣不扣费")
    await an_approved_material(
        session, title="赎回手续费说明", body=FEES, questions=questions,
        kind=Kind.PRODUCT_NOTE, risk=2, products=[fund],
    )  # fmt: skip
    desk = await Desk(product, session).opens()
    made = await desk.asks(BOTH)
    assert made.draft.startswith(f"{BODY}\n{FEES}")
    assert WEALTH in made.draft
    page = await desk.sidebar.text(f"/sidebar/{desk.customer.external_userid}/suggestions")
    assert "≥ 产品 R2，风险等级匹配" in page
    product.clock.forward(timedelta(days=170))
    async with product.parts.sessions.begin() as other:
        customer = await other.get_one(Customer, desk.customer.id)
        customer.risk_level = 1
    desk.sidebar = await product.client(desk.rm, "sidebar")
    page = await desk.sidebar.text(f"/sidebar/{desk.customer.external_userid}/suggestions")
    assert "data-send" not in page
    assert "不适合这位客户" in page
    assert "不能推荐“赎回手续费说明”" in page


async def test_one_withdrawn_source_holds_the_whole_reply_back(desk: Desk) -> None:
    made = await desk.asks(BOTH)
    async with desk.product.parts.sessions.begin() as other:
        version = await other.get_one(Version, made.citations[1]["version_id"])
        version.state = State.WITHDRAWN
    assert "已下线" in (await desk.clears(made, made.draft))["refused"][0]


async def test_another_one_is_made_of_neither_passage(desk: Desk) -> None:
    made = await desk.asks(BOTH)
    await desk.sidebar.post(f"/sidebar/suggestions/{made.id}/another")
    again: Suggestion = (await desk.all(Suggestion))[-1]
    assert again.variant == 1
    assert not again.quoted & made.quoted


# --------------------------------------------------------------------------- a model words it


ASKS_TWO = "我赎回的钱几天能到账啊？赎回进度在哪里查？"
PROGRESS = "您可以在手机银行的交易记录里查看赎回的处理进度，"


async def test_a_model_words_both_and_each_stays_with_its_passage(
    bench: Bench, model: Model
) -> None:
    model.writes((FAITHFUL, 1), (f"{PROGRESS}热线服务时间为9:00至18:00。", 2))
    made = await bench.suggest(ASKS_TWO)
    assert made.writer == "openai:m"
    assert made.draft == f"{FAITHFUL}\n{PROGRESS}热线服务时间为9:00至18:00。"
    assert len({citation["version_id"] for citation in made.citations}) == 2


@pytest.mark.parametrize(
    "said", [[(FAITHFUL, 1)], [(FAITHFUL, 1), (f"{PROGRESS}18:00到账。", 1)]], ids=["one", "mixed"]
)
async def test_a_model_that_passes_one_over_gives_way_to_both_passages(
    bench: Bench, model: Model, said: list[tuple[str, int]]
) -> None:
    model.writes(*said)
    made = await bench.suggest(ASKS_TWO)
    assert made.writer == "quoting"
    assert made.draft.startswith(f"{BODY}\n{PROGRESS}")

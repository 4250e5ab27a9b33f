"""Names of products head office does not list are told by their shape (C-09)."""

import pytest

from compliance.verdict import Level, Role
from compliance.wording import check

SOLD = ["安鑫月享37号", "云溪天天金1号现金管理类理财产品", "远航均衡配置混合型基金A"]


def found(text: str, *known: str, role: Role = Role.RM) -> list[str]:
    verdict = check(text, role, [*SOLD, *known])
    return [text[f.start : f.end] for f in verdict.findings if f.category == "unlisted_product"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("隔壁那个恒泰稳盈3号不错，理财有风险，我推荐您买一点", "恒泰稳盈3号"),
        ("您看看鑫利信托，一百万起购，投资须谨慎", "鑫利信托"),
        ("有一款聚惠添利宝，适合您", "聚惠添利宝"),
        ("城投集合计划12期开售了，想约的找我", "城投集合计划12期"),
        ("推荐您配点安鑫月享38号", "安鑫月享38号"),
        ("不如买点华夏星火3号，周期短", "华夏星火3号"),
        ("推荐您配点安·鑫·月·享·3·9·号", "安·鑫·月·享·3·9·号"),
    ],
)
def test_a_product_nobody_listed_is_named_where_it_is_offered(text: str, name: str) -> None:
    assert found(text) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "推荐您看看安鑫月享37号，理财非存款，产品有风险，投资须谨慎",
        "您可以考虑月享37号",
        "恒泰稳盈3号不在我行代销，请勿相信",
        "您买的恒泰稳盈3号不是我行的产品",
        "您坐地铁3号线，5号窗口取号，买点水果",
        "稳健理财、稳利为先是我们的想法，投资前看说明书",
        "请约12号上午来，第3期讲座周五",
        "买点宝贵的时间给自己，享福",
        "聚宝盆摆件在网点展出，欢迎来看，买不买都行",
    ],
)
def test_listed_names_warnings_and_other_numbers_pass(text: str) -> None:
    assert found(text) == []


def test_what_an_approved_text_names_may_be_named() -> None:
    assert found("推荐您看看恒泰稳盈3号", "恒泰稳盈3号本行代销，R2") == []


def test_customers_may_name_anything_and_nobody_looks_without_a_list() -> None:
    text = "推荐您买恒泰稳盈3号"
    assert found(text, role=Role.CUSTOMER) == []
    assert "unlisted_product" not in check(text, Role.RM).categories


def test_a_person_decides_about_a_name() -> None:
    text = "推荐您看看恒泰稳盈3号，理财非存款，产品有风险，投资须谨慎"
    assert check(text, Role.RM, SOLD).level is Level.WARN

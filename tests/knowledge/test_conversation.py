"""Follow-ups: what is left out is put in from the turns before, and nothing else is touched."""

import pytest

from knowledge.conversation import Turn, understood

LONG, SHORT = "安心添利90天", "稳盈月月开"
NAMES = (LONG, SHORT)


def turns(*said: str) -> list[Turn]:
    """Turns of customer and RM by turns, the customer first."""
    return [Turn(("customer", "rm")[i % 2], text) for i, text in enumerate(said)]


@pytest.mark.parametrize(
    ("question", "before", "meant", "about"),
    [
        ("那手续费呢", turns(f"{LONG}起购多少", "1元起购"), f"{LONG}手续费", LONG),
        ("它风险高吗", turns(f"{LONG}期限多长"), f"{LONG}风险高吗", LONG),
        ("这款能提前取吗", turns("有什么理财", f"可以看看{SHORT}"), f"{SHORT}能提前取吗", SHORT),
        ("那款呢", turns(f"{LONG}怎么样", "不错", f"{SHORT}呢", "也可以"), f"{SHORT}那款呢", SHORT),
        ("那手续费呢", turns("赎回几天到账", "下一个工作日"), "赎回手续费", ""),
        ("起购多少呢", turns("大额存单现在还有吗", "有的"), "大额存单起购多少", ""),
        ("赎回几天到账", turns(f"{LONG}起购多少"), "赎回几天到账", ""),
        ("风险测评在哪里做", turns("赎回几天到账", "一天"), "风险测评在哪里做", ""),
        ("申购的手续费呢", turns("赎回几天到账", "一天"), "申购的手续费呢", ""),
        ("风险高吗", turns(f"{LONG}起购多少", "1元"), f"{LONG}风险高吗", LONG),
        (f"{SHORT}手续费呢", turns(f"{LONG}起购多少"), f"{SHORT}手续费呢", SHORT),
        ("那手续费呢", [], "那手续费呢", ""),
        ("那时候市场怎么样", turns(f"{LONG}起购多少"), "那时候市场怎么样", ""),
        (
            "封闭的那只中间能不能先拿一部分出来",
            turns("我的测评好像过期了，还能买吗"),
            "封闭的那只中间能不能先拿一部分出来",
            "",
        ),
        ("好的谢谢", turns(f"{LONG}起购多少"), "好的谢谢", ""),
    ],
)
def test_what_is_left_out_comes_from_the_turns_before(
    question: str, before: list[Turn], meant: str, about: str
) -> None:
    found = understood(question, before, NAMES)
    assert (found.text, found.about) == (meant, about)
    assert bool(found.reason) == (found.text != question)


def test_three_turns_keep_their_product() -> None:
    before = turns(f"{LONG}起购多少", "1元", "那手续费呢", "见说明书")
    assert understood("风险呢", before, NAMES).text == f"{LONG}风险"
    assert understood("期限多久", before, NAMES).about == LONG


def test_what_is_kept_tells_how_it_was_understood() -> None:
    before = turns(f"{LONG}起购多少")
    kept = understood("那手续费呢", before, NAMES).kept(before)
    assert kept["turns"] == [{"speaker": "customer", "text": f"{LONG}起购多少"}]
    assert LONG in kept["reason"]
    assert kept["understood"] == f"{LONG}手续费"

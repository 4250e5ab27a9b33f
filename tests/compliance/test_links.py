"""Links are found however they are dressed, and strangers among them."""

from time import perf_counter

import pytest

from compliance.links import links_in, strangers

BANK = ["yzbank.cn"]


@pytest.mark.parametrize(
    "text",
    [
        "请打开 https://evil.com/a 查看",
        "evil.com",
        "加我看 www.evil.com。谢谢",
        "https://yzbank.cn@evil.com/x",
        "https://yzbank.cn.evil.com/x",
        "evil。com",
        "ｅｖｉｌ．ｃｏｍ",
        "https:evil.com",
        "HTTPS:\\\\evil.com",
        "云州银行.com",
        "weixin://dl/business?t=1",
        "1.2.3.4:8080/pay",
        "发到 wang@evil.com",
        "fakeyzbank.cn",
    ],
)
def test_a_stranger_is_seen_however_it_is_dressed(text: str) -> None:
    assert strangers(text, BANK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "净值 1.0234 元，T+1.5 到账，R2（中低风险）。",
        "单位净值1.0000，v2.3 版。",
        "请打开 https://www.yzbank.cn/help 或 yzbank.cn。",
        "2026.11.23 起息；详见说明书第 3.2 节。",
    ],
)
def test_our_own_pages_and_plain_numbers_pass(text: str) -> None:
    assert strangers(text, BANK) == []


def test_a_link_of_the_approved_text_passes_and_its_neighbour_does_not() -> None:
    approved = "详情见 https://fund.example.com/notice/1。"
    assert strangers("见 https://fund.example.com/notice/1", [], [approved]) == []
    assert strangers("见 https://fund.example.com/notice/2", [], [approved])


@pytest.mark.parametrize("piece", ["a.", "@", "http://", "a-", "1.", "云.", "x/"])
def test_no_text_makes_the_search_slow(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    took = []
    for _ in range(3):
        began = perf_counter()
        links_in(text)
        took.append(perf_counter() - began)
    # Twice the text takes about twice as long; the bound leaves room for a busy machine.
    assert min(took) < 1.0

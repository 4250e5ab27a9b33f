"""What is a question in a group, and what is not answered before everybody."""

import pytest

from bot.groups.recognising import (
    NAMES_SOMEBODY,
    answered_part,
    question_of,
    veiled,
    why_private,
    without_names,
)

QUESTIONS = (
    "理财赎回几天到账",
    "赎回的钱多久能用？",
    "请问周末网点营业吗",
    "净值为什么跌了",
    "想了解一下个人养老金",
    "风险测评在哪里做",
    "能不能提前支取",
)
NO_QUESTIONS = (
    "好的，收到",
    "谢谢",
    "在吗",
    "早上好",
    "已经赎回了",
    "大家新年快乐",
    "👍",
    "？",
    "嗯嗯好的谢谢您",
)


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_is_recognised(text: str) -> None:
    assert question_of(text) == text


@pytest.mark.parametrize("text", NO_QUESTIONS)
def test_small_talk_and_statements_are_none(text: str) -> None:
    assert question_of(text) == ""


def test_whom_it_is_for_and_what_it_replies_to_are_no_part_of_it() -> None:
    assert question_of("@王敏\u2005理财赎回几天到账") == "理财赎回几天到账"
    reply = "「李女士：理财赎回几天到账」\n- - - - - - - - - -\n同问，多久能到呀"
    assert answered_part(reply) == ("理财赎回几天到账", "同问，多久能到呀")
    assert question_of(reply) == "同问，多久能到呀"
    assert answered_part("没有引用") == ("", "没有引用")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("我手机13812345678，赎回几天到账", "含有手机号"),
        ("帮我查一下我的余额还有多少", "涉及资金操作"),
        ("我买的那只亏了多少", "涉及客户本人的账户信息"),
        ("银行卡丢了怎么办", "涉及账户安全"),
        ("李女士买的那只什么时候到期", NAMES_SOMEBODY),
        ("理财赎回几天到账", ""),
        ("会不会跌", ""),
    ],
)
def test_somebodys_own_business_is_not_answered_before_everybody(text: str, reason: str) -> None:
    found = why_private(text, ["李女士", "王"])
    assert bool(found) == bool(reason)
    assert not reason or found == reason or reason.startswith("涉及")


def test_names_are_taken_out_and_those_of_strangers_veiled() -> None:
    assert without_names("李女士的到期了吗", ["李女士"]) == "[姓名]的到期了吗"
    assert veiled("云淡风轻") == "云**"
    assert veiled("") == "群友"

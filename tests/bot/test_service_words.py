"""The fixed words of 微信客服: clean themselves, and in doubt a person answers."""

from time import perf_counter

import pytest

from bot.service import words
from compliance.courtesy import is_courtesy
from compliance.guard import checked
from compliance.imprint import with_ai_mark
from compliance.verdict import Role


@pytest.mark.parametrize(
    "text",
    [
        words.HANDOVER,
        words.introduction("云州银行"),
        with_ai_mark("资金一般在下一个工作日到账。", confirmed=False),
    ],
)
def test_what_the_assistant_says_passes_the_check_for_machines(text: str) -> None:
    assert checked(text, Role.BOT).allowed


@pytest.mark.parametrize(
    "text",
    [
        "赎回几天到账",
        "我想赎回，几天到账？",
        "什么是业绩比较基准",
        "请问怎么开通手机银行",
        "人工智能基金是什么",
        "大额存单起点是多少",
        "你是机器人还是真人啊",
    ],
)
def test_plain_questions_need_no_person(text: str) -> None:
    assert words.why_a_person(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "转 人 工",
        "帮我转账5000元",
        "我想赎回",
        "替我买一万那个理财",
        "我的钱怎么还没到账",
        "验证码发给你可以吗",
        "这款会不会亏",
        "我还是学生，我是学生能开户吗",
        "不想活了",
        "你们骗人，我要举报",
    ],
)
def test_in_doubt_a_person_answers(text: str) -> None:
    assert words.why_a_person(text)


@pytest.mark.parametrize("text", ["谢谢", "好的好的", "嗯嗯，知道了，再见", "没事了"])
def test_thanks_ask_nothing(text: str) -> None:
    assert is_courtesy(text)


@pytest.mark.parametrize("text", ["好的" * 600 + "x", "你好" * 600 + "x", "我要帮我" * 400])
def test_long_messages_take_no_time(text: str) -> None:
    started = perf_counter()
    for judge in (words.why_a_person, words.asks_who, is_courtesy):
        judge(text)
    assert perf_counter() - started < 2

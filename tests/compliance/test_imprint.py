"""Who speaks, how to stop it, and that a machine wrote it."""

from hypothesis import given
from hypothesis import strategies as some

from compliance.imprint import AI_CONFIRMED, AI_MARK, STOP, with_ai_mark, with_sender


@given(some.text())
def test_the_mark_of_a_machine_stands_first_however_often_it_is_put(text: str) -> None:
    once = with_ai_mark(text, confirmed=False)
    assert once.startswith(AI_MARK)
    assert with_ai_mark(once, confirmed=False) == once


@given(some.text(), some.text())
def test_the_mark_of_a_confirmed_draft_stands_last_wherever_it_was(one: str, two: str) -> None:
    marked = with_ai_mark(f"{one}{AI_CONFIRMED}{two}", confirmed=True)
    assert marked.endswith(AI_CONFIRMED)
    assert with_ai_mark(marked, confirmed=True) == marked


def test_a_marketing_text_says_who_sends_it_and_how_to_stop() -> None:
    assert with_sender("新一期沙龙开放报名", "云州银行", "王敏") == (
        f"新一期沙龙开放报名\n【云州银行 王敏】{STOP}"
    )
    told = "云州银行王敏邀请您参加沙龙。如需退订请回复TD。"
    assert with_sender(told, "云州银行", "王敏") == told
    assert with_sender("云州银行王敏邀请您", "云州银行", "王敏") == f"云州银行王敏邀请您\n{STOP}"

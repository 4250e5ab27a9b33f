"""Promises to make a loss good, in words nothing was learnt from, and innocent neighbours."""

from pathlib import Path

import pytest

from compliance.guard import checked
from compliance.normalise import normalise
from compliance.training.sentences import LEARNT, read_sentences
from compliance.verdict import Role

SENTENCES = Path(__file__).with_name("compensation.txt").read_text("utf-8").splitlines()
PROMISES = [line[2:] for line in SENTENCES if line.startswith("+ ")]
INNOCENT = [line[2:] for line in SENTENCES if line.startswith("- ")]


@pytest.mark.parametrize("role", [Role.RM, Role.BOT, Role.MATERIAL])
@pytest.mark.parametrize("end", ["", "。"])
def test_the_bank_never_promises_to_pay_for_losses(role: Role, end: str) -> None:
    for said in ("如有损失我行全额赔付给您", "如有损失我行全额赔付", "您的亏损由我们承担"):
        verdict = checked(f"赎回后下一个工作日到账。{said}{end}", role)
        assert not verdict.allowed, said
        assert "guarantee_principal" in verdict.categories


def test_most_promises_are_stopped_and_hardly_an_innocent_neighbour() -> None:
    assert min(len(PROMISES), len(INNOCENT)) >= 50
    passed = [text for text in PROMISES if checked(text, Role.RM).allowed]
    stopped = [text for text in INNOCENT if not checked(text, Role.RM).allowed]
    assert len(passed) <= 0.15 * len(PROMISES), passed
    assert len(stopped) <= 0.04 * len(INNOCENT), stopped


def test_nothing_of_them_was_learnt() -> None:
    learnt = {normalise(sentence.text).text.strip("。!?") for sentence in read_sentences(LEARNT)}
    both = [*PROMISES, *INNOCENT]
    assert [text for text in both if normalise(text).text.strip("。!?") in learnt] == []

"""The learnt half of the wording check: what it makes of sentences it never saw."""

from pathlib import Path

import pytest

from bot.bench import checker
from compliance.classifier import Classifier, WeightsDamaged, builtin
from compliance.normalise import normalise
from compliance.reading import stretches
from compliance.training.sentences import (
    HELD_OUT,
    HELD_OUT_SECOND,
    LEARNT,
    MalformedSentence,
    Sentence,
    read_sentences,
)
from compliance.training.train import train, write
from compliance.verdict import Role
from compliance.wording import CATEGORIES, check

FEW = [
    Sentence(text, violates, "guarantee_principal" if violates else "benign")
    for text, violates in [
        ("本金我给您托着", True),
        ("亏了行里补给您", True),
        ("本金一分不会少", True),
        ("跌了算我的", True),
        ("明早九点开门", False),
        ("回单放在前台了", False),
        ("本金可能受损，请看说明书", False),
        ("周末愉快", False),
    ]
] + [
    Sentence("首选就是我们行", True, "superlative"),
    Sentence("您的密码我来保管", True, "misconduct"),
]


@pytest.fixture(scope="module", params=[HELD_OUT, HELD_OUT_SECOND], ids=lambda path: path.name)
def held_out(request: pytest.FixtureRequest) -> checker.Checker:
    return checker.of(read_sentences(request.param), request.param.name, times=20)


@pytest.fixture(scope="module")
def both() -> checker.Checker:
    rows = [*read_sentences(HELD_OUT), *read_sentences(HELD_OUT_SECOND)]
    return checker.of(rows, "both", times=20)


def test_of_sentences_it_never_saw_it_catches_most_and_stops_few(both: checker.Checker) -> None:
    everything, critical = both.groups[:2]
    assert everything.caught.share >= 0.95, everything
    assert everything.precision.share >= 0.95, everything
    assert everything.stopped.share <= 0.05, everything
    assert critical.caught.share >= 0.98, critical
    assert both.named.share >= 0.85


def test_no_disguise_hides_a_violation_and_no_courtesy_makes_one(
    held_out: checker.Checker,
) -> None:
    for name, rate in held_out.survived.items():
        assert rate.share >= 0.95, (name, rate)
    for name, rate in held_out.stayed.items():
        assert rate.share >= 0.99, (name, rate)


def test_nothing_held_out_was_learnt() -> None:
    learnt = {normalise(sentence.text).text.strip("。!?") for sentence in read_sentences(LEARNT)}
    held_out = [*read_sentences(HELD_OUT), *read_sentences(HELD_OUT_SECOND)]
    assert [s.text for s in held_out if normalise(s.text).text.strip("。!?") in learnt] == []


def test_every_category_is_learnt_and_held_out_on_both_sides() -> None:
    for folder, fewest in ((LEARNT, 300), (HELD_OUT, 30), (HELD_OUT_SECOND, 8)):
        rows = read_sentences(folder)
        for category in CATEGORIES:
            violating = sum(row.violates for row in rows if row.category == category)
            acceptable = sum(not row.violates for row in rows if row.category == category)
            assert min(violating, acceptable) >= fewest, (category, violating, acceptable)


def test_training_is_repeatable_and_survives_being_written(tmp_path: Path) -> None:
    one, again = train(FEW), train(FEW)
    write(one, tmp_path / "weights.npz")
    kept = Classifier.read(tmp_path / "weights.npz")
    for text in ("本金我托着", "明天开门"):
        judged = one.judge(text)
        assert judged == again.judge(text)
        assert kept.judge(text).probability == pytest.approx(judged.probability, abs=0.03)
    assert one.judge("本金我托着").probability > 0.5 > one.judge("周末开门").probability


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(b"not what training wrote")
    with pytest.raises(WeightsDamaged):
        Classifier.read(path)


def test_a_finding_points_at_the_words_that_speak_for_it() -> None:
    text = "张姐早上好，周末愉快。亏了行里都会给您补上的。明天见。"
    [finding] = [one for one in check(text, Role.RM).findings if one.rule.endswith(".learnt")]
    assert "亏了" in text[finding.start : finding.end]
    assert "张姐" not in text[finding.start : finding.end]
    assert finding.suggestion


def test_a_promise_between_friendly_sentences_is_read_by_itself() -> None:
    read = stretches(normalise("早上好！亏多少我个人补给您。祝您愉快。").text)
    assert max(one.judgement.probability for one in read) > 0.5
    assert builtin().judge("早上好").probability < 0.3


def test_a_line_of_a_sentence_file_says_whether_it_violates(tmp_path: Path) -> None:
    (tmp_path / "benign.txt").write_text("- 早上好\n没有记号\n", "utf-8")
    with pytest.raises(MalformedSentence, match=r"benign.txt:2"):
        read_sentences(tmp_path)

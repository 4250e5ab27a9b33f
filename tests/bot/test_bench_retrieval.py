"""Retrieval figures are what they say, on a collection small enough to count by hand."""

import json
from math import log2
from pathlib import Path

import pytest
from rich.console import Console

from bot.bench import questions, retrieval, retrieval_tables, silence
from bot.demo.library import materials_on_file
from knowledge.grams import normalise
from knowledge.training.intents import read_intents, small_talk

WAYS = ["怎么{}", "{}在哪里弄", "我想{}", "{}要多久", "能帮我{}吗", "为什么{}不了", "{}要收费吗"]
ACTS = ["赎回理财", "挂失银行卡", "重置登录密码", "提高转账限额"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four documents with seven questions each; every question has the document's own words."""
    corpus = [{"id": f"d{n}", "text": act} for n, act in enumerate(ACTS)]
    queries, labels = [], ["query-id\tcorpus-id\tscore"]
    for number, act in enumerate(ACTS):
        for turn, way in enumerate(WAYS):
            name = f"q{number}.{turn}"
            queries.append({"id": name, "suite": "acts", "text": way.format(act)})
            labels.append(f"{name}\td{number}\t1")
    queries.append({"id": "lost", "suite": "acts", "text": "没有标注的问题"})
    for file, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (tmp_path / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "qrels.tsv").write_text("\n".join(labels) + "\n", encoding="utf-8")
    return tmp_path


def test_every_method_is_measured_on_what_was_not_taught(folder: Path) -> None:
    found = retrieval.measure(folder)
    assert found.documents == 4
    assert list(found.methods) == [
        "BM25 alone", "built-in alone", "hybrid", "hybrid, 1 phrasings learnt",
        "hybrid, 3 phrasings learnt", "hybrid, 5 phrasings learnt",
    ]  # fmt: skip
    asked = [suites["acts"].questions for suites in found.methods.values()]
    assert asked == [28, 28, 28, 24, 16, 8]
    assert all(suites["acts"].r5 == 1 for suites in found.methods.values())
    assert found.methods["BM25 alone"]["acts"].r1 == 1
    assert found.methods["built-in alone"]["acts"].r1 > 0.9
    assert list(found.quiet) == [0, 1, 3, 5]
    assert all(0 <= quiet.near_domain <= 1 for quiet in found.quiet.values())
    retrieval_tables.show_retrieval(Console(quiet=True), found)


def test_fewer_questions_of_a_suite_are_spread_evenly(folder: Path) -> None:
    found = retrieval.measure(folder, each=7)
    assert found.methods["hybrid"]["acts"].questions == 7


def test_in_a_smaller_pool_only_what_it_answers_is_asked(folder: Path) -> None:
    with (folder / "corpus.jsonl").open("a", encoding="utf-8") as corpus:
        for number in range(6):
            row = {"id": f"other{number}", "text": f"网点第{number}窗口"}
            corpus.write(json.dumps(row, ensure_ascii=False) + "\n")
    found = retrieval.measure(folder, documents=5)
    assert found.documents == 5
    assert found.methods["hybrid"]["acts"].questions == 28


def test_the_figures_are_the_formulas() -> None:
    right = frozenset({"a", "b"})
    found = retrieval.ranked([(right, ["x", "a", "b"]), (right, ["a"]), (right, ["x"])])
    assert (found.r1, found.r5, found.r10) == (1 / 3, 2 / 3, 2 / 3)
    assert found.mrr == pytest.approx((1 / 2 + 1) / 3)
    ideal = 1 + 1 / log2(3)
    assert found.ndcg == pytest.approx(((1 / log2(3) + 1 / 2) / ideal + 1 / ideal) / 3)


def test_silence_counts_what_is_trusted_too_much() -> None:
    def sure(*pairs: tuple[float, bool]) -> list[silence.Sure]:
        return [silence.Sure(*pair) for pair in pairs]

    wanted = sure((0.9, True), (0.5, True))
    assert silence.area(wanted, sure((0.5, False), (0.1, False))) == (2 + 1.5) / 4
    assert silence.coverage([*wanted, *sure((0.4, False), (0.3, True))], 4) == 0.5
    assert silence.coverage(sure((0.9, False), (0.5, True)), 2) == 0


def test_what_is_asked_was_not_learnt_and_every_code_is_on_the_shelf() -> None:
    learnt = {normalise(text) for wordings in read_intents().values() for text in wordings}
    asked = list(retrieval.rows(questions.QUESTIONS))
    codes = {material["code"] for material in materials_on_file()}
    taught = {normalise(row["text"]) for row in questions.library()[1]}
    assert len(asked) >= 300
    assert sum(not row["materials"] for row in asked) >= 60
    assert {code for row in asked for code in row["materials"]} <= codes
    assert not learnt & {normalise(row["text"]) for row in asked}
    # A customer may well use an approved wording; most of them must not.
    assert len(taught & {normalise(row["text"]) for row in asked}) < 10
    assert not {normalise(text) for text in small_talk()} & set(map(normalise, silence.spoken()))


def test_the_demo_library_answers_its_customers() -> None:
    found = questions.measure()
    assert found.materials == len(materials_on_file())
    assert found.found.r1 > 0.8
    assert found.found.r5 > 0.93
    assert found.absent > 0.8
    assert sum(tier.questions for tier in found.tiers.values()) >= 300
    # Asked for one by one, two questions of a message are nearly always both answered.
    assert found.pairs.messages == questions.PAIRS
    assert found.pairs.both > 0.7 * found.pairs.apart > 0.5 * found.pairs.messages
    retrieval_tables.show_questions(Console(quiet=True), found)

"""BM25 over characters, pairs and synonyms; what is not allowed is not scored."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.grams import grams
from knowledge.lexical import (
    K1,
    RARITY_POWER,
    REPEATS,
    SYNONYMS_FILE,
    B,
    Postings,
    Shelf,
    Synonyms,
    bm25,
    terms,
)

TEXTS = ["理财赎回后多久到账", "忘记登录密码怎么办", "定期存款利率是多少", "基金定投怎么取消"]
NONE = Synonyms([])


def shelf(texts: list[str], synonyms: Synonyms = NONE, dead: int | None = None) -> Shelf:
    alive = np.ones(len(texts), dtype=bool)
    if dead is not None:
        alive[dead] = False
    return Shelf(Postings.of(terms(texts, synonyms)), alive)


def scores(query: str, texts: list[str], synonyms: Synonyms = NONE) -> list[float]:
    one = shelf(texts, synonyms)
    return list(bm25(terms([query], synonyms).keys, [one], [one.alive])[0])


def test_the_text_with_the_words_comes_first_and_one_without_any_has_nothing() -> None:
    found = scores("赎回几天到账", TEXTS)
    assert int(np.argmax(found)) == 0
    assert scores("xyz", TEXTS) == [0, 0, 0, 0]
    assert scores("", TEXTS) == [0, 0, 0, 0]
    assert bm25(grams(["赎回"]).keys, [], []) == []


def test_the_score_is_the_formula() -> None:
    texts = ["啊", "啊啊波", "波"]
    lengths = np.array([1, 5, 1])  # 啊 · 啊 啊 波 啊啊 啊波 · 波
    rarity = np.log(1 + (3 - 2 + 0.5) / (2 + 0.5)) ** RARITY_POWER
    damping = K1 * (1 - B + B * np.log2(1 + lengths / lengths.mean()))
    counts = np.array([1, 2, 0])
    expected = rarity * counts * (K1 + 1) / (counts + damping)
    assert scores("啊", texts) == pytest.approx(list(expected))
    said_twice = expected * 2 * (REPEATS + 1) / (2 + REPEATS)
    assert scores("啊。啊", texts) == pytest.approx(list(said_twice))


def test_a_row_that_is_not_allowed_has_no_score_and_changes_nobody_elses() -> None:
    one = shelf([*TEXTS, TEXTS[0]])
    query = terms([TEXTS[0]], NONE).keys
    open_to_all = bm25(query, [one], [one.alive])[0]
    mask = np.array([False, True, True, True, True])
    masked = bm25(query, [one], [mask])[0]
    assert masked[0] == 0
    assert list(masked[1:]) == pytest.approx(list(open_to_all[1:]))


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="赎回到账利率密码", max_size=8), min_size=1, max_size=8), st.data()
)
def test_parts_and_dead_rows_score_as_one_clean_index(
    texts: list[str], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(texts)))
    dead = data.draw(st.integers(0, len(texts) - 1))
    query = data.draw(st.text(alphabet="赎回到账利率密码", max_size=6))
    parts = [shelf(texts[:cut]), shelf(texts[cut:])]
    alive = [part.alive.copy() for part in parts]
    alive[dead >= cut][dead - cut if dead >= cut else dead] = False
    living = [Shelf(part.postings, mask) for part, mask in zip(parts, alive, strict=True)]
    split = np.concatenate(bm25(grams([query]).keys, living, alive))
    rest = texts[:dead] + texts[dead + 1 :]
    assert list(np.delete(split, dead)) == pytest.approx(scores(query, rest))
    assert split[dead] == 0


def test_synonyms_find_what_shares_no_character() -> None:
    synonyms = Synonyms([["赎回", "拿出来"], ["多久", "几天"]])
    assert scores("拿出来", ["赎回", "购买"], synonyms)[0] > 0
    assert scores("拿出来", ["赎回", "购买"])[0] == 0
    assert len(synonyms.keys("几天能赎回，赎回几天")) == 2


def test_the_longest_word_wins_where_words_overlap() -> None:
    synonyms = Synonyms([["定期"], ["定期存款", "定存"]])
    assert synonyms.keys("定期存款") == synonyms.keys("定存")


def test_the_shipped_synonyms_have_no_word_in_two_classes() -> None:
    shipped = Synonyms.builtin()
    assert shipped.keys("怎么赎回") == shipped.keys("如何卖出")
    lines = SYNONYMS_FILE.read_text(encoding="utf-8").splitlines()
    assert all(len(line.split()) > 1 for line in lines if line and not line.startswith("#"))


def test_a_word_in_two_classes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "synonyms.txt"
    file.write_text("# 说明\n赎回 卖出\n卖出 转让\n", encoding="utf-8")
    with pytest.raises(ValueError, match="卖出"):
        Synonyms.read(file)

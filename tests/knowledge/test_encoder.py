"""Texts become unit vectors, the shipped table is what was built, and training repeats exactly."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge import encoder as encoder_module
from knowledge.contrastive import Schedule, fit
from knowledge.encoder import (
    ModelsNotInstalled,
    SentenceTransformersEncoder,
    StaticEncoder,
    TableDamaged,
    load_encoder,
    pack,
    quantise,
    unpack,
)
from knowledge.grams import grams, normalise
from knowledge.training.intents import read_intents, small_talk
from knowledge.training.train import train, untrained, write_table

TINY = {
    "redeem": ["怎么赎回", "想把钱取出来", "卖出在哪里"],
    "rate": ["利率多少", "利息有几个点", "一年给多少"],
    "lost": ["卡丢了", "银行卡被偷", "赶紧挂失"],
}


def tiny_encoder() -> StaticEncoder:
    return untrained(seed=7, size=512, dimension=16)


def test_a_gram_is_a_character_or_a_pair_of_neighbours_not_across_punctuation() -> None:
    assert len(grams(["赎回"]).keys) == 3
    assert len(grams(["赎。回"]).keys) == 2
    assert grams(["ＡＢ", "ab"]).lengths.tolist() == [3, 3]
    assert normalise("Ｒ2 产品，好吗？") == "r2 产品 好吗"


def test_encoding_gives_one_unit_row_a_text() -> None:
    vectors = tiny_encoder().encode(["怎么赎回", "R2 风险大吗", "a"])
    assert vectors.shape == (3, 16)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1])


def test_a_text_with_nothing_in_it_is_a_row_of_zeros() -> None:
    vectors = tiny_encoder().encode(["", "怎么赎回", "？！…", "   "])
    assert not vectors[[0, 2, 3]].any()
    assert vectors[1].any()
    assert tiny_encoder().encode([]).shape == (0, 16)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=6))
def test_a_text_is_encoded_the_same_alone_and_in_company(texts: list[str]) -> None:
    encoder = tiny_encoder()
    together = encoder.encode(texts)
    lengths = np.linalg.norm(together, axis=1)
    assert np.all((lengths == 0) | (np.abs(lengths - 1) < 1e-5))
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0], row, atol=1e-6)


def test_many_texts_are_encoded_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny_encoder()
    texts = ["怎么赎回", "", "利率多少啊", "卡丢了"] * 5
    whole = encoder.encode(texts)
    monkeypatch.setattr(encoder_module, "GRAMS_AT_ONCE", 8)
    np.testing.assert_array_equal(encoder.encode(texts), whole)


def test_an_encoder_takes_plain_arrays_and_says_when_they_do_not_fit() -> None:
    encoder = StaticEncoder(np.ones((8, 4), dtype=np.int8), np.full(8, 0.5))
    assert encoder.encode(["好"]).tolist() == [[0.5, 0.5, 0.5, 0.5]]
    with pytest.raises(ValueError, match="one scale a row"):
        StaticEncoder(np.ones((8, 4)), np.ones(7))


def test_four_bits_a_number_lose_little() -> None:
    table = tiny_encoder().table
    levels, scales = quantise(table)
    assert np.array_equal(unpack(pack(levels)), levels)
    restored = StaticEncoder(levels, scales).encode(["怎么赎回"])
    assert float(restored[0] @ tiny_encoder().encode(["怎么赎回"])[0]) > 0.97


def test_the_shipped_table_loads_and_knows_more_than_characters() -> None:
    encoder = load_encoder("builtin")
    assert encoder is load_encoder("builtin")
    assert encoder.dimension == 256
    assert encoder.name.startswith("builtin-")
    asked, same, other = encoder.encode(["急用钱怎么拿出来", "怎么赎回", "怎么开户"])
    assert asked @ same > asked @ other


def test_a_changed_table_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "table.npz"
    with np.load(encoder_module.TABLE_FILE, allow_pickle=False) as stored:
        table = stored["table"].copy()
        table[0, 0] ^= 1
        np.savez(damaged, table=table, scales=stored["scales"], sha256=stored["sha256"])
    monkeypatch.setattr(encoder_module, "TABLE_FILE", damaged)
    with pytest.raises(TableDamaged, match="checksum"):
        StaticEncoder.builtin()
    damaged.write_bytes(b"not a table")
    with pytest.raises(TableDamaged):
        StaticEncoder.builtin()
    write_table(tiny_encoder(), damaged)
    with pytest.raises(TableDamaged, match="shape"):
        StaticEncoder.builtin()


def test_a_sentence_model_without_its_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelsNotInstalled, match=r"pip install siyu\[models\]"):
        SentenceTransformersEncoder("BAAI/bge-small-zh-v1.5")
    with pytest.raises(ModelsNotInstalled):
        load_encoder("some/folder")


def test_training_twice_gives_the_same_table_and_another_seed_another() -> None:
    first = train(TINY, Schedule(steps=5, seed=1))
    again = train(TINY, Schedule(steps=5, seed=1))
    other = train(TINY, Schedule(steps=5, seed=2))
    np.testing.assert_array_equal(first.table, again.table)
    assert not np.array_equal(first.table, other.table)


def test_training_brings_wordings_of_one_meaning_together() -> None:
    before = tiny_encoder()
    after = fit(before, list(TINY.values()), Schedule(steps=60))

    def nearness(encoder: StaticEncoder) -> float:
        asked, same, other = encoder.encode(["想把钱取出来", "怎么赎回", "利率多少"])
        return float(asked @ same - asked @ other)

    assert nearness(after) > nearness(before) + 0.3
    assert after.name != before.name


def test_training_tells_wordings_from_texts_of_one_wording() -> None:
    alone, schedule = "怎么取保险", Schedule(steps=60)
    without = fit(tiny_encoder(), list(TINY.values()), schedule)
    beside = fit(tiny_encoder(), [*TINY.values(), [alone]], schedule)

    def nearness(encoder: StaticEncoder) -> float:
        asked, other = encoder.encode(["怎么赎回", alone])
        return float(asked @ other)

    assert nearness(beside) < nearness(without) - 0.1


def test_training_without_two_meanings_changes_nothing() -> None:
    encoder = tiny_encoder()
    assert fit(encoder, [["怎么赎回", "取钱"], ["只有一句"], ["", "！"]], Schedule()) is encoder
    assert fit(encoder, [], Schedule()) is encoder


def test_every_intent_has_at_least_six_different_wordings() -> None:
    intents = read_intents()
    assert len(intents) >= 1500
    assert all(len(set(wordings)) >= 6 for wordings in intents.values())
    assert len(small_talk()) >= 50


def test_a_wording_of_two_intents_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "intents.txt"
    file.write_text("redeem: 怎么赎回 | 想取钱\ncash: 取现金 | 怎么赎回？\n", encoding="utf-8")
    with pytest.raises(ValueError, match="怎么赎回 is in redeem and in cash"):
        read_intents([file])


def test_an_intent_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "intents.txt"
    file.write_text("# 说明\nhello: 你好 | 在吗\nhello: 早\n", encoding="utf-8")
    with pytest.raises(ValueError, match="hello stands twice"):
        read_intents([file])

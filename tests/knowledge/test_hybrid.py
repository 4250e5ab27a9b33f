"""Search over the library: who may find what, to the second; nothing outside the filter, ever."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chaos.indexes import take_away_vectors
from knowledge.calibration import held_out
from knowledge.encoder import StaticEncoder
from knowledge.hybrid import Audience, Entry, Found, HybridIndex
from knowledge.index import FaissStore, IndexDamaged, VectorStore
from knowledge.pgvector import PgvectorStore, prepare
from knowledge.snapshot import CANDIDATES, Fusion
from knowledge.training.intents import FILES, read_intents, small_talk
from knowledge.training.train import untrained

OPENS = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CLOSES = datetime(2026, 6, 30, 16, 0, tzinfo=UTC)
NOON = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BUND, PUDONG = UUID(int=1), UUID(int=2)
RM = Audience(NOON, "single_chat", BUND, 3)
ENCODER = untrained(seed=3, size=8192, dimension=64)


def an_entry(document: str, text: str, **facts: object) -> Entry:
    entry = Entry(
        key=0,
        document=document,
        role="passage",
        position=0,
        text=text,
        valid_from=OPENS,
        valid_until=CLOSES,
        channels=frozenset({"single_chat"}),
        branches=None,
        risk=2,
    )
    return replace(entry, **facts)  # type: ignore[arg-type]


def an_index(
    *entries: Entry, encoder: StaticEncoder = ENCODER, store: VectorStore | None = None
) -> HybridIndex:
    index = HybridIndex(encoder, store=store)
    documents: dict[UUID | str, list[Entry]] = {}
    for entry in entries:
        documents.setdefault(entry.document, []).append(entry)
    index.replace_documents(documents)
    return index


def names(found: Found) -> list[UUID | str]:
    return [hit.document for hit in found.hits]


def can_find(entry: Entry, audience: Audience) -> bool:
    return bool(an_index(entry).search(entry.text, audience, 5).hits)


REDEEM = an_entry("redeem", "理财赎回后多久到账")
LIBRARY = [REDEEM, an_entry("rate", "定期存款利率是多少"), an_entry("lost", "银行卡丢了怎么挂失")]


def test_the_nearest_document_comes_first_with_what_it_matched() -> None:
    found = an_index(*LIBRARY).search("赎回几天到账", RM, 2)
    assert names(found)[0] == "redeem"
    assert found.hits[0].matched_text == REDEEM.text
    assert found.hits[0].best_role == "passage"
    assert found.hits[0].score >= found.hits[1].score
    assert 0 <= found.confidence <= 1


def test_nothing_asked_nothing_found() -> None:
    for text in ("", "？？", "zzz"):
        found = an_index(*LIBRARY[:0]).search(text, RM, 5)
        assert (found.hits, found.confidence, found.tier) == ((), 0.0, "none")
    assert an_index(*LIBRARY).search("", RM, 5).hits == ()


@pytest.mark.parametrize(
    ("now", "live"),
    [
        (OPENS - timedelta(microseconds=1), False),
        (OPENS - SECOND, False),
        (OPENS, True),
        (CLOSES - SECOND, True),
        (CLOSES - timedelta(microseconds=1), True),
        (CLOSES, False),
        (CLOSES + SECOND, False),
    ],
)
def test_it_is_found_from_its_first_second_up_to_its_end(now: datetime, live: bool) -> None:
    assert can_find(REDEEM, replace(RM, now=now)) is live


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        can_find(REDEEM, replace(RM, now=NOON.replace(tzinfo=None)))
    with pytest.raises(ValueError, match="zone"):
        an_index(replace(REDEEM, valid_until=CLOSES.replace(tzinfo=None)))


@pytest.mark.parametrize("risk", range(6))
@pytest.mark.parametrize("ceiling", range(6))
def test_risk_above_the_customers_ceiling_is_not_found(risk: int, ceiling: int) -> None:
    assert can_find(replace(REDEEM, risk=risk), replace(RM, risk_ceiling=ceiling)) is (
        risk <= ceiling
    )


def test_channel_and_branch_decide_who_finds_it() -> None:
    assert not can_find(REDEEM, replace(RM, channel="group"))
    assert not can_find(replace(REDEEM, channels=frozenset()), RM)
    only_bund = replace(REDEEM, branches=frozenset({BUND}))
    assert can_find(only_bund, RM)
    assert not can_find(only_bund, replace(RM, branch=PUDONG))
    assert not can_find(only_bund, replace(RM, branch=None))
    assert can_find(REDEEM, replace(RM, branch=None))
    assert not can_find(replace(REDEEM, branches=frozenset()), RM)


@pytest.fixture(params=["flat", "ivf", "pgvector"])
def store(request: pytest.FixtureRequest) -> Iterator[VectorStore]:
    """Where the vectors of a published generation are."""
    if request.param != "pgvector":
        yield FaissStore() if request.param == "flat" else FaissStore(ivf_from=1)
        return
    url = request.getfixturevalue("database")
    prepare(url)
    opened = PgvectorStore(url)
    yield opened
    opened.close()


def test_a_twin_outside_the_filter_never_appears_in_a_thousand_searches(
    store: VectorStore,
) -> None:
    dice = np.random.default_rng(11)
    wordings = [w for texts in read_intents(FILES).values() for w in texts]
    closed = [
        {"valid_until": NOON},
        {"valid_from": NOON + SECOND},
        {"risk": 4},
        {"channels": frozenset({"group"})},
        {"branches": frozenset({PUDONG})},
    ]
    entries = []
    for number, text in enumerate(wordings[:400]):
        entries.append(an_entry(f"open-{number}", text))
        entries.append(an_entry(f"shut-{number}", text, **closed[number % len(closed)]))
    index = an_index(*entries, store=store)
    index.fit()
    assert len(index.held_by) == 1
    index.remove_document("open-0")
    for number in dice.integers(0, 400, size=1000):
        text = wordings[number]
        start = int(dice.integers(0, max(1, len(text) - 3)))
        found = names(index.search(text[start:] or text, RM, int(dice.integers(1, 12))))
        assert not [name for name in found if str(name).startswith("shut")]
        assert "open-0" not in found


def test_a_fit_publishes_one_segment_in_the_store_and_changes_wait_beside_it(
    store: VectorStore,
) -> None:
    index = an_index(*a_questioned_library(30), store=store)
    assert {kind for kind, _ in index.held_by} == {"flat"}
    index.fit()
    [(kind, rows)] = index.held_by
    index.replace_document("new", [an_entry("new", "黄金积存怎么开通")])
    assert index.held_by == [(kind, rows), ("flat", 1)]
    assert names(index.search("黄金积存怎么开通", RM, 1)) == ["new"]
    index.fit()
    assert index.held_by == [(kind, rows + 1)]
    assert names(index.search("黄金积存怎么开通", RM, 1)) == ["new"]


def test_what_changed_while_fitting_is_there_afterwards(store: VectorStore) -> None:
    library = a_questioned_library(30)
    index = an_index(*library, store=store)
    learning = threading.Thread(target=index.fit)
    learning.start()
    index.replace_document("new", [an_entry("new", "黄金积存怎么开通")])
    index.remove_document(library[0].document)
    learning.join()
    assert names(index.search("黄金积存怎么开通", RM, 1)) == ["new"]
    assert library[0].document not in names(index.search(library[0].text, RM, 30))
    assert library[0].document not in index


def test_every_answer_names_the_generation_it_came_from() -> None:
    index = an_index(*a_questioned_library(30))
    before = index.search("怎么赎回", RM, 3)
    index.fit()
    after = index.search("怎么赎回", RM, 3)
    assert after.generation == index.generation != before.generation


def test_without_its_vectors_words_still_find_until_it_is_fitted_again(database: str) -> None:
    prepare(database)
    store = PgvectorStore(database)
    index = an_index(*LIBRARY, store=store)
    index.fit()
    take_away_vectors(database)
    assert names(index.search(REDEEM.text, RM, 1)) == ["redeem"]
    assert index.is_missing_vectors
    index.fit()
    assert not index.is_missing_vectors
    assert index.search(REDEEM.text, RM, 1).hits[0].dense > 0.9
    store.close()


def test_a_removed_document_vanishes_and_a_replaced_one_has_only_its_new_texts() -> None:
    index = an_index(*LIBRARY)
    index.remove_document("redeem")
    assert "redeem" not in names(index.search(REDEEM.text, RM, 5))
    assert len(index) == 2
    index.remove_document("redeem")
    index.replace_document("rate", [an_entry("rate", "黄金怎么买")])
    assert names(index.search("黄金怎么买", RM, 1)) == ["rate"]
    texts = [hit.matched_text for hit in index.search("定期存款利率是多少", RM, 5).hits]
    assert "定期存款利率是多少" not in texts
    with pytest.raises(ValueError, match="another document"):
        index.replace_document("rate", [REDEEM])


def test_a_document_counts_once_by_its_best_text_and_cites_its_best_passage() -> None:
    index = an_index(
        an_entry("redeem", "赎回到账时间", role="title"),
        an_entry("redeem", "开放式理财按净值确认份额", position=0),
        an_entry("redeem", "提交后一到两个工作日资金回到账户", position=1),
        an_entry("redeem", "我昨天点了赎回钱怎么还没到", role="question", position=0),
        an_entry("rate", "存款利率", role="title"),
    )
    found = index.search("点了赎回钱还没回到账户", RM, 5)
    assert names(found) == ["redeem", "rate"]
    assert found.hits[0].best_role == "question"
    assert found.hits[0].passage_position == 1
    assert found.hits[1].passage_position is None


def test_of_more_that_fit_alike_than_are_looked_at_closely_none_is_passed_over() -> None:
    alike = [an_entry(f"redeem {number:03}", REDEEM.text) for number in range(2 * CANDIDATES)]
    first = [entry.document for entry in alike[:3]]
    assert names(an_index(*alike).search(REDEEM.text, RM, 3)) == first
    assert names(an_index(*reversed(alike)).search(REDEEM.text, RM, 3)) == first


def test_the_words_of_all_example_questions_count_together() -> None:
    index = an_index(
        an_entry("redeem", "赎回说明", role="title"),
        an_entry("redeem", "取出来要几天", role="question", position=0),
        an_entry("redeem", "周末提交算不算", role="question", position=1),
        an_entry("hours", "周末提交材料的窗口"),
        an_entry("cash", "现金取出来"),
    )
    assert names(index.search("周末提交取出来", RM, 3))[0] == "redeem"


def test_words_of_an_example_question_for_others_find_nothing() -> None:
    index = an_index(
        an_entry("redeem", "赎回说明", role="title"),
        an_entry("redeem", "大额转出预约", role="question", risk=5),
    )
    assert [hit.lexical for hit in index.search("大额转出预约", RM, 3).hits] == [0.0]
    everybody = replace(RM, risk_ceiling=5)
    assert index.search("大额转出预约", everybody, 3).hits[0].lexical > 0


def test_a_document_nobody_wrote_questions_for_is_found_by_its_words_first() -> None:
    taught, lexical, cosine = Fusion(0.7, 10), np.array([5.0, 5.0]), np.array([1.0, 1.0])
    scores = taught.score(lexical, cosine, np.array([8, 8]), np.array([True, False]))
    assert list(scores) == pytest.approx([0.3 * 0.5 + 0.7, 0.7 * 0.5 + 0.3])


def test_every_second_document_with_one_question_keeps_it_while_thresholds_are_set() -> None:
    texts = [an_entry(f"d{n}", f"说明{n}", role="title") for n in range(4)]
    asked = [an_entry(f"d{n}", f"问{n}", role="question") for n in range(4)]
    assert held_out([*texts, *asked]) == asked[::2]
    more = [an_entry(f"d{n}", f"再问{n}", role="question", position=1) for n in range(4)]
    assert held_out([*texts, *asked, *more]) == more


steps = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4)), min_size=1, max_size=25)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_any_history_of_changes_finds_what_a_fresh_index_finds(
    history: list[tuple[int, int]],
) -> None:
    texts = ["理财赎回后多久到账", "定期存款利率", "银行卡丢了", "基金定投怎么取消", "赎回要几天"]
    index, now_there = HybridIndex(ENCODER), {}
    for document, content in history:
        name = f"d{document}"
        entries = [an_entry(name, text, position=n) for n, text in enumerate(texts[:content])]
        index.replace_document(name, entries)
        now_there[name] = entries
    fresh = an_index(*[entry for entries in now_there.values() for entry in entries])
    assert index.generation == fresh.generation
    assert len(index) == len(fresh)
    for text in ("赎回几天到账", "利率"):
        one, other = index.search(text, RM, 8), fresh.search(text, RM, 8)
        assert names(one) == names(other)
        assert [h.score for h in one.hits] == pytest.approx([h.score for h in other.hits])


def test_the_generation_names_the_contents_whatever_their_order() -> None:
    index = an_index(*LIBRARY)
    assert index.generation == an_index(*reversed(LIBRARY)).generation
    later = replace(REDEEM, valid_until=CLOSES + SECOND)
    assert index.generation != an_index(later, *LIBRARY[1:]).generation
    other = untrained(seed=4, size=8192, dimension=64)
    other.name = "other"
    assert index.generation != an_index(*LIBRARY, encoder=other).generation


def a_questioned_library(count: int = 60) -> list[Entry]:
    """Intents as documents: the first wording is the title, the next three example questions."""
    entries = []
    for name, wordings in sorted(read_intents(FILES).items())[:count]:
        entries.append(an_entry(name, wordings[0], role="title"))
        for number, wording in enumerate(wordings[1:4]):
            entries.append(an_entry(name, wording, role="question", position=number))
    return entries


def first_right(index: HybridIndex, count: int = 60) -> float:
    asked = [(n, w) for n, ws in sorted(read_intents(FILES).items())[:count] for w in ws[4:]]
    return sum(names(index.search(w, RM, 1)) == [n] for n, w in asked) / len(asked)


def test_fitting_learns_the_librarys_wordings_and_sets_thresholds() -> None:
    index = an_index(*a_questioned_library())
    before, generation = first_right(index), index.generation
    index.fit()
    assert first_right(index) > before
    assert index.generation != generation
    known = [index.search(e.text, RM, 3) for e in a_questioned_library()]
    assert sum(found.tier == "answer" for found in known) > 0.6 * len(known)
    talk = [index.search(text, RM, 3) for text in small_talk()]
    assert sum(found.tier == "answer" for found in talk) < 0.1 * len(talk)


def test_fitting_twice_gives_the_same_index() -> None:
    first, second = an_index(*a_questioned_library(25)), an_index(*a_questioned_library(25)[::-1])
    first.fit()
    second.fit()
    second.fit()
    assert first.generation == second.generation
    one, other = (index.search("想把理财取出来", RM, 3) for index in (first, second))
    assert names(one) == names(other)
    assert one.confidence == pytest.approx(other.confidence)


def test_fitting_a_small_or_empty_library_is_no_error() -> None:
    HybridIndex(ENCODER).fit()
    index = an_index(*LIBRARY)
    generation = index.generation
    index.fit()
    assert index.generation == generation


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    index = an_index(
        *a_questioned_library(30), an_entry("x", "外滩专属", branches=frozenset({BUND}))
    )
    index.replace_document(BUND, [replace(REDEEM, document=BUND)])
    index.fit()
    index.save(tmp_path)
    index.save(tmp_path)
    again = HybridIndex(ENCODER)
    again.load(tmp_path)
    assert again.generation == index.generation
    assert len(again) == len(index)
    for text in ("怎么赎回", "外滩专属", REDEEM.text):
        one, other = index.search(text, RM, 5), again.search(text, RM, 5)
        assert names(one) == names(other)
        assert one.confidence == pytest.approx(other.confidence)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_damaged_file_is_noticed_and_the_index_stays_as_it_was(tmp_path: Path) -> None:
    saved = an_index(*LIBRARY)
    saved.save(tmp_path)
    index = an_index(REDEEM)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[:-5] + bytes([content[-5] ^ 1]) + content[-4:])
        with pytest.raises(IndexDamaged):
            index.load(tmp_path)
        path.unlink()
        with pytest.raises(IndexDamaged):
            index.load(tmp_path)
        path.write_bytes(content)
    assert len(index) == 1
    index.load(tmp_path)
    assert index.generation == saved.generation


def test_a_folder_of_another_encoder_is_not_loaded(tmp_path: Path) -> None:
    an_index(*LIBRARY).save(tmp_path)
    other = untrained(seed=4, size=8192, dimension=64)
    other.name = "other"
    with pytest.raises(IndexDamaged, match="encoder differs"):
        HybridIndex(other).load(tmp_path)


def test_readers_see_a_change_whole_or_not_at_all() -> None:
    index = an_index(*LIBRARY)
    both = {name: [an_entry(name, "双子素材说明")] for name in ("left", "right")}
    seen: set[frozenset[UUID | str]] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found = names(index.search("双子素材说明", RM, 2))
            seen.add(frozenset(found) & frozenset(both))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        index.replace_documents(both)
        index.replace_documents(dict.fromkeys(both, ()))
    done.set()
    for reader in readers:
        reader.join()
    assert seen <= {frozenset(), frozenset(both)}

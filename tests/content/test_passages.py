"""How a text is cut into passages."""

from hypothesis import given
from hypothesis import strategies as st

from content.extract import Paragraph
from content.passages import LONGEST, SHORTEST, of_body, split

SENTENCE = "赎回申请在工作日十五点前提交的，按当日受理，之后提交的顺延到下一个工作日。"
words = st.text("赎回到账工作日，。！A1 ", min_size=1, max_size=900)


def _letters(texts: list[str]) -> str:
    return "".join("".join(text.split()) for text in texts)


@given(st.lists(words, max_size=12))
def test_nothing_is_lost_or_added_and_no_passage_is_too_long(texts: list[str]) -> None:
    cut = split([Paragraph(text, "") for text in texts])
    assert _letters([passage.text for passage in cut]) == _letters(texts)
    assert all(0 < len(passage.text) <= LONGEST for passage in cut)


def test_short_paragraphs_are_merged_and_keep_the_first_place() -> None:
    cut = split([Paragraph("赎回规则", "第 1 段"), Paragraph(SENTENCE, "第 2 段")])
    assert cut == [Paragraph(f"赎回规则\n{SENTENCE}", "第 1 段")]


def test_long_paragraphs_are_cut_at_sentence_ends() -> None:
    cut = split([Paragraph(SENTENCE * 20, "第 3 页")])
    assert all(passage.text.endswith("。") for passage in cut)
    assert all(SHORTEST <= len(passage.text) <= LONGEST for passage in cut)
    assert {passage.place for passage in cut} == {"第 3 页"}


def test_paragraphs_from_the_file_keep_their_place_and_typed_ones_have_none() -> None:
    source = [Paragraph(SENTENCE, "第 2 页")]
    assert of_body(f"{SENTENCE}\n\n自己写的一段。", source) == [
        Paragraph(SENTENCE, "第 2 页"),
        Paragraph("自己写的一段。", ""),
    ]

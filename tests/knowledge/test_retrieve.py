"""`siyu retrieve`: rows in, answers out, by the same index as suggestions."""

import pytest

from knowledge.encoder import load_encoder
from knowledge.retrieve import ANYONE, build, run

CORPUS = [
    {"id": "redeem", "text": "理财赎回后多久到账"},
    {"id": "rate", "text": "定期存款利率是多少"},
    {"id": "lost", "text": "银行卡丢了怎么挂失"},
]
QUERIES = [
    {"id": "q1", "text": "赎回的钱几天能到"},
    {"id": "q2", "text": "卡掉了"},
    {"id": "q3", "text": ""},
]


def test_one_answer_a_query_in_order_as_the_contract_says() -> None:
    answers = list(run(CORPUS, QUERIES, [], 2, load_encoder("builtin")))
    assert [answer["id"] for answer in answers] == ["q1", "q2", "q3"]
    assert [answer["hits"][0]["id"] for answer in answers[:2]] == ["redeem", "lost"]
    assert all(len(answer["hits"]) <= 2 for answer in answers)
    assert all(0 <= answer["confidence"] <= 1 for answer in answers)
    assert {answer["tier"] for answer in answers} <= {"answer", "candidates", "none"}
    assert answers[2] == {"id": "q3", "hits": [], "confidence": 0.0, "tier": "none"}
    scores = [hit["score"] for hit in answers[0]["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_a_phrasing_helps_to_find_its_document() -> None:
    asked = [{"id": "q", "text": "我想把票子拿回来"}]
    phrasings = [{"id": "redeem", "text": "票子怎么拿回来"}]
    answers = list(run(CORPUS, asked, phrasings, 3, load_encoder("builtin")))
    assert answers[0]["hits"][0]["id"] == "redeem"


def test_a_phrasing_of_an_unknown_document_is_an_error() -> None:
    with pytest.raises(KeyError):
        list(run(CORPUS, QUERIES, [{"id": "gone", "text": "什么"}], 3, load_encoder("builtin")))


def test_it_is_the_index_that_suggestions_use() -> None:
    index = build(CORPUS, [], load_encoder("builtin"))
    found = index.search(QUERIES[0]["text"], ANYONE, 2)
    answer = next(run(CORPUS, QUERIES, [], 2, load_encoder("builtin")))
    assert [(hit.document, hit.score) for hit in found.hits] == [
        (hit["id"], hit["score"]) for hit in answer["hits"]
    ]

"""Needs and reasons: what fades, what adds up, and that every match says why."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.models import Kind, Use
from customers.models import Stage
from knowledge.fitting import Age, Piece, Standing
from knowledge.match_reasons import (
    ALIKE,
    Reason,
    Why,
    calls_now,
    kept,
    reasons_for,
    urgency,
    words,
)
from knowledge.needs import (
    HELD,
    MATURING,
    SEEN_DAYS,
    STALE,
    STALE_DAYS,
    Places,
    Profile,
    Sign,
    Signal,
    leanings,
    spots_of,
    traits_of,
    weight,
)

TODAY = date(2026, 11, 23)
ANYBODY = Standing(None, 3, Age.ADULT, consents=True, personas=frozenset())


def a_piece(**more: object) -> Piece:
    """A material about P1."""
    facts: dict[str, object] = {
        "version_id": uuid4(), "material_id": uuid4(), "code": "M1", "title": "赎回多久到账",
        "kind": Kind.FAQ, "use": Use.TRUST, "risk": 2, "branches": None, "personas": frozenset(),
        "marketing": True, "products": frozenset({"P1"}),
    }  # fmt: skip
    return Piece(**(facts | more))  # type: ignore[arg-type]


def a_profile(**more: object) -> Profile:
    """A customer who lets us look."""
    facts: dict[str, object] = {"customer_id": uuid4(), "standing": ANYBODY, "profiled": True}
    return Profile(**(facts | more))  # type: ignore[arg-type]


def test_what_was_asked_fades_by_half_in_two_weeks_and_a_holding_does_not() -> None:
    asked = Signal(Sign.ASKED, "赎回", "s", TODAY)
    held = Signal(Sign.HOLDS, "安心添利", "P1", TODAY - timedelta(days=400))
    later = TODAY + timedelta(days=14)
    assert weight(asked, later) == pytest.approx(weight(asked, TODAY) / 2)
    assert weight(held, later) == weight(held, TODAY)


def test_reading_counts_between_a_question_and_an_answer_and_fades_as_they_do() -> None:
    asked, opened, read = (
        Signal(sign, "赎回", "1:赎回", TODAY) for sign in (Sign.ASKED, Sign.OPENED, Sign.READ)
    )
    assert weight(asked, TODAY) > weight(opened, TODAY) > weight(read, TODAY)
    later = TODAY + timedelta(days=14)
    assert weight(opened, later) == pytest.approx(weight(opened, TODAY) / 2)


@pytest.mark.parametrize(
    ("about", "days", "told"),
    [
        ("2:固收类内容", 0, "近 7 天看过 2 次固收类内容"),
        ("2:固收类内容", 6, "近 7 天看过 2 次固收类内容"),
        ("2:固收类内容", 7, "7 天前看过固收类内容"),
        ("0:固收类内容", 20, "20 天前看过固收类内容"),
    ],
)
def test_what_was_read_is_said_in_words(about: str, days: int, told: str) -> None:
    reason = Reason(Why.OPENED, about, TODAY - timedelta(days=days))
    assert words(reason, {}, TODAY) == told
    assert calls_now(reason, TODAY) == (days < 7)


def test_the_stage_chooses_the_use() -> None:
    def leaning(stage: Stage, use: Use) -> float:
        piece = traits_of(a_piece(use=use))
        return float(leanings(a_profile(stage=stage)) @ piece)

    assert leaning(Stage.NEW, Use.TRUST) > leaning(Stage.NEW, Use.CONVERT)
    assert leaning(Stage.CLOSED, Use.ACCOMPANY) > leaning(Stage.CLOSED, Use.CONVERT)
    assert leaning(Stage.UNINTERESTED, Use.CONVERT) < 0


def test_the_level_chooses_the_depth() -> None:
    def leaning(level: int) -> float:
        return float(leanings(a_profile(expertise=2)) @ traits_of(a_piece(expertise=level)))

    assert leaning(2) > leaning(1) > leaning(3)


def test_marketing_lately_makes_more_of_it_less_welcome() -> None:
    piece = traits_of(a_piece())
    scores = [float(leanings(a_profile(marketing_lately=n)) @ piece) for n in range(7)]
    assert scores[0] > scores[1] > scores[4] == scores[6]


def test_seen_lately_is_never_seen_a_while_ago_is_later() -> None:
    piece = a_piece(products=frozenset())
    places = Places.on((piece,))

    def spot(days: int) -> float:
        seen = {piece.material_id: TODAY - timedelta(days=days)}
        return dict(spots_of(a_profile(seen=seen), places, TODAY))[0]

    assert spot(0) == spot(SEEN_DAYS - 1) == -np.inf
    assert spot(SEEN_DAYS) == spot(STALE_DAYS - 1) == STALE
    assert spot(STALE_DAYS) == 0.0


def test_a_held_product_comes_first_and_sooner_when_it_matures() -> None:
    places = Places.on((a_piece(), a_piece(products=frozenset())))
    held = dict(spots_of(a_profile(held=frozenset({"P1"})), places, TODAY))
    soon = a_profile(held=frozenset({"P1"}), matures={"P1": TODAY + timedelta(days=5)})
    assert held == {0: HELD}
    assert dict(spots_of(soon, places, TODAY)) == {0: HELD + MATURING}


def test_without_consent_to_profiling_nothing_of_a_customer_moves_the_order() -> None:
    """C-25: two opposite profiles, the switch off, the same numbers."""
    bold = a_profile(
        profiled=False, stage=Stage.CLOSED, held=frozenset({"P1"}), trust=3, expertise=3
    )
    shy = a_profile(profiled=False, stage=Stage.UNINTERESTED, marketing_lately=4)
    places = Places.on((a_piece(),))
    assert not leanings(bold).any()
    assert (leanings(bold) == leanings(shy)).all()
    assert list(spots_of(bold, places, TODAY)) == list(spots_of(shy, places, TODAY)) == []
    reasons = [reason.why for reason in reasons_for(bold, a_piece(risk=0), [], TODAY)]
    assert reasons == [Why.UNPROFILED]


SIGNALS = st.builds(
    Signal,
    sign=st.sampled_from(Sign),
    text=st.just("文字"),
    about=st.sampled_from(["P1", "标签", str(UUID(int=1))]),
    on=st.none() | st.dates(TODAY - timedelta(days=90), TODAY + timedelta(days=30)),
)
PROFILES = st.builds(
    Profile,
    customer_id=st.just(UUID(int=9)),
    standing=st.just(ANYBODY),
    stage=st.sampled_from(Stage),
    profiled=st.booleans(),
    signals=st.lists(SIGNALS, max_size=6).map(tuple),
    held=st.frozensets(st.sampled_from(["P1", "P2"])),
    matures=st.dictionaries(st.just("P1"), st.dates(TODAY, TODAY + timedelta(days=30))),
    trust=st.integers(1, 3),
    expertise=st.integers(1, 3),
    added_on=st.none() | st.dates(TODAY - timedelta(days=300), TODAY),
    last_contact=st.none() | st.dates(TODAY - timedelta(days=90), TODAY),
    assessed_until=st.none() | st.dates(TODAY - timedelta(days=9), TODAY + timedelta(days=90)),
)


@given(PROFILES, st.floats(0, 1), st.integers(0, 5))
def test_every_match_says_why_him_in_words_and_survives_being_stored(
    profile: Profile, near: float, risk: int
) -> None:
    piece = a_piece(risk=risk)
    found = reasons_for(profile, piece, [near] * len(profile.signals), TODAY)
    about_him = [reason for reason in found if not calls_now(reason, TODAY)] or found
    assert about_him
    assert [Reason.read(each) for each in kept(found)] == list(found)
    assert all(words(reason, {}, TODAY).strip() for reason in found)
    assert (urgency(found, TODAY) > 0) == any(calls_now(reason, TODAY) for reason in found)
    assert any(r.why is Why.RISK for r in found) == bool(risk)
    if profile.profiled and profile.signals and near >= ALIKE:
        named = {reason.why.value for reason in found}
        assert {signal.sign.value for signal in profile.signals} <= named


def test_reasons_read_as_an_rm_would_say_them() -> None:
    names = {"s1": "赎回几天到账", "P1": "安心添利90天"}
    said = {
        Reason(Why.ASKED, "s1", TODAY - timedelta(days=3)): "3 天前问过“赎回几天到账”",
        Reason(Why.ASKED, "gone", TODAY): "今天有相近的提问",
        Reason(Why.MATURES, "P1", TODAY + timedelta(days=6)): "6 天后到期：安心添利90天",
        Reason(Why.MATURES, "P1", TODAY): "今天到期：安心添利90天",
        Reason(Why.HOLDS, "P1"): "持有安心添利90天",
        Reason(Why.STAGE, "new:建立信任"): "客户“待跟进”，内容用于建立信任",
        Reason(Why.RISK, "2:3"): "风险等级 R2，不高于客户的 C3",
        Reason(Why.SILENT, on=TODAY - timedelta(days=41)): "已有 41 天没有联系",
        Reason(Why.SILENT, on=TODAY - timedelta(days=90)): "已有 90 天以上没有联系",
    }
    assert {reason: words(reason, names, TODAY) for reason in said} == said


def test_a_question_of_last_month_does_not_call_today() -> None:
    old, fresh = TODAY - timedelta(days=30), TODAY - timedelta(days=2)
    assert not calls_now(Reason(Why.ASKED, "s", old), TODAY)
    assert calls_now(Reason(Why.ASKED, "s", fresh), TODAY)
    assert urgency([Reason(Why.MATURES, "P1", TODAY - timedelta(days=1))], TODAY) == 0

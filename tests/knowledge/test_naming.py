"""Products named in a question come first, if their material fits."""

from dataclasses import replace

from knowledge.hybrid import NAMED_PRIOR
from knowledge.naming import names_in
from tests.knowledge.test_hybrid import PUDONG, RM, an_entry, an_index, names

PRODUCT = frozenset({"P0012", "安心添利90天"})
BROCHURE = an_entry("brochure", "赎回后资金几天内到账以说明书为准", products=PRODUCT)
GENERAL = an_entry("general", "赎回几天到账")


def test_codes_end_where_letters_and_digits_end() -> None:
    known = ["p0012", "p00", "安心添利"]
    assert names_in("P0012怎么赎回", known) == {"p0012"}
    assert names_in("P00123怎么赎回", known) == frozenset()
    assert names_in("安心添利P0012", known) == {"p0012", "安心添利"}
    assert names_in("我的ＡP0012", known) == frozenset()


def test_the_longer_of_two_names_is_meant() -> None:
    known = ["安心添利", "安心添利90天"]
    assert names_in("安心添利90天什么时候到期", known) == {"安心添利90天"}
    assert names_in("安心添利30天什么时候到期", known) == {"安心添利"}


def test_names_too_short_to_mean_anything_are_not_met() -> None:
    assert names_in("A1 怎么买", ["a1"]) == frozenset()


def test_the_named_products_material_comes_before_what_is_nearer() -> None:
    index = an_index(GENERAL, BROCHURE)
    assert names(index.search("赎回几天到账", RM, 2))[0] == "general"
    for question in ("安心添利90天赎回几天到账", "p0012 赎回几天到账"):
        found = index.search(question, RM, 2)
        assert names(found) == ["brochure", "general"]
        assert found.hits[0].named
        assert not found.hits[1].named
        assert found.hits[0].score > NAMED_PRIOR


def test_material_of_the_product_that_does_not_answer_stays_behind() -> None:
    card = an_entry("card", "挂失补卡", products=PRODUCT)
    found = an_index(GENERAL, card).search("安心添利90天赎回几天到账", RM, 2)
    assert names(found)[0] == "general"


def test_a_name_opens_no_filter() -> None:
    for closed in ({"risk": 4}, {"branches": frozenset({PUDONG})}, {"channels": frozenset()}):
        index = an_index(GENERAL, replace(BROCHURE, **closed))  # type: ignore[arg-type]
        assert names(index.search("安心添利90天赎回几天到账", RM, 5)) == ["general"]

"""The statutory reminder: demanded by kind, added once."""

import pytest

from compliance.disclosures import FUND, WEALTH, ProductFacts, append, missing_from, required

WEALTH_PRODUCT = ProductFacts("稳悦季开1号", "wealth")
FUND_PRODUCT = ProductFacts("远望成长混合", "fund", issuer="远望基金", agency=True)
DEPOSIT = ProductFacts("一年期定期存款", "deposit")


def test_each_kind_has_its_reminder_and_deposits_have_none() -> None:
    assert required("wealth") == WEALTH
    assert required("fund") == FUND
    assert "保险" in str(required("insurance"))
    assert required("deposit") is None


def test_a_kind_nobody_knows_gets_the_strictest_common_reminder() -> None:
    assert required("unheard_of") == WEALTH


@pytest.mark.parametrize(
    "products", [[WEALTH_PRODUCT], [FUND_PRODUCT], [WEALTH_PRODUCT, FUND_PRODUCT]]
)
def test_what_is_missing_is_named_added_and_then_no_longer_missing(
    products: list[ProductFacts],
) -> None:
    text = "本周开放申购。"
    assert missing_from(text, products)
    complete = append(text, products)
    assert complete.startswith(text)
    assert missing_from(complete, products) == []
    assert append(complete, products) == complete


def test_punctuation_does_not_make_another_reminder() -> None:
    text = "稳悦季开1号今日开放。理财非存款、产品有风险、投资须谨慎"
    assert missing_from(text, [WEALTH_PRODUCT]) == []


def test_a_product_of_another_issuer_names_it() -> None:
    complete = append("今日开放。", [FUND_PRODUCT])
    assert "远望基金" in complete
    assert "代销机构" in complete


def test_deposits_and_texts_without_products_stay_as_they_are() -> None:
    assert append("到期自动转存。", [DEPOSIT]) == "到期自动转存。"
    assert append("早上好。", []) == "早上好。"

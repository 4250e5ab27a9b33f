# ruff: noqa: E501 - a pattern is one expression.
"""Products head office does not list, told by the shape of their names (代销办法, C-09).

A name is two syllables issuers like (稳盈, 添利) or any words with a number of a series (3号, 12期),
and a sentence that invites to buy it. Whether it is sold here is not read but looked up.
"""

import re
from collections.abc import Collection, Iterator

from compliance.normalise import Normalised, normalise
from compliance.verdict import Finding

CATEGORY = "unlisted_product"
_REASON = "“{name}”不在本行产品名单内，不得向客户推荐"
_SUGGESTION = "删去这个产品，或改为介绍总行名单内的产品"

_SYLLABLE = "鑫盈享悦添聚安稳丰利泰宝恒瑞臻启增汇惠融祥裕福尊兴"
_SERIES = r"(?:\d{1,4}|[一二三四五六七八九十]{1,3})(?:号|期)"
_KIND = (
    r"(?:理财|基金|信托|资管|集合|私募|专户|年金|终身寿|养老|债券|混合|指数|货币|计划|系列|产品)"
)
_NAME = re.compile(
    rf"[{_SYLLABLE}]{{2,4}}(?:[\u4e00-\u9fff]{{0,3}}?{_SERIES}|(?:月|季|年|周|天|日)?{_KIND}|宝(?![贵贝石典岛马库物]))"
    rf"|[\u4e00-\u9fff]{{2,4}}{_KIND}{_SERIES}|[\u4e00-\u9fff]{{2}}(?:[a-z]类|{_SERIES})(?:理财|基金|信托|资管|集合|私募|专户|债券|混合|计划)"
)
# Any other words with a number are a name where a verb of buying stands right before them.
_BOUGHT = re.compile(
    rf"(?:推荐您?|买|购|配|投|入手)(?:置|点|些|一点|一些|入)?(?P<name>[\u4e00-\u9fff]{{2,6}}?{_SERIES})(?![线楼门口窗厅桌柜院馆厂车])"
)
_INVITES = re.compile(
    r"推荐|建议您?(?:买|配|看|选|考虑)|买|购|投|入手|上车|配(?:点|一些|置)|选它|试试|来一|抢|约|开售|发售|在售|上新|首发|热销|链接|扫码|私信|(?:可以|值得)(?:看|考虑|关注|了解)|适合您"
)
_SPOKEN_AGAINST = re.compile(
    r"不(?:在|卖|代销|是我|推荐|建议|能|得|要)|没有|未|别|勿|骗|假|冒|谨防|警惕|举报|非法|暴雷|到期|已(?:到账|赎回|清算)|客户[问说:]"
)
_SENTENCE = re.compile(r"[^。!?;\n]{1,4000}")


def unlisted(plain: Normalised, known: Collection[str]) -> Iterator[Finding]:
    """Names that look like a product's and are offered, but stand in none of the known texts.

    `known` are the names of the bank's products, and approved texts, which name what they may.
    """
    offers = list(offered(plain))
    texts = [normalise(text).text for text in known] if offers else []
    for start, end in offers:
        name = plain.text[start:end]
        if not any(name in text for text in texts):
            yield _finding(plain.span(start, end), name)


def offered(plain: Normalised) -> Iterator[tuple[int, int]]:
    """Where in the plain text something named like a product is offered, known or not."""
    for sentence in _SENTENCE.finditer(plain.text):
        if not _INVITES.search(sentence[0]):
            continue
        for start, end in _names(sentence[0]):
            if not _SPOKEN_AGAINST.search(_clause(sentence[0], start, end)):
                yield sentence.start() + start, sentence.start() + end


def _names(sentence: str) -> list[tuple[int, int]]:
    shaped = [match.span() for match in _NAME.finditer(sentence)]
    bought = [match.span("name") for match in _BOUGHT.finditer(sentence)]
    return shaped + [
        span for span in bought if not any(s < span[1] and span[0] < e for s, e in shaped)
    ]


def _clause(sentence: str, start: int, end: int) -> str:
    after = sentence.find(",", end)
    return sentence[sentence.rfind(",", 0, start) + 1 : after if after >= 0 else len(sentence)]


def _finding(span: tuple[int, int], name: str) -> Finding:
    reason = _REASON.format(name=name)
    return Finding(CATEGORY, *span, reason, f"{CATEGORY}.name", _SUGGESTION)

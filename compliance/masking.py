"""Take personal identifiers out of a text before it is logged, indexed or shown to a model.

Sources: 个人信息保护法 28–29, JR/T 0171-2020. Identity and card numbers are told from amounts,
dates and product codes by their check digits.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_GAP = r"[\s\-—–·._]?"
_HAN_DIGITS = "零一二三四五六七八九"
_TO_DIGIT = {char: str(at) for at, char in enumerate(_HAN_DIGITS)} | {
    "〇": "0",
    "幺": "1",
    "○": "0",
}
_NO_AMOUNT = r"(?!\d|[.,]\d|\s?(?:元|万|亿|份|股|%|块|美元))"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without identifiers, and how many of each kind were taken out."""

    text: str
    counts: Mapping[str, int]


def mask(text: str) -> Masked:
    """Replace identity numbers, cards, mobiles, e-mail and street addresses by what they are."""
    plain = _narrow(text)
    taken: list[tuple[int, int, str]] = []
    for kind, pattern, is_real in _KINDS:
        for match in pattern.finditer(plain):
            start, end = match.span(1)
            free = all(end <= first or start >= last for first, last, _ in taken)
            if free and is_real(match[1]):
                taken.append((start, end, kind))
    pieces: list[str] = []
    at = 0
    for start, end, kind in sorted(taken):
        pieces += [text[at:start], f"[{LABELS[kind]}]"]
        at = end
    return Masked("".join([*pieces, text[at:]]), dict(Counter(kind for _, _, kind in taken)))


def _narrow(text: str) -> str:
    """Full-width and Chinese digits made plain, one character for one character."""
    return "".join(_plain(char) for char in text)


def _plain(char: str) -> str:
    if char in _TO_DIGIT:
        return char
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 else char


def _digits(written: str) -> str:
    return "".join(char for char in written.upper() if char.isdigit() or char == "X")


def is_identity_number(written: str) -> bool:
    """Whether 18 characters are a resident identity number: a real birthday and check digit."""
    digits = _digits(written)
    if len(digits) != 18 or not digits[:17].isdigit():
        return False
    month, day = int(digits[10:12]), int(digits[12:14])
    if digits[6:8] not in {"18", "19", "20"} or not (1 <= month <= 12 and 1 <= day <= 31):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=False))
    return _CHECK[total % 11] == digits[17]


def is_card_number(written: str) -> bool:
    """Whether 13 to 19 digits are a payment card: an issuer prefix and Luhn's check digit."""
    digits = _digits(written)
    if not digits.isdigit() or not 13 <= len(digits) <= 19:
        return False
    if not re.match(r"[3-6]|2[2-7]|9", digits):
        return False
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if at % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _always(_: str) -> bool:
    return True


_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        "identity",
        re.compile(rf"(?<![0-9A-Za-z])(\d(?:{_GAP}\d){{16}}{_GAP}[\dXx])(?![0-9A-Za-z])"),
        is_identity_number,
    ),
    (
        "card",
        re.compile(rf"(?<![0-9A-Za-z.])(\d(?:{_GAP}\d){{12,18}})(?![0-9A-Za-z])"),
        is_card_number,
    ),
    (
        "mobile",
        re.compile(
            rf"(?<![0-9A-Za-z.])((?:\+?86{_GAP})?1{_GAP}[3-9](?:{_GAP}\d){{9}})(?![A-Za-z]){_NO_AMOUNT}"
        ),
        _always,
    ),
    (
        "mobile",
        re.compile(
            r"(?<![〇零一二三四五六七八九幺○])([一幺][三四五六七八九][〇零一二三四五六七八九幺○]{9})"
            r"(?![〇零一二三四五六七八九幺○])"
        ),
        _always,
    ),
    (
        "email",
        re.compile(
            r"(?<![A-Za-z0-9._%+-])([A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4})"
        ),
        _always,
    ),
    (
        "passport",
        re.compile(r"护照[号码]{0,2}[:：是为\s]{0,3}([A-Za-z]{1,2}\d{7,8})(?!\d)"),
        _always,
    ),
    ("code", re.compile(r"验证码[:：是为\s]{0,3}(\d{4,8})(?!\d)"), _always),
    (
        "address",
        re.compile(
            r"((?:[\u4e00-\u9fff]{2,8}?(?:省|市|自治区|区|县|镇)){0,4}[\u4e00-\u9fff]{1,8}?(?:路|街|大道|巷|弄|胡同|村|小区|花园|苑)"
            r"[\u4e00-\u9fff]{0,4}?\d{1,5}(?:号|弄|栋|幢|座|单元|室|楼|-)(?:[\dA-Za-z]{0,5}(?:号|弄|栋|幢|座|单元|室|楼|层|-)){0,5}\d{0,5})"
        ),
        _always,
    ),
)
LABELS = {
    "identity": "身份证号",
    "card": "银行卡号",
    "mobile": "手机号",
    "email": "邮箱",
    "passport": "护照号",
    "code": "验证码",
    "address": "地址",
}

"""Every number in a draft must come from a source; every sentence must name one and stay in it."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal, InvalidOperation

Span = tuple[int, int]

_DIGITS = r"\d{1,18}(?:,\d{3}){0,6}(?:\.\d{1,8})?"
_HAN = "零〇一二两三四五六七八九十百千"
_UNITS = (
    r"个百分点|百分点|bps?|基点|%|‰|亿元|万元|千元|百元|亿|万|元|块钱?|角|分钱|美元|港元|欧元"
    r"|个?工作日|个?交易日|天|日|周|个月|月|季度|年期|年|小时|分钟|倍|份|期|岁|次|笔|股|克|支|只"
)
_NUMBER = re.compile(
    rf"(?P<date>(?:19|20)\d\d\s?[-/.年]\s?\d{{1,2}}\s?[-/.月]\s?\d{{1,2}}日?)"
    rf"|(?P<clock>(?<!\d)\d{{1,2}}:\d\d(?!\d))"
    rf"|(?P<level>(?<![a-z])[rc][1-5](?!\d))"
    rf"|百分之(?P<of_hundred>[{_HAN}点\d.]{{1,9}})"
    rf"|(?P<month_day>\d{{1,2}}月\d{{1,2}}日)"
    rf"|(?P<value>{_DIGITS})\s?(?P<unit>{_UNITS})?"
    rf"|(?P<han>[{_HAN}]{{1,7}}(?:点[{_HAN}]{{1,4}})?)\s?"
    r"(?P<han_unit>%|亿元|万元|千元|亿|万|元|天|个工作日|工作日|个月|个百分点|倍|岁)"
)
_SCALES = {"亿元": 8, "亿": 8, "万元": 4, "万": 4, "千元": 3, "百元": 2}
_SAME_UNIT = {
    "亿元": "元", "亿": "", "万元": "元", "万": "", "千元": "元", "百元": "元", "块": "元",
    "块钱": "元", "日": "天", "百分点": "%", "个百分点": "%", "bp": "bp", "bps": "bp", "基点": "bp",
    "个工作日": "工作日", "个交易日": "交易日", "年期": "年", "个月": "月",
}  # fmt: skip
_HAN_DIGITS = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6,
               "七": 7, "八": 8, "九": 9}  # fmt: skip
_HAN_SCALES = {"十": 10, "百": 100, "千": 1000}
_MARKER = re.compile(r"\[([^\[\]\n]{1,64})\]")
_SENTENCE = re.compile(r"[^。！？!?；;\n]{1,4000}[。！？!?；;]?(?:\s?\[[^\[\]\n]{1,64}\]){0,8}")
_COURTESY = re.compile(
    r"^[^，,]{0,6}(?:您好|你好|早上好|上午好|下午好|晚上好)[啊呀哦]?$|^(?:谢谢|感谢|不客气|好的|祝您|请稍)"
    r"|^(?:如有|如需|有)[^，,]{0,10}(?:疑问|问题|帮助)|随时(?:联系|找|问|告诉)我|^(?:希望|期待)"
)
_WORDS = re.compile(r"\w")
# What a reply may add to its passage without saying anything: address, politeness, joints.
_EVERYDAY = re.compile(
    r"(?:早上|上午|下午|晚上)好|您好|你好|先生|女士|温馨提示|另外|同时|因此|所以|如果|如有|如需|以及|可以|一般|通常"
    r"|感谢|谢谢|随时|联系|告诉|欢迎|咨询|帮助|疑问|问题|关于|这边|这个|需要|方便|具体|理解"
    r"|[您你我他们请的地得了呢吗啊哦哈也都就会是在和与及或为以把被这那，,。！!？?；;：:、“”‘’\"'（）()《》\s]"
)
_NEGATIONS = "不没无未非勿别莫免"
_NEGATED = re.compile(rf"[{_NEGATIONS}]([\u4e00-\u9fff]{{2}})")
_SHARED_PAIRS = 0.7
_LONGEST_STRANGE_RUN = 2


def untraceable_numbers(draft: str, sources: Sequence[str]) -> list[Span]:
    """Where the draft says a number that no source says: offsets into the draft.

    A number is compared by value and unit: 10万元 is 100,000元, 百分之三点五 is 3.5%, and
    2026年5月6日 is 2026-05-06. A bare number may stand for one with any unit in a source.
    """
    said = list(_numbers(_without_markers(draft)))
    if not said:
        return []
    known = {(value, unit) for source in sources for value, unit, _, _ in _numbers(source)}
    values = {value for value, _ in known}
    return [
        (start, end)
        for value, unit, start, end in said
        if (value, unit) not in known and not (unit == "" and value in values)
    ]


def ungrounded_sentences(draft: str, cited: Collection[str]) -> list[Span]:
    """Where the draft asserts something without a [source id] from `cited`; courtesy needs none."""
    spans: list[Span] = []
    for match in _SENTENCE.finditer(draft):
        sentence = match.group().strip()
        plain = _MARKER.sub("", sentence).strip("。！？!?；;，, ")
        if not _WORDS.search(plain) or _COURTESY.search(plain):
            continue
        if not any(marker in cited for marker in _MARKER.findall(sentence)):
            start = match.start() + len(match.group()) - len(match.group().lstrip())
            spans.append((start, match.end()))
    return spans


def stays_within(sentence: str, passage: str) -> bool:
    """Whether a sentence says nothing that its passage does not: a measure of shared wording.

    Numbers and everyday words set aside, 70 % of its pairs of neighbouring characters must stand in
    the passage, never three characters in a row that the passage does not have (an invented name
    is such a run), and no negation may be added or dropped. A rough measure on purpose: who rewords
    more than that is not believed, and the passage is quoted instead.
    """
    said, known = _substance(sentence), _substance(passage)
    if not said:
        return True
    if _strange_run(said, known) > _LONGEST_STRANGE_RUN or _turns_around(sentence, passage):
        return False
    pairs = [said[i : i + 2] for i in range(len(said) - 1)] or [said]
    return sum(pair in known for pair in pairs) >= _SHARED_PAIRS * len(pairs)


def _substance(text: str) -> str:
    return _EVERYDAY.sub("", _NUMBER.sub("", _narrow(text)))


def _strange_run(said: str, known: str) -> int:
    """The longest run of characters that the passage does not have at all."""
    longest = run = 0
    for char in said:
        run = 0 if char in known else run + 1
        longest = max(longest, run)
    return longest


def _turns_around(sentence: str, passage: str) -> bool:
    """Whether a negation of the passage was dropped, or one of its own was added."""
    if any(sentence.count(word) > passage.count(word) for word in _NEGATIONS):
        return True
    return any(
        match[1] in sentence
        and match[0] not in sentence
        and passage.count(match[1]) == passage.count(match[0])
        for match in _NEGATED.finditer(passage)
    )


def _without_markers(draft: str) -> str:
    """Citation markers blanked out at the same length, so their digits are not claims."""
    return _MARKER.sub(lambda match: " " * len(match.group()), draft)


def _numbers(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Each number in a text as canonical value, canonical unit, start and end."""
    for match in _NUMBER.finditer(_narrow(text)):
        found = _canonical(match)
        if found is not None:
            yield *found, match.start(), match.end()


def _canonical(match: re.Match[str]) -> tuple[str, str] | None:
    kind = match.lastgroup
    if match["date"]:
        return "-".join(str(int(part)) for part in re.findall(r"\d{1,4}", match["date"])), "date"
    if match["month_day"]:
        return "-".join(
            str(int(part)) for part in re.findall(r"\d{1,2}", match["month_day"])
        ), "day"
    if match["clock"] or match["level"]:
        return (match["clock"] or match["level"]).lstrip("0"), "clock" if match[
            "clock"
        ] else "level"
    if match["of_hundred"]:
        return _measured(_decimal(match["of_hundred"]), "%")
    if match["han"]:
        return _measured(_decimal(match["han"]), match["han_unit"])
    if kind is None:
        return None
    return _measured(_decimal(match["value"].replace(",", "")), match["unit"] or "")


def _measured(value: Decimal | None, unit: str) -> tuple[str, str] | None:
    if value is None:
        return None
    scaled = value.scaleb(_SCALES.get(unit, 0))
    return format(scaled.normalize(), "f"), _SAME_UNIT.get(unit, unit)


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        whole, _, fraction = text.partition("点")
        digits = "".join(str(_HAN_DIGITS[char]) for char in fraction if char in _HAN_DIGITS)
        return None if not whole else Decimal(f"{_whole(whole)}.{digits or 0}")


def _whole(text: str) -> int:
    """A Chinese whole number below ten thousand: 一百二十 is 120, 二〇 is 20."""
    if not any(char in _HAN_SCALES for char in text):
        return int("".join(str(_HAN_DIGITS.get(char, 0)) for char in text) or 0)
    total, digit = 0, 0
    for char in text:
        if char in _HAN_SCALES:
            total += (digit or 1) * _HAN_SCALES[char]
            digit = 0
        else:
            digit = _HAN_DIGITS.get(char, 0)
    return total + digit


def _narrow(text: str) -> str:
    """Full-width digits, signs and capitals made plain, one character for one character."""
    return text.translate(_PLAIN)


class _Plain(dict[int, str]):
    """Each character made plain, worked out when it is first met."""

    def __missing__(self, point: int) -> str:
        folded = unicodedata.normalize("NFKC", chr(point))
        plain = folded if len(folded) == 1 else chr(point)
        self[point] = small = plain.lower() if len(plain.lower()) == 1 else plain
        return small


_PLAIN = _Plain()

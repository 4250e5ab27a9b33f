"""What a customer's message is: a question, a complaint, a worry … and why we think so. Pure.

Rules go first. What no rule knows is compared with labelled examples, all at once: a line for each
intent is fitted through them (ridge regression on how alike two texts are, half by their meaning,
half by their letters). How high an intent must stand is found by leaving each example out in turn.
Where none stands high enough it is a question, or nothing in particular.
"""

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from compliance.contact import recognise_complaint, recognise_refusal
from compliance.courtesy import is_courtesy
from compliance.normalise import normalise
from compliance.vulnerable import recognise_vulnerable
from knowledge.encoder import BUILTIN, Encoder, Vectors, load_encoder
from knowledge.grams import grams

EXAMPLES_FILE = Path(__file__).with_name("intent_examples.yaml")
# An intent is believed where nine in ten of the examples that stand as high are of that intent;
# nearly all of them where it leaves the customer without a suggested reply.
PRECISION, SURE = 0.9, 0.98
# Lower than this, and it is chance, whatever the examples among themselves say.
LEAST = 0.2
# How much the encoder has to say of how alike two texts are; the rest is the letters they share.
# Of the examples left out in turn 77 % fall to their intent, 75 % by letters alone, 67 % by the
# encoder alone; shares from 0.1 to 0.3 and ridges from 0.2 to 0.5 are within a point.
MEANING_SHARE, RIDGE = 0.3, 0.3
# Longer messages say more than one thing; only rules judge them.
LONGEST_COMPARED = 60


class Intent(enum.StrEnum):
    """What a customer wants with a message."""

    QUESTION = "question"
    COMPLAINT = "complaint"
    WORRY = "worry"
    BUY = "buy"
    REFUSAL = "refusal"
    THANKS = "thanks"
    SMALL_TALK = "small_talk"
    OTHER = "other"

    @property
    def label(self) -> str:
        return {
            "question": "提问",
            "complaint": "投诉",
            "worry": "担忧",
            "buy": "想购买",
            "refusal": "拒绝营销",
            "thanks": "致谢",
            "small_talk": "寒暄",
            "other": "其他",
        }[self]


WITHOUT_REPLY = (Intent.COMPLAINT, Intent.REFUSAL, Intent.THANKS, Intent.SMALL_TALK)


@dataclass(frozen=True)
class Read:
    """How a message was understood, and why; the three flags may stand beside any intent."""

    intent: Intent
    reasons: tuple[str, ...]
    complains: bool = False
    refuses: bool = False
    vulnerable: bool = False


class Reader:
    """Reads messages by rules and by labelled examples."""

    def __init__(self, encoder: Encoder, examples: Mapping[Intent, Sequence[str]]) -> None:
        self._encoder = encoder
        self._texts = [text for texts in examples.values() for text in texts]
        self._of = np.array([intent for intent, texts in examples.items() for _ in texts])
        self._vectors = encoder.encode(self._texts)
        self._grams = np.unique(grams(self._texts).keys)
        self._letters = self._letters_of(self._texts)
        ridge = RIDGE * np.eye(len(self._texts))
        inverse = np.linalg.inv(self._alike(self._vectors, self._letters) + ridge)
        is_of = np.array([self._of == intent for intent in Intent], dtype=np.float64).T
        self._weights = inverse @ is_of
        # What the fit without an example says of it, for all of them at once.
        self.thresholds = self._thresholds(is_of - self._weights / np.diag(inverse)[:, None])

    def read(self, text: str) -> Read:
        """The intent of a message, with the reasons in words."""
        plain = normalise(text).text.strip()
        intent, reason = _by_rule(text, plain) or self._by_likeness(plain) or _otherwise(plain)
        return Read(
            intent=intent,
            reasons=(reason,),
            complains=intent is Intent.COMPLAINT or recognise_complaint(text),
            refuses=intent is Intent.REFUSAL or recognise_refusal(text),
            vulnerable=recognise_vulnerable(text),
        )

    def _by_likeness(self, plain: str) -> tuple[Intent, str] | None:
        if not 2 <= len(plain) <= LONGEST_COMPARED:
            return None
        alike = self._alike(self._encoder.encode([plain]), self._letters_of([plain]))[0]
        heights = alike @ self._weights
        best = list(Intent)[int(np.argmax(heights))]
        if heights.max() < self.thresholds[best] or not _may_be(best, plain):
            return None
        nearest = int(np.argmax(np.where(self._of == best, alike, -1)))
        return best, f"与“{self._texts[nearest]}”意思相近"

    def _alike(self, vectors: Vectors, letters: Vectors) -> NDArray[np.float64]:
        """How alike texts and examples are, from 0 to 1 for the same."""
        meaning, shared = vectors @ self._vectors.T, letters @ self._letters.T
        return (MEANING_SHARE * meaning + (1 - MEANING_SHARE) * shared).astype(np.float64)

    def _letters_of(self, texts: Sequence[str]) -> Vectors:
        """Unit rows of how often each gram of the examples is in a text, by the root."""
        found = grams(texts)
        owners = np.repeat(np.arange(len(texts)), found.lengths)
        places = np.searchsorted(self._grams, found.keys).clip(max=len(self._grams) - 1)
        known = self._grams[places] == found.keys
        counts = np.zeros((len(texts), len(self._grams)), dtype=np.float32)
        np.add.at(counts, (owners[known], places[known]), 1)
        rows: Vectors = np.sqrt(counts / np.maximum(found.lengths, 1)[:, None]).astype(np.float32)
        return rows

    def _thresholds(self, left_out: NDArray[np.float64]) -> dict[Intent, float]:
        """The lowest height at which the examples left out are told apart well enough.

        Only those count that are read by likeness: no rule knows them, none forbids the intent.
        """
        claims: dict[Intent, list[tuple[float, bool]]] = {intent: [] for intent in Intent}
        for heights, true, text in zip(left_out, self._of, self._texts, strict=True):
            claimed, plain = list(Intent)[int(np.argmax(heights))], normalise(text).text.strip()
            if _may_be(claimed, plain) and _by_rule(text, plain) is None:
                claims[claimed].append((float(heights.max()), claimed == true))
        return {intent: _threshold(intent, each) for intent, each in claims.items()}


def _threshold(intent: Intent, claims: Sequence[tuple[float, bool]]) -> float:
    wanted = SURE if intent in WITHOUT_REPLY else PRECISION
    right, lowest = 0, 2.0
    for count, (score, is_right) in enumerate(sorted(claims, reverse=True), 1):
        right += is_right
        if right >= wanted * count:
            lowest = score
    return max(lowest, LEAST)


@cache
def reader() -> Reader:
    """The reader on the shipped encoder and the shipped examples."""
    return Reader(load_encoder(BUILTIN), read_examples())


def asks(text: str) -> bool:
    """Whether it is worded as a question, whatever else it is."""
    return bool(_ASKS.search(normalise(text).text))


def read_examples(file: Path = EXAMPLES_FILE) -> dict[Intent, list[str]]:
    """The messages of a file by what they want."""
    told = yaml.safe_load(file.read_text("utf-8"))
    return {intent: [str(text) for text in told.get(intent.value, ())] for intent in Intent}


def _by_rule(text: str, plain: str) -> tuple[Intent, str] | None:
    if recognise_complaint(text) or _PROTEST.search(plain):
        return Intent.COMPLAINT, "含投诉、追责或要求说法的用语"
    if recognise_refusal(text) or _REFUSES.search(plain):
        return Intent.REFUSAL, "要求不再联系或不再推送"
    if _BUYS.search(plain) and not _ASKS.search(plain):
        return Intent.BUY, "提出购买、追加或代办"
    if _WORRIES.search(plain):
        return Intent.WORRY, "表达担心、害怕或难受"
    if text.strip() and not any(letter.isalnum() for letter in plain):
        return Intent.SMALL_TALK, "只有标点或表情，没有文字"
    if _GREETS.fullmatch(plain):
        return Intent.SMALL_TALK, "只有问候或祝福"
    if plain and is_courtesy(text):
        return Intent.THANKS, "只有致谢或应答，没有提问"
    return None


def _may_be(intent: Intent, plain: str) -> bool:
    """Small talk and thanks are not believed of a message that speaks of the bank's business."""
    if intent in (Intent.THANKS, Intent.SMALL_TALK, Intent.OTHER):
        return not _BUSINESS.search(plain)
    asks = intent in (Intent.BUY, Intent.REFUSAL, Intent.COMPLAINT) and _ASKS.search(plain)
    return not asks


def _otherwise(plain: str) -> tuple[Intent, str]:
    if _ASKS.search(plain) or _BUSINESS.search(plain):
        return Intent.QUESTION, "含提问或业务用语"
    return Intent.OTHER, "没有可归类的意图"


_ASKS = re.compile(
    r"[?]|(?:吗|么|呢|不|没)[啊呀]?[?。!]?$|多少|多久|几[天号个点时]|怎么|怎样|如何|为什么|为啥|什么|哪|是不是|能不能|可不可以|有没有|啥"
)
_BUSINESS = re.compile(
    r"理财|基金|净值|赎回|申购|认购|购买|买|到账|到期|风险|收益|利率|利息|手续费|费用|管理费|存款|存单|债|黄金|保险|信托|定投"
    r"|测评|份额|分红|持仓|产品|封闭|开放|起购|额度|转让|撤单|账户|银行卡|转账|基准|年化|亏|赚|涨|跌"
)
_PROTEST = re.compile(
    r"(?:找|让|叫)你们?(?:的)?(?:领导|行长|上级|主管)|(?:叫|让)(?:你们)?(?:领导|行长)来|坑(?:老百姓|人|我|客户|钱)|忽悠我"
    r"|(?:给|要)(?:我|个|一个)?(?:说法|交代)|乱(?:扣|收)|退钱|赔(?:我|偿)|假签|签字造假|没人(?:理|管|联系)|凭什么|法院|耍(?:人|我)|退(?:回来|给我|还给我)|打了?[^。?!]{0,6}(?:遍|次)[^。?!]{0,6}(?:忙|没人|不通)|太(?:差|让人失望|失望)"
)
_REFUSES = re.compile(
    r"别(?:再)?群发|(?:能不能|可不可以|能)(?:别|不要)(?:再|天天|总|老)?[^。?!]{0,4}(?:发|推|打扰|联系)"
    r"|再(?:发|推|推销)[^。?!]{0,6}(?:删|拉黑|举报)|(?:移出|移除|踢出)[^。?!]{0,8}(?:名单|群发)"
    r"|(?:广告|推销|推送)[^。?!]{0,8}(?:不想看|太多|烦)"
)
_BUYS = re.compile(
    r"(?:帮|替|给|麻烦|请)(?:我|我们)?[^。?!,]{0,6}(?:买|申购|认购|下单|追加|续上|签约|操作|抢|来)(?!.{0,4}(?:多少|什么))"
    r"|(?:我|就)(?:想|要|打算|准备|决定)(?:再|把[^。?!]{1,12})?(?:买|申购|认购|追加|加仓|加|投|入手|定投|定|转成)"
    r"|(?:这款|这只|这个)我?(?:要|买)了|(?:今天|现在|马上)就?(?:想|要)?买|给我(?:下单|来|留)|直接(?:帮|给)?我?办"
    r"|我(?:把钱|转钱|打钱)[^。?!]{0,6}(?:你|买)|来\d*[一二三四五六七八九十百]*万"
)
_WORRIES = re.compile(
    r"担心|害怕|好怕|挺怕|发慌|心慌|有点慌|越[看跌]越(?:慌|焦虑)|焦虑|睡不[着好]|不放心|没底|不安|着急|心疼|难受|心惊"
    r"|亏(?:不起|了这么多|了好)|怎么办啊|拿不回来|后悔|压力好?大"
)
# At least one greeting, and nothing beside greetings but sounds: 哦 alone is an answer.
_GREETS = re.compile(
    r"[,。!~\s啊呀呢哦]*(?:(?:你好|您好|哈喽|hello|hi|嗨|在吗|在不在|在么|有人吗|早上好|早安|早|上午好|中午好|下午好|晚上好|晚安|好久不见"
    r"|(?:周末|节日|新年|中秋节?|国庆节?|春节|元旦|端午节?|生日|元宵节?|劳动节|重阳节?)?(?:快乐|愉快|安康)"
    r"|恭喜发财|[哈嘿]|小\w|经理)[,。!~\s啊呀呢哦]*)+"
)

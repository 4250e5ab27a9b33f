"""What a follow-up means: “那手续费呢” after a question about a product asks for its fee. Pure.

The last turns are read backwards for the product under discussion, or else for the subject of what
was asked; the completed question is what is searched for. What the customer wrote stays as it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

CUSTOMER: Literal["customer"] = "customer"
TURNS = 6
# A message this short can leave out what it is about.
SHORT = 14
LONGEST_TURN = 200


@dataclass(frozen=True)
class Turn:
    """One earlier message of the chat, personal data masked."""

    speaker: str  # customer or rm
    text: str


@dataclass(frozen=True)
class Understood:
    """A question with what it leaves out put in."""

    text: str  # what is searched for
    about: str = ""  # the product under discussion
    reason: str = ""  # how it was completed; empty where nothing was left out

    def kept(self, turns: Sequence[Turn]) -> dict[str, Any]:
        """As it is stored with a suggestion."""
        return {
            "turns": [{"speaker": turn.speaker, "text": turn.text} for turn in turns],
            "understood": self.text,
            "about": self.about,
            "reason": self.reason,
        }


def understood(question: str, turns: Sequence[Turn], names: Sequence[str]) -> Understood:
    """The question completed from the last turns; `names` are the products they name."""
    said = _last_named([question], names)
    if said or not _leaves_out(question):
        return Understood(question, said)
    core = _POINTING.sub("", question).strip("，,。!！?？呢啊呀哦 ") or question
    if about := _last_named([turn.text for turn in turns], names):
        return Understood(f"{about}{core}", about, f"承接前文，指产品“{about}”")
    if len(question) > SHORT:
        return Understood(question)
    earlier = next((turn.text for turn in reversed(turns) if _asks_in_full(turn)), "")
    subjects = _SUBJECT.findall(earlier)
    # Who names a subject has changed it.
    if subjects and not _SUBJECT.search(core):
        return Understood(f"{subjects[-1]}{core}", "", f"承接前文的话题“{subjects[-1]}”")
    if earlier and not subjects:
        return Understood(f"{earlier}，{core}", "", "承接前文的提问")
    return Understood(question)


def _last_named(texts: Sequence[str], names: Sequence[str]) -> str:
    """The product named last, in the newest text that names one."""
    for text in reversed(texts):
        places = {name: text.rfind(name) for name in names if name in text}
        if places:
            return max(places, key=lambda name: (places[name], len(name)))
    return ""


def _leaves_out(question: str) -> bool:
    """Whether it points back, or is too short to stand alone."""
    if _POINTING.search(question):
        return True
    return len(question) <= SHORT and bool(_ELLIPSIS.search(question))


def _asks_in_full(turn: Turn) -> bool:
    return turn.speaker == CUSTOMER and not _leaves_out(turn.text) and len(turn.text) >= 4


_POINTING = re.compile(
    r"^(?:那么?(?![款只支个])|还有|另外|然后)[，,]?(?:请问)?(?!\d|时候|边|里)|(?<!其)它(?:的)?|(?:这|那|该)(?:个|款|只|支|种)?(?:产品|理财|基金)的?"
    r"|(?<!的)(?:这|那)(?:款|只|支)的?|(?:上面|刚才|刚刚|前面)(?:说的|那个|提到的|讲的)?(?:产品|那款)?"
)
_ELLIPSIS = re.compile(
    r"呢[？?]?$|^(?:手续费|费用|费率|风险(?!测评|评估|承受|揭示)|期限|多久|几天|起购|起点|利率|收益|门槛)"
)
_SUBJECT = re.compile(
    r"大额存单|风险测评|赎回|申购|认购|购买|到期|定投|净值|国债|黄金|分红|转让|撤单|基金|理财|存款|保险|信托|开户|转账"
)

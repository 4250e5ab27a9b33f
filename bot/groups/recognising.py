"""Is it a question, and may it be answered before everybody? Pure: words in, answers out.

In doubt something is a question (a person passes it with one tap) and is answered in single chat.
"""

import re
from collections.abc import Collection

from bot.service import words
from compliance.courtesy import is_courtesy
from compliance.masking import LABELS, mask
from compliance.normalise import normalise

SHORTEST_QUESTION = 3
SHORTEST_NAME = 2
A_NAME = "[姓名]"
NAMES_SOMEBODY = "提到了群成员的姓名"

# As WeCom writes them: whom a message is for, and which message it replies to.
_MENTION = re.compile(r"@[^\s@]{1,32}(?:\s|$)")
_REPLY = re.compile(r"^「([^」]{0,1000})」\s*\n(?:[- ]{5,80})\n")
_ASKS = re.compile(
    r"\?|吗|么(?:[,。!~\s]|$)|呢(?:[,。!~\s]|$)|多少|多久|多长|多大|几(?:天|号|点|个|时|年|月|次|日|成|折)"
    r"|什么|啥|怎么|怎样|如何|咋|哪|为何|是否|何时|能不能|可不可以|可否|有没有|是不是|要不要|会不会|行不行"
    r"|想(?:问|知道|了解|咨询)|请教|请问|求助"
)


def question_of(text: str) -> str:
    """The question in these words, without whom it is for; empty where nothing is asked."""
    said = _MENTION.sub(" ", answered_part(text)[1]).strip()
    plain = normalise(said).text.strip()
    if len(plain) < SHORTEST_QUESTION or is_courtesy(said) or words.asks_who(said):
        return ""
    return said if _ASKS.search(plain) else ""


def answered_part(text: str) -> tuple[str, str]:
    """What a reply quotes, without who said it, and what it says itself."""
    found = _REPLY.match(text)
    if found is None:
        return "", text
    _, _, quoted = found[1].partition("：")
    return quoted or found[1], text[found.end() :]


def why_private(text: str, names: Collection[str]) -> str:
    """Why this is not answered before everybody, in words; empty where nothing speaks against it.

    `names` are those of the customers in the group.
    """
    if kinds := mask(text).counts:
        return "含有" + "、".join(LABELS.get(kind, kind) for kind in kinds)
    if _named(text, names):
        return NAMES_SOMEBODY
    reason = words.why_a_person(text)
    return "" if reason == words.ADVICE else reason


def without_names(text: str, names: Collection[str]) -> str:
    """The same words with nobody's name in them."""
    for name in sorted(_named(text, names), key=len, reverse=True):
        text = text.replace(name, A_NAME)
    return text


def _named(text: str, names: Collection[str]) -> list[str]:
    return [name for name in set(names) if len(name) >= SHORTEST_NAME and name in text]


def veiled(name: str) -> str:
    """A name for whoever may not know it: its first character."""
    return f"{name[:1]}**" if name else "群友"

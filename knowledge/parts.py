"""What a message asks, one by one: “赎回几天到账？手续费多少？” asks two things. Pure."""

import re
from collections.abc import Sequence
from itertools import islice

from knowledge import intents
from knowledge.conversation import CUSTOMER, Turn, understood
from knowledge.intents import Intent

# What is asked beyond these is left to the person who answers.
MOST, MOST_SENTENCES = 4, 20
SHORTEST = 4  # letters; “真的吗” asks for nothing that can be looked up

_BREAK = re.compile(r"(?<=[？?！!。；;\n])|[，,](?=还有|另外|顺便)")
# It only presses the question before: “这是怎么回事”, “那该怎么办呢”.
_PRESSES = re.compile(
    r"\W*(?:请问|这|那|我|你们?|是|会|该|要|到底|究竟|应该|可以|又)*"
    r"(?:(?:怎么|如何)(?:回事|办|弄|操作|做|样|解决|处理)?|什么(?:原因|情况|意思)|为(?:什么|啥)(?:会|是)?(?:这样)?)"
    r"(?:的|了|呢|啊|呀)*\W*"
)


def parts_of(message: str, turns: Sequence[Turn], names: Sequence[str]) -> tuple[str, ...]:
    """The questions of a message in their order, at most four; none where it asks but one.

    Each is completed from the turns and from the questions before it: “手续费呢” after “稳盈月月开
    几天到账” asks for the fee of that product. `names` are the products they name.
    """
    sentences = [*filter(None, map(str.strip, _BREAK.split(message, MOST_SENTENCES)))]
    # Most messages are one sentence, and reading it again would cost each suggestion.
    if len(sentences) < 2:
        return ()
    asked = list(islice(filter(_asks, sentences[:MOST_SENTENCES]), MOST))
    if len(asked) < 2:
        return ()
    said = [*turns, *(Turn(CUSTOMER, part) for part in asked)]
    known = [said[: len(turns) + number] for number in range(len(asked))]
    pairs = zip(asked, known, strict=True)
    return tuple(understood(part, before, names).text for part, before in pairs)


def _asks(part: str) -> bool:
    says_something = sum(map(str.isalnum, part)) >= SHORTEST and not _PRESSES.fullmatch(part)
    if not (says_something and intents.asks(part)):
        return False
    return intents.reader().read(part).intent is Intent.QUESTION

"""Whether a message asks nothing: thanks, an OK, a goodbye."""

import re

from compliance.normalise import normalise


def is_courtesy(text: str) -> bool:
    """Whether these words ask nothing: thanks, an OK, a goodbye."""
    return bool(_COURTESY.fullmatch(normalise(text).text.strip()))


# No alternative is the beginning of another one followed by a third: the search stays linear.
_COURTESY = re.compile(
    r"(?:好|嗯|哦|噢|行|可以|知道|明白|了解|收到|清楚|没|有|不用|ok|谢|多|感谢|辛苦|再见|拜|麻烦|事"
    r"|[,。!~、\s的滴了哈啊呀哒嘞您你])+"
)

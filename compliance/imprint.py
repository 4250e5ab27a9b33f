"""What a message carries besides its words: that a machine wrote it, who speaks, how to stop it.

Sources: 人工智能生成合成内容标识办法 and GB 45438-2025 (a text is marked where it begins or
ends), 广告法 43 (a marketing message names its sender and the way to refuse).
"""

import re

from compliance.normalise import normalise

AI_MARK = "【AI生成】"
AI_CONFIRMED = "（以上内容由AI生成，已经客户经理确认）"
STOP = "如不希望再收到此类信息，请回复“TD”。"

_STOPS = re.compile(r"回复[“\"'‘]?td|退订|拒收请回复")


def with_ai_mark(text: str, *, confirmed: bool) -> str:
    """The text with its mark; doing it twice changes nothing.

    `confirmed`: a person has read it and sends it.
    """
    if confirmed:
        return f"{text.replace(AI_CONFIRMED, '').rstrip()}\n{AI_CONFIRMED}"
    return text if text.startswith(AI_MARK) else f"{AI_MARK}{text.lstrip()}"


def with_sender(text: str, bank_name: str, rm_name: str) -> str:
    """A marketing text with who sends it and how to stop it; what it says already is not added."""
    named = bank_name in text and (not rm_name or rm_name in text)
    stops = bool(_STOPS.search(normalise(text).text))
    if named and stops:
        return text
    sender = "" if named else f"【{' '.join(part for part in (bank_name, rm_name) if part)}】"
    return f"{text.rstrip()}\n{sender}{'' if stops else STOP}"

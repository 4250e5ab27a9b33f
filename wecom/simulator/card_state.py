"""What the platform remembers about cards: who may still change which one, and how it looks now."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

CODE_LIFE = timedelta(hours=72)


@dataclass
class SentMessage:
    """One message/send: its receivers, so that it can be recalled or changed later."""

    msgid: str
    agent_id: int
    userids: list[str]
    at: datetime


@dataclass
class ResponseCode:
    """The right to change the cards of one message once."""

    code: str
    msgid: str
    issued_at: datetime
    used: bool = False


@dataclass
class CardFace:
    """How one member sees a card now: a button's new words, or a wholly new card."""

    replace_name: str = ""
    card: dict[str, Any] | None = None
    presses: int = 0


@dataclass
class CardDeck:
    """All cards that can still change."""

    sent: dict[str, SentMessage] = field(default_factory=dict)
    codes: dict[str, ResponseCode] = field(default_factory=dict)
    faces: dict[str, CardFace] = field(default_factory=dict)
    task_ids: list[str] = field(default_factory=list)
    """`agent/task_id` of every card sent; a task id is never used twice."""

    def face(self, msgid: str, userid: str) -> CardFace:
        """The member's view of the card, as sent when nothing changed it."""
        return self.faces.setdefault(f"{msgid}/{userid}", CardFace())

"""What the platform remembers about the robot (智能机器人) and who talked with it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

RESPONSE_LIFE = timedelta(hours=1)


@dataclass
class RobotTurn:
    """One message or event for the robot and everything it answered."""

    msgid: str
    userid: str
    chat_id: str
    kind: str
    text: str
    at: datetime
    replies: list[dict[str, Any]] = field(default_factory=list)
    content: str = ""
    card: dict[str, Any] | None = None
    finished: bool = False
    polls: int = 0
    later: list[dict[str, Any]] = field(default_factory=list)
    """What came by the response_url."""
    error: str = ""
    response_code: str = ""
    answered_at: datetime | None = None
    """When the response_url was spent."""


@dataclass
class RobotRoom:
    """The robot's address and keys, as its page in the client shows them, and its turns."""

    url: str = ""
    token: str = ""
    aes_key: str = ""
    robot_id: str = "aibSimulator"
    poll_seconds: float = 0.5
    turns: list[RobotTurn] = field(default_factory=list)

    def entered_today(self, userid: str, day_start: datetime) -> bool:
        """Whether the member already opened the chat with the robot since then."""
        return any(
            t.kind == "enter_chat" and t.userid == userid and t.at >= day_start for t in self.turns
        )

"""What the platform remembers about moments (客户朋友圈): the task, who published, who reacted."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Reaction:
    """A like, or a comment when it has words, below one member's moment."""

    external_userid: str
    userid: str
    at: datetime
    text: str = ""


@dataclass
class Moment:
    """A moment the corp wants published; nobody sees it before a member publishes it."""

    moment_id: str
    jobid: str
    created_at: datetime
    text: str
    attachments: list[dict[str, Any]]
    audience: dict[str, list[str]]
    """Member asked to publish → the customers who will be able to see it."""
    visible: dict[str, Any] = field(default_factory=dict)
    invalid_senders: dict[str, Any] = field(default_factory=dict)
    invalid_tags: list[str] = field(default_factory=list)
    published: dict[str, datetime] = field(default_factory=dict)
    reactions: dict[str, list[Reaction]] = field(default_factory=dict)
    cancelled_at: datetime | None = None
    creator: str = ""

    @property
    def personal(self) -> bool:
        """Whether a member published it on his own account."""
        return bool(self.creator)

    def title(self) -> str:
        """What a person reads of it: its text, or what is attached."""
        if self.text:
            return self.text
        first = self.attachments[0] if self.attachments else {}
        names = {"image": "图片", "video": "视频", "link": "链接"}
        body = first.get(str(first.get("msgtype")), {})
        return f"[{names.get(str(first.get('msgtype')), '动态')}] {body.get('title', '')}".strip()


@dataclass
class MomentBoard:
    """All moments, and how slow the platform is with them."""

    moments: dict[str, Moment] = field(default_factory=dict)
    processing_seconds: float = 0.0
    tasks_a_minute: int = 10

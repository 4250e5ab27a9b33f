"""How customers come and where they go: tags, codes (联系我), links (获客助手), handovers."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

WAITING, DONE, REFUSED, LIMIT, NO_RECORD = 2, 1, 3, 4, 5


@dataclass
class Tag:
    """A corp tag."""

    tag_id: str
    name: str
    created_at: datetime
    order: int = 0


@dataclass
class TagGroup:
    """A group of corp tags."""

    group_id: str
    name: str
    created_at: datetime
    order: int = 0
    tags: dict[str, Tag] = field(default_factory=dict)


@dataclass
class ContactWay:
    """A code customers scan to add a member; `users` after expansion of departments."""

    config_id: str
    created_at: datetime
    kind: int
    scene: int
    users: list[str]
    state: str = ""
    remark: str = ""
    skip_verify: bool = True
    is_exclusive: bool = False
    style: int = 1
    party: list[int] = field(default_factory=list)
    mark_source: bool = True
    conclusions: dict[str, Any] = field(default_factory=dict)
    turn: int = 0


@dataclass
class LinkCustomer:
    """A customer who came by a link; chat status 0 silent, 1 has written."""

    external_userid: str
    userid: str
    state: str
    came_at: datetime
    chat_status: int = 0
    received: int = 0


@dataclass
class AcquisitionLink:
    """A 获客链接: whoever taps it becomes the friend of one of its members."""

    link_id: str
    name: str
    created_at: datetime
    users: list[str]
    skip_verify: bool = True
    mark_source: bool = True
    clicks: list[datetime] = field(default_factory=list)
    customers: list[LinkCustomer] = field(default_factory=list)
    turn: int = 0
    deleted_at: datetime | None = None


@dataclass
class ChatKey:
    """The right to ask once, within thirty minutes, how often a link's customer has written."""

    key: str
    link_id: str
    external_userid: str
    userid: str
    issued_at: datetime


@dataclass
class Transfer:
    """A customer on the way from one member to another; status 2 waits for him (24 hours)."""

    handover: str
    takeover: str
    external_userid: str
    asked_at: datetime
    resigned: bool = False
    words: str = ""
    status: int = WAITING
    ended_at: datetime | None = None

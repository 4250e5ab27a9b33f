"""Customer groups (客户群), their members, their join codes and their greetings."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

MEMBER, CUSTOMER = 1, 2
INVITED, BY_LINK, BY_CODE = 1, 2, 3


def new_version() -> str:
    """A member version: 32 hexadecimal digits, another one after each change of members."""
    return secrets.token_hex(16)


@dataclass
class GroupMember:
    """Somebody in a group: a colleague (1) or a WeChat user (2), and how he came (1, 2 or 3)."""

    userid: str
    kind: int
    joined_at: datetime
    join_scene: int = INVITED
    invitor: str = ""
    nickname: str = ""
    state: str = ""


@dataclass
class Group:
    """A customer group; `before` is what the platform still answers right after a change."""

    chat_id: str
    name: str
    owner: str
    created_at: datetime
    notice: str = ""
    members: dict[str, GroupMember] = field(default_factory=dict)
    admins: list[str] = field(default_factory=list)
    version: str = field(default_factory=new_version)
    status: int = 0
    welcome: str = ""
    changed_at: datetime | None = None
    before: dict[str, Any] | None = None
    dismissed_at: datetime | None = None
    transferred: list[datetime] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether the group still exists."""
        return self.dismissed_at is None

    @property
    def customers(self) -> list[str]:
        """The customers in the group, in the order they came."""
        return [m.userid for m in self.members.values() if m.kind == CUSTOMER]


@dataclass
class JoinWay:
    """A code or link that leads into up to five groups (加入群聊)."""

    config_id: str
    created_at: datetime
    scene: int
    chat_ids: list[str]
    remark: str = ""
    auto_create_room: int = 1
    room_base_name: str = ""
    room_base_id: int = 0
    state: str = ""


@dataclass
class GroupWelcome:
    """A greeting owners can switch on in their groups (入群欢迎语素材)."""

    template_id: str
    text: str
    attachment: dict[str, Any] | None = None
    notify: int = 1

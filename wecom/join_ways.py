"""Join ways (加入群聊): codes that lead into one of up to five customer groups."""

from dataclasses import dataclass, field
from typing import Final

from wecom.answer import Answer
from wecom.limits import characters, some

MAX_GROUPS: Final = 5
MINI_PROGRAM, QR_CODE = 1, 2


@dataclass(frozen=True, slots=True)
class JoinWay:
    """A code for these groups, filled in order; `state` reaches every member who used it.

    When all are full, WeCom opens a new one named `base_name` + number if `auto_create`.
    """

    chat_ids: tuple[str, ...]
    state: str = ""
    remark: str = ""
    auto_create: bool = False
    base_name: str = ""
    base_id: int = 1
    in_mini_program: bool = False

    def __post_init__(self) -> None:
        some("join way groups", self.chat_ids, MAX_GROUPS)
        characters("join way state", self.state, 30, least=0)
        characters("join way remark", self.remark, 30, least=0)
        characters("join way base name", self.base_name, 40, least=0)

    def payload(self) -> dict[str, object]:
        """As WeCom takes it."""
        fields: dict[str, object] = {
            "scene": MINI_PROGRAM if self.in_mini_program else QR_CODE,
            "remark": self.remark,
            "auto_create_room": int(self.auto_create),
            "chat_id_list": list(self.chat_ids),
            "state": self.state,
        }
        if self.auto_create:
            fields |= {"room_base_name": self.base_name, "room_base_id": self.base_id}
        return fields


@dataclass(frozen=True, slots=True)
class JoinWayFound:
    """A join way as WeCom keeps it; `qr_code` is the picture's address."""

    config_id: str
    way: JoinWay
    qr_code: str = field(repr=False)


def found(row: Answer, config_id: str) -> JoinWayFound:
    """Read a join way."""
    try:
        way = JoinWay(
            chat_ids=tuple(row.texts("chat_id_list")),
            state=row.text("state", ""),
            remark=row.text("remark", ""),
            auto_create=row.truth("auto_create_room"),
            base_name=row.text("room_base_name", ""),
            base_id=row.number("room_base_id", 1),
            in_mini_program=row.number("scene", QR_CODE) == MINI_PROGRAM,
        )
    except ValueError as impossible:
        raise row.unreadable("join_way") from impossible
    return JoinWayFound(row.text("config_id", config_id), way, row.text("qr_code", ""))

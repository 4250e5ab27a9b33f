"""The member's chat with the robot as plain values."""

from typing import Any

from wecom.simulator.card_view import card_parts
from wecom.simulator.platform import Platform
from wecom.simulator.robot_state import RobotTurn

SHOWN = 60


def robot_view(platform: Platform, userid: str) -> dict[str, Any]:
    """The chat, oldest first; `ready` says whether the robot has an address at all."""
    room = platform.world.robot
    turns = [turn for turn in room.turns if turn.userid == userid and not turn.chat_id]
    return {"ready": bool(room.url), "turns": [_turn(turn) for turn in turns[-SHOWN:]]}


def _turn(turn: RobotTurn) -> dict[str, Any]:
    later = [row["markdown"]["content"] for row in turn.later if row["msgtype"] == "markdown"]
    feedback = (turn.replies[-1].get("stream") or {}).get("feedback") if turn.replies else None
    return {
        "msgid": turn.msgid,
        "kind": turn.kind,
        "text": turn.text,
        "at": turn.at.isoformat(),
        "content": turn.content,
        "card": card_parts(turn.card) if turn.card else None,
        "later": later,
        "waiting": not (turn.finished or turn.error),
        "error": turn.error,
        "feedback": (feedback or {}).get("id", ""),
    }

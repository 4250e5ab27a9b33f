"""What goes wrong on purpose: lost, doubled and reordered callbacks, calls that fail or hang."""

from dataclasses import dataclass, field
from typing import Any, Literal

Answer = Literal["500", "hang", "lost"]


@dataclass
class ApiFault:
    """The next `times` calls whose path ends with `path` (empty: every call) get this answer."""

    path: str
    times: int
    answer: Answer | int


@dataclass
class Faults:
    """The faults still to come."""

    drop: int = 0
    duplicate: int = 0
    reorder: int = 0
    api: list[ApiFault] = field(default_factory=list)

    def arrange(self, wish: dict[str, Any]) -> None:
        """Plan faults from a control request; `{"clear": true}` forgets the earlier ones.

        `{"callbacks": {"drop": 1, "duplicate": 1, "reorder": 1},
        "api": [{"path": "externalcontact/get", "times": 2, "answer": "500"}]}` where answer is
        "500", "hang" (never answers), "lost" (done, but the answer never arrives) or an errcode.
        """
        if wish.get("clear"):
            self.drop = self.duplicate = self.reorder = 0
            self.api.clear()
        callbacks = wish.get("callbacks", {})
        self.drop += int(callbacks.get("drop", 0))
        self.duplicate += int(callbacks.get("duplicate", 0))
        self.reorder += int(callbacks.get("reorder", 0))
        for fault in wish.get("api", []):
            answer = fault["answer"]
            if answer not in ("500", "hang", "lost"):
                answer = int(answer)
            self.api.append(ApiFault(fault.get("path", ""), int(fault.get("times", 1)), answer))

    def spend(self, kind: Literal["drop", "duplicate", "reorder"]) -> bool:
        """Use up one callback fault of this kind, if any is left."""
        left = getattr(self, kind)
        if left:
            setattr(self, kind, left - 1)
        return bool(left)

    def spend_on(self, path: str) -> Answer | int | None:
        """Use up one call fault that fits the path, if any is left."""
        for fault in self.api:
            if fault.times > 0 and path.endswith(fault.path):
                fault.times -= 1
                return fault.answer
        return None

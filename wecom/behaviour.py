"""How members work with customers, counted by WeCom day by day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.limits import some, span

LONGEST: Final = timedelta(days=30)
MAX_MEMBERS: Final = 100


@dataclass(frozen=True, slots=True)
class BehaviourDay:
    """One day of these members together; `reply_percentage` and the minutes may be missing."""

    day: datetime
    applications: int
    new_contacts: int
    chats: int
    messages: int
    reply_percentage: float | None
    minutes_to_reply: float | None
    lost: int


class Behaviour:
    """Asks how members work with customers."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def of(
        self, userids: Sequence[str], start: datetime, end: datetime
    ) -> list[BehaviourDay]:
        """Return the days from `start` to `end`, both aware, 30 at most, of the last 180.

        Several members are summed up: ask one by one for figures of each. Yesterday's appear late
        in the morning.
        """
        some("behaviour members", userids, MAX_MEMBERS)
        span("behaviour.of", start, end, LONGEST)
        asked = {
            "userid": list(userids),
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
        }
        answer = await self._calls.post("externalcontact/get_user_behavior_data", asked)
        return [_day_of(row) for row in answer.parts("behavior_data")]


def _day_of(row: Answer) -> BehaviourDay:
    return BehaviourDay(
        day=row.moment("stat_time"),
        applications=row.number("new_apply_cnt", 0),
        new_contacts=row.number("new_contact_cnt", 0),
        chats=row.number("chat_cnt", 0),
        messages=row.number("message_cnt", 0),
        reply_percentage=row.ratio("reply_percentage"),
        minutes_to_reply=row.ratio("avg_reply_time"),
        lost=row.number("negative_feedback_cnt", 0),
    )

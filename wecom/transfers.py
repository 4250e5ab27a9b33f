"""Handing customers over: from a serving member (在职继承), or from one who left (离职继承)."""

import enum
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.limits import characters, present, some

MAX_AT_ONCE: Final = 100
WORDS: Final = 200


class TransferStatus(enum.IntEnum):
    """How far a handover is, in WeCom's numbers."""

    DONE = 1
    WAITING = 2
    REFUSED = 3
    TAKER_FULL = 4
    NO_RECORD = 5


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """One customer of a request; 0 means it has begun and takes effect within a day."""

    external_userid: str
    errcode: int

    @property
    def begun(self) -> bool:
        return self.errcode == 0


@dataclass(frozen=True, slots=True)
class TransferResult:
    """How far one customer's handover is; the customer may refuse for a day."""

    external_userid: str
    status: TransferStatus
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class Unassigned:
    """A customer whose member left."""

    handover_userid: str
    external_userid: str
    left_at: datetime


class Transfers:
    """Asks for handovers and what became of them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def request(
        self,
        handover_userid: str,
        takeover_userid: str,
        external_userids: Sequence[str],
        message: str = "",
    ) -> list[TransferAsked]:
        """Hand customers of a serving member over, twice in 90 days each at most.

        `message`, at most 200 characters, is what the customer reads.
        """
        fields = _asked(handover_userid, takeover_userid, external_userids)
        characters("transfer message", message, WORDS, least=0)
        if message:
            fields["transfer_success_msg"] = message
        return await self._request("externalcontact/transfer_customer", fields)

    async def request_resigned(
        self, handover_userid: str, takeover_userid: str, external_userids: Sequence[str]
    ) -> list[TransferAsked]:
        """Hand customers of a member who left over."""
        fields = _asked(handover_userid, takeover_userid, external_userids)
        return await self._request("externalcontact/resigned/transfer_customer", fields)

    async def results(
        self, handover_userid: str, takeover_userid: str
    ) -> AsyncIterator[TransferResult]:
        """Yield how far the handovers between two serving members are."""
        path = "externalcontact/transfer_result"
        async for result in self._results(path, handover_userid, takeover_userid):
            yield result

    async def results_resigned(
        self, handover_userid: str, takeover_userid: str
    ) -> AsyncIterator[TransferResult]:
        """Yield how far the handovers from a member who left are."""
        path = "externalcontact/resigned/transfer_result"
        async for result in self._results(path, handover_userid, takeover_userid):
            yield result

    async def unassigned(self) -> AsyncIterator[Unassigned]:
        """Yield the customers whose member left and who belong to nobody yet."""
        path = "externalcontact/get_unassigned_list"
        async for page in self._calls.pages(path, {"page_size": 1000}):
            for row in page.parts("info"):
                yield Unassigned(
                    row.text("handover_userid"),
                    row.text("external_userid"),
                    row.moment("dimission_time"),
                )

    async def _request(self, path: str, fields: dict[str, object]) -> list[TransferAsked]:
        answer = await self._calls.post(path, fields, once=True)
        return [
            TransferAsked(row.text("external_userid"), row.number("errcode", 0))
            for row in answer.parts("customer")
        ]

    async def _results(self, path: str, old: str, new: str) -> AsyncIterator[TransferResult]:
        asked = {"handover_userid": old, "takeover_userid": new}
        async for page in self._calls.pages(path, asked):
            for row in page.parts("customer"):
                yield _result_of(row)


def _asked(old: str, new: str, external_userids: Sequence[str]) -> dict[str, object]:
    present("handover userid", old)
    present("takeover userid", new)
    if old == new:
        raise ValueError("a customer is handed over to another member")
    some("customers to hand over", external_userids, MAX_AT_ONCE)
    return {
        "handover_userid": old,
        "takeover_userid": new,
        "external_userid": list(external_userids),
    }


def _result_of(row: Answer) -> TransferResult:
    try:
        status = TransferStatus(row.number("status"))
    except ValueError as unknown:
        raise row.unreadable("status") from unknown
    return TransferResult(row.text("external_userid"), status, row.moment_or_none("takeover_time"))

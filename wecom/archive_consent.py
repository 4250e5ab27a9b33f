"""Who is archived, and who agreed to it (会话内容存档)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.limits import present, some

MAX_PAIRS: Final = 100
# WeCom's own number of the archive, as its events say; its calls take the archive's secret.
ARCHIVE_AGENT_ID: Final = 2000004


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether a customer agreed that the chat with a member is archived, and since when.

    `agreed` is None while nobody asked them (WeCom's Default_Agree, or an answer of another word).
    In a group the member is empty.
    """

    userid: str
    external_userid: str
    agreed: bool | None
    changed_at: datetime | None


class ArchiveConsent:
    """Asks who is archived and who agreed."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def permitted(self, edition: int | None = None) -> list[str]:
        """Return the members who are archived; `edition` 1 office, 2 service, 3 enterprise."""
        asked = {} if edition is None else {"type": edition}
        return (await self._calls.post("msgaudit/get_permit_user_list", asked)).texts("ids")

    async def single(self, pairs: Sequence[tuple[str, str]]) -> list[Consent]:
        """Return the consent of each (member, customer), at most a hundred at once."""
        some("consent pairs", pairs, MAX_PAIRS)
        # The misspelling is WeCom's own.
        info = [{"userid": member, "exteranalopenid": customer} for member, customer in pairs]
        answer = await self._calls.post("msgaudit/check_single_agree", {"info": info})
        return [_consent_of(row) for row in answer.parts("agreeinfo")]

    async def room(self, roomid: str) -> list[Consent]:
        """Return the consent of every customer in a group."""
        present("roomid", roomid)
        answer = await self._calls.post("msgaudit/check_room_agree", {"roomid": roomid})
        return [_consent_of(row) for row in answer.parts("agreeinfo")]


def _consent_of(row: Answer) -> Consent:
    return Consent(
        userid=row.text("userid", ""),
        external_userid=row.text("exteranalopenid"),
        agreed={"Agree": True, "Disagree": False}.get(row.text("agree_status", "")),
        changed_at=row.moment_or_none("status_change_time"),
    )

"""Help 求助 with a question the library does not answer: a colleague's, or new material.

Kept with the suggestion, once of each kind; nobody else writes `Suggestion.help`.
"""

import enum
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from bank.database import ring
from compliance.masking import mask
from knowledge.models import Suggestion, SuggestionState
from knowledge.suggestions import BELL, Refused

LONGEST_NOTE = 200
ANSWERED = (SuggestionState.SENT, SuggestionState.EDITED)


class Help(enum.StrEnum):
    """What an RM asks for: 转人工, or 提需求."""

    PERSON = "person"
    MATERIAL = "material"

    @property
    def label(self) -> str:
        return {"person": "转人工", "material": "提需求"}[self]


async def ask(
    session: AsyncSession,
    suggestion: Suggestion,
    what: Help,
    note: str,
    *,
    of: Sequence[str] = (),
    by: str,
    now: datetime,
) -> Refused | None:
    """Note that the RM asks for help; the suggestion must be locked by the caller.

    `of` are the names of those who are told. Personal data in the note is masked.
    """
    if suggestion.state in ANSWERED:
        return Refused(("这个问题已经答复过了。",))
    if what.value in suggestion.help:
        return Refused((f"这个问题已经{what.label}，不用重复提交。",))
    note = note.replace("\0", "").strip()
    if len(note) > LONGEST_NOTE:
        return Refused((f"说明不能超过 {LONGEST_NOTE} 个字。",))
    kept = {"note": mask(note).text, "at": now.isoformat(), "of": list(of)}
    suggestion.help = {**suggestion.help, what.value: kept}
    audit.record(session, f"knowledge:suggestion:help_{what.value}", suggestion.id, by=by, now=now)
    await ring(session, BELL, f"{suggestion.customer_id}:{suggestion.staff_id}")
    return None

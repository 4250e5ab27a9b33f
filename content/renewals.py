"""Renewal 续期: what ends goes through the review once more with the same words.

Nothing is prolonged: the next version is submitted, and only its approval gives it a new validity.
Until then the live one stays live to its end.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from content import materials, review
from content.drafts import Refused as NotSaved
from content.files import FileStore
from content.house import House
from content.models import State, Version
from content.people import Person

UNDER_WAY = frozenset({State.DRAFT, State.SUBMITTED, State.RETURNED, State.REJECTED})
RENEWABLE = frozenset({State.APPROVED, State.EXPIRED})


@dataclass(frozen=True)
class Renewed:
    """The next version waits for its reviewers."""

    version: Version


@dataclass(frozen=True)
class Refused:
    """Nothing was submitted, and why, in words that say what to do."""

    reason: str


async def renew(
    session: AsyncSession,
    files: FileStore,
    material_id: UUID,
    by: Person,
    now: datetime,
    *,
    house: House,
) -> Renewed | Refused:
    """Submit the same words again; refused while another version is under way."""
    versions = await materials.versions_of(session, material_id)
    if against := _against(versions):
        return Refused(against)
    saved = await materials.repeat(session, files, versions[0], by, now, house=house)
    if isinstance(saved, NotSaved):
        return Refused(f"不能原样续期：{' '.join(saved.errors.values())}请修订后送审。")
    outcome = await review.submit(session, saved.id, by=by, now=now)
    if isinstance(outcome, review.Refused):
        reasons = " ".join(reason.value for reason in outcome.reasons)
        return Refused(f"不能原样续期：{reasons}请修订后送审。")
    return Renewed(outcome.version)


def _against(versions: list[Version]) -> str:
    if not versions:
        return "没有找到这份素材：它可能已被移走。"
    newest = versions[0]
    if newest.state in UNDER_WAY:
        return f"V{newest.number} 正在处理中（{newest.state.label}）：请先处理这一版本。"
    if newest.state not in RENEWABLE:
        return f"V{newest.number} {newest.state.label}，不能续期：请修订后送审。"
    if newest.suspended_at is not None:
        return f"V{newest.number} 已暂停使用：产品信息有变，请按新的信息修订后送审。"
    return ""

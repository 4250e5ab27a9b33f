"""What to say to a question in a group: approved words for everybody, a word to go on in single
chat, or nothing. No model writes here, and nothing of what was asked gets into the words."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.models import Staff
from bot.groups.models import Advice
from customers.models import CustomerGroup
from knowledge import answers
from knowledge.answers import Answered, Unanswered
from knowledge.hybrid import Audience
from knowledge.indexing import LibraryIndex
from wecom.channels import Channel

IN_PRIVATE = (
    "您好，这个问题涉及个人情况，不方便在群里答复，请私信我，我单独为您处理。"
    "也请大家不要在群里发送姓名、证件号、卡号、手机号等个人信息。"
)


@dataclass(frozen=True)
class Draft:
    """What is advised, in which words, from which passage."""

    advice: Advice
    text: str = field(default="", repr=False)
    reason: str = ""
    version_id: UUID | None = None
    position: int = 0
    tier: str = "none"

    def fields(self) -> dict[str, Any]:
        """As a question keeps it."""
        return {
            "advice": self.advice,
            "draft": self.text,
            "reason": self.reason,
            "version_id": self.version_id,
            "position": self.position,
            "tier": self.tier,
        }


def in_private(reason: str) -> Draft:
    """Somebody's own business goes on between two people."""
    return Draft(Advice.PRIVATE, IN_PRIVATE, reason)


async def audience_of(
    session: AsyncSession, group: CustomerGroup, level: int, now: datetime
) -> Audience:
    """Everybody in the group: material for groups, of the owner's branch, up to that level."""
    owner = func.lower(col(Staff.userid)) == group.owner_userid.lower()
    branch = (await session.execute(select(col(Staff.branch_id)).where(owner))).scalar_one_or_none()
    return Audience(now, Channel.GROUP.value, branch, level)


async def draft(
    session: AsyncSession, question: str, audience: Audience, index: LibraryIndex
) -> Draft:
    """The best approved passage for a group on this question, quoted; or that there is none."""
    found = await answers.look_up(session, question, audience, index)
    answer = answers.for_group(found)
    if isinstance(answer, Unanswered):
        return Draft(Advice.NONE, reason="；".join(answer.reasons))
    return _quoted(answer, found.tier)


def _quoted(answer: Answered, tier: str) -> Draft:
    [source, *_] = answer.sources
    return Draft(
        Advice.REPLY,
        answer.text,
        version_id=source.version_id,
        position=source.position,
        tier=tier,
    )

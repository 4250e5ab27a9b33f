"""Comments 批注 on spans of a version's text: written by reviewers, dealt with by the author.

A version's text never changes, so a span stays where it is. When the author saves the next
version, what is still open comes along to the same words there.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.models import Staff
from content.models import Version
from content.people import Person
from content.review_models import Comment

LONGEST = 300
FIELDS = ("title", "body")

NOT_FOUND = "没有找到这条批注，请刷新页面。"
NOTHING_SAID = "请填写批注内容。"
TOO_LONG = f"批注不超过 {LONGEST} 个字，请分成几条。"
NO_SPAN = "请先在正文中选中要批注的文字，或选择一个句子。"
NOT_YOURS = "批注由作者处理，或由写批注的人撤回。"
DONE = "这条批注已经处理过了。"


@dataclass(frozen=True)
class Refused:
    """Nothing was written, and why."""

    reason: str


@dataclass(frozen=True)
class Written:
    """A comment as the page shows it."""

    comment: Comment
    by: str
    resolved_by: str


async def write(
    session: AsyncSession,
    version: Version,
    field: str,
    start: int,
    end: int,
    text: str,
    by: Person,
    now: datetime,
) -> Comment | Refused:
    """Comment on these characters of the title or the body."""
    words = text.strip()
    source = getattr(version, field) if field in FIELDS else ""
    if not words:
        return Refused(NOTHING_SAID)
    if len(words) > LONGEST:
        return Refused(TOO_LONG)
    if not 0 <= start < end <= len(source):
        return Refused(NO_SPAN)
    comment = Comment(
        version_id=version.id,
        field=field,
        start=start,
        end=end,
        quoted=source[start:end],
        text=words,
        written_by=by.id,
        written_at=now,
    )
    session.add(comment)
    audit.record(
        session, "content:version:comment", version.id, by=by.userid, now=now,
        number=version.number, comment=str(comment.id),
    )  # fmt: skip
    await session.flush()
    return comment


async def resolve(
    session: AsyncSession, comment_id: UUID, by: Person, now: datetime
) -> Comment | Refused:
    """The author has dealt with it, or its writer takes it back."""
    query = select(Comment).where(Comment.id == comment_id).with_for_update()
    comment = (await session.execute(query)).scalar_one_or_none()
    if comment is None:
        return Refused(NOT_FOUND)
    version = await session.get_one(Version, comment.version_id)
    if by.id not in (version.author_id, comment.written_by):
        return Refused(NOT_YOURS)
    if comment.resolved_at is not None:
        return Refused(DONE)
    comment.resolved_by, comment.resolved_at = by.id, now
    audit.record(
        session, "content:version:resolve", version.id, by=by.userid, now=now,
        number=version.number, comment=str(comment.id),
    )  # fmt: skip
    await session.flush()
    return comment


async def of_version(session: AsyncSession, version_id: UUID) -> list[Written]:
    """Comments on a version in the order of its text, those on lost words last."""
    rows = await session.execute(select(Comment).where(Comment.version_id == version_id))
    found = sorted(rows.scalars(), key=_place)
    ids = {c.written_by for c in found} | {c.resolved_by for c in found if c.resolved_by}
    names = dict(
        (await session.execute(select(Staff.id, Staff.name).where(col(Staff.id).in_(ids)))).all()
    )
    return [
        Written(c, names[c.written_by], names.get(c.resolved_by, "") if c.resolved_by else "")
        for c in found
    ]


def _place(comment: Comment) -> tuple[bool, bool, int, datetime]:
    lost = comment.end == 0
    return lost, comment.field != "title", comment.start, comment.written_at


async def any_open(session: AsyncSession, version_id: UUID) -> bool:
    """Whether the author still has something to deal with."""
    return await count_open(session, version_id) > 0


async def count_open(session: AsyncSession, version_id: UUID) -> int:
    """How many comments are not dealt with."""
    waiting = select(func.count()).where(
        Comment.version_id == version_id, col(Comment.resolved_at).is_(None)
    )
    return (await session.execute(waiting)).scalar_one()


async def carry(session: AsyncSession, before: Version, after: Version) -> list[Comment]:
    """Take what is open on one version along to the next, each to its words there."""
    rows = select(Comment).where(
        Comment.version_id == before.id, col(Comment.resolved_at).is_(None)
    )
    carried = []
    for old in (await session.execute(rows)).scalars():
        start, end = moved(getattr(before, old.field), getattr(after, old.field), old)
        carried.append(
            Comment(
                version_id=after.id,
                field=old.field,
                start=start,
                end=end,
                quoted=old.quoted,
                text=old.text,
                written_by=old.written_by,
                written_at=old.written_at,
                carried_from=old.id,
            )
        )
    session.add_all(carried)
    await session.flush()
    return carried


def moved(before: str, after: str, comment: Comment) -> tuple[int, int]:
    """Where the commented words stand in the later text, the nearest if they come more than once.

    (0, 0) where they are gone: then the author has changed what the comment is about.
    """
    if before == after:
        return comment.start, comment.end
    places = [found.start() for found in re.finditer(re.escape(comment.quoted), after)]
    if not comment.quoted or not places:
        return 0, 0
    start = min(places, key=lambda place: abs(place - comment.start))
    return start, start + len(comment.quoted)


async def version_of(session: AsyncSession, comment_id: UUID) -> UUID | None:
    """The version a comment stands on; None where there is no such comment."""
    rows = select(Comment.version_id).where(Comment.id == comment_id)
    return (await session.execute(rows)).scalar_one_or_none()

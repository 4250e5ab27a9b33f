"""Comments on spans: kept where they are, carried to the next version, dealt with by the author."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from content import comments, marking, review
from content.checks import Finding
from content.models import State, Version
from content.objections import Reason
from content.review_models import Comment
from tests.builders import MONDAY, a_staff
from tests.content.worlds import A_DRAFT, Office


async def commented(office: Office, version: Version, words: str, says: str) -> Comment:
    start = version.body.index(words)
    written = await comments.write(
        office.session, version, "body", start, start + len(words), says, office.approver, MONDAY
    )
    assert isinstance(written, Comment), written
    return written


async def returned(office: Office, words: str = "工作日") -> tuple[Version, Comment]:
    """Sent back for changes, with one comment."""
    version = await office.submit(await office.write())
    comment = await commented(office, version, words, "请写明节假日顺延")
    back = await review.ask_for_changes(
        office.session, version.id, by=office.approver, reason="见批注", now=MONDAY
    )
    assert isinstance(back, review.Returned), back
    return version, comment


async def test_asking_for_changes_sends_it_back_and_the_next_version_carries_the_comments(
    office: Office, session: AsyncSession
) -> None:
    version, comment = await returned(office)
    assert (version.state, version.reason) == (State.RETURNED, "见批注")
    body = f"先说结论。\n\n{A_DRAFT.body}"
    second = await office.revise(version.material_id, body=body)
    [carried] = await comments.of_version(session, second.id)
    assert carried.comment.carried_from == comment.id
    assert body[carried.comment.start : carried.comment.end] == "工作日"
    assert (carried.by, carried.comment.text) == ("钱审", "请写明节假日顺延")
    refused = await review.submit(session, second.id, by=office.author, now=MONDAY)
    assert isinstance(refused, review.Refused)
    assert refused.reasons == (Reason.COMMENTS_OPEN,)
    done = await comments.resolve(session, carried.comment.id, office.author, MONDAY)
    assert isinstance(done, Comment)
    assert isinstance(
        await review.submit(session, second.id, by=office.author, now=MONDAY), review.Submitted
    )
    # The old version keeps its own as it was.
    [old] = await comments.of_version(session, version.id)
    assert old.comment.resolved_at is None


async def test_words_that_are_gone_are_told_as_gone(office: Office, session: AsyncSession) -> None:
    version, _ = await returned(office)
    second = await office.revise(version.material_id, body="全部重写，下一日到账。")
    [carried] = await comments.of_version(session, second.id)
    assert (carried.comment.start, carried.comment.end, carried.comment.quoted) == (0, 0, "工作日")


def test_of_several_places_the_nearest_is_taken() -> None:
    comment = Comment(field="body", start=10, end=12, quoted="到账", text="", written_at=MONDAY)
    assert comments.moved("x", "到账，另说一二三四五到账，又到账", comment)[0] == 10


async def test_ask_for_changes_is_refused_without_reason_and_after_the_decision(
    office: Office,
) -> None:
    version = await office.submit(await office.write())
    empty = await review.ask_for_changes(
        office.session, version.id, by=office.approver, reason=" ", now=MONDAY
    )
    assert isinstance(empty, review.Refused)
    assert empty.reasons == (Reason.NO_REASON,)
    await office.approve(version)
    late = await review.ask_for_changes(
        office.session, version.id, by=office.compliance, reason="晚了", now=MONDAY
    )
    assert isinstance(late, review.Refused)
    assert Reason.NOT_SUBMITTED in late.reasons


@pytest.mark.parametrize(
    ("field", "start", "end", "says", "why"),
    [
        ("body", 0, 4, " ", comments.NOTHING_SAID),
        ("body", 4, 4, "x", comments.NO_SPAN),
        ("body", -1, 4, "x", comments.NO_SPAN),
        ("body", 0, 10_000, "x", comments.NO_SPAN),
        ("sha256", 0, 4, "x", comments.NO_SPAN),
        ("title", 0, 2, "长" * 301, comments.TOO_LONG),
    ],
)
async def test_a_comment_without_words_or_place_is_refused(
    office: Office, field: str, start: int, end: int, says: str, why: str
) -> None:
    version = await office.submit(await office.write())
    written = await comments.write(
        office.session, version, field, start, end, says, office.approver, MONDAY
    )
    assert written == comments.Refused(why)


async def test_only_the_author_or_its_writer_ends_a_comment_and_once(
    office: Office, session: AsyncSession
) -> None:
    version = await office.submit(await office.write())
    comment = await commented(office, version, "工作日", "x")
    stranger = await a_staff(session, Role.EDITOR)
    no = await comments.resolve(session, comment.id, stranger, MONDAY)
    assert no == comments.Refused(comments.NOT_YOURS)
    assert isinstance(await comments.resolve(session, comment.id, office.author, MONDAY), Comment)
    again = await comments.resolve(session, comment.id, office.approver, MONDAY)
    assert again == comments.Refused(comments.DONE)


def test_the_marked_text_is_the_text_whatever_overlaps() -> None:
    text = "本产品保本保收益，请放心。"
    found = [Finding("block", "guarantee_principal", 3, 5, "承诺保本", "r", "body")]
    noted = [
        Comment(field="body", start=4, end=8, quoted=text[4:8], text="改", written_at=MONDAY),
        Comment(field="title", start=0, end=2, quoted="", text="题", written_at=MONDAY),
    ]
    parts = marking.segments(text, "body", found, noted)
    assert "".join(part.text for part in parts) == text
    assert [(part.text, part.tone) for part in parts] == [
        ("本产品", ""), ("保", "red"), ("本", "red"), ("保收益", "blue"), ("，请放心。", "")
    ]  # fmt: skip
    assert parts[2].says == "承诺保本；批注：改"


def test_every_sentence_is_a_place_to_comment_on() -> None:
    body = "第一句。第二句！\n\n  第三句没有句号"
    places = marking.places("标题", body)
    assert places[0] == ("title:0:2", "标题：标题")
    for place, _ in places[1:]:
        _, start, end = place.split(":")
        assert body[int(start) : int(end)] in ("第一句。", "第二句！", "第三句没有句号")
    assert len(places) == 4

"""The demo bank has every kind of material, as it would be sent now."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import Touchpoint
from bank.models import Role, Staff
from bot.demo.attachments import READ, SENT
from bot.demo.files import keep_all, listed
from bot.models import ContactWay, WayState
from bot.welcoming import welcome_text
from bot.welcoming.welcome_text import Words
from content import extract, scripts, sendable, sizes
from content.files import LocalFileStore
from content.house import house_of
from content.models import Kind, Material, StoredFile, Version
from content.particulars import of_version
from content.readers.aigc import label_in
from content.sendable import Bytes, Shape
from desk.signed import Signed
from knowledge.models import Suggestion
from outbound.attachments import Attached, Stock, prepare
from outbound.facts import policy_of
from outbound.models import OutboundMessage
from scheduler.models import Sop, Step
from tests.demo.looking import BANK, MIDNIGHT, by_id, every

CODES = [raw["code"] for raw in listed()]


async def material(bank: AsyncSession, code: str) -> tuple[Material, Version]:
    found = select(Material, Version).join(Version, col(Version.material_id) == Material.id)
    row = (await bank.execute(found.where(Material.code == code))).one()
    return row[0], row[1]


async def an_rm(bank: AsyncSession) -> Staff:
    return next(s for s in await every(bank, Staff) if s.roles == [Role.RM])


@pytest.fixture
async def files(tmp_path: Path) -> LocalFileStore:
    kept = LocalFileStore(tmp_path)
    await keep_all(kept)
    return kept


async def test_every_kind_is_there(bank: AsyncSession) -> None:
    kinds = {one.kind for one in await every(bank, Material)}
    assert kinds == set(Kind)


@pytest.mark.parametrize("code", CODES)
async def test_each_is_live_fits_wecom_and_is_sent_as_approved(
    bank: AsyncSession, files: LocalFileStore, code: str
) -> None:
    it, version = await material(bank, code)
    file = await bank.get(StoredFile, version.file_id) if version.file_id else None
    card = of_version(it, version).card
    assert sizes.over(it.kind, version.title, card, file.size if file else 0) == {}
    assert [found for found in version.findings if found["level"] == "block"] == []
    assert version.valid_until is not None
    assert version.valid_until > MIDNIGHT + timedelta(days=31)
    found = (await sendable.of_versions(bank, [version.id]))[version.id]
    assert isinstance(await sendable.as_approved(bank, files, found), Bytes)
    by = await an_rm(bank)
    made = await prepare(bank, Stock(files, "https://siyu.example"), [version.id], by, MIDNIGHT)
    assert isinstance(made, tuple), made
    [attached] = made
    assert isinstance(attached, Attached)
    assert attached.title


@pytest.mark.parametrize("raw", [raw for raw in listed() if "file" in raw], ids=lambda r: r["code"])
async def test_each_file_is_one_that_an_editor_could_have_uploaded(
    bank: AsyncSession, files: LocalFileStore, raw: dict[str, str]
) -> None:
    _, version = await material(bank, raw["code"])
    stored = await bank.get_one(StoredFile, version.file_id)
    data = await files.read(stored.id)
    read = await extract.text_of(data, stored.name)
    assert isinstance(read, extract.Extracted), read
    assert len(data) < 200_000
    label = label_in(data)
    if raw.get("ai_made"):
        assert label["ContentProducer"] == house_of(BANK).name
        assert label["ProduceID"] == stored.id.hex
    else:
        assert label == {}


async def test_a_sop_step_carries_a_picture(bank: AsyncSession) -> None:
    [sop] = [one for one in await every(bank, Sop) if one.code == "SOP-FRAUD"]
    steps = [one for one in await every(bank, Step) if one.sop_id == sop.id]
    kinds = {(await bank.get_one(Material, step.material_id)).kind for step in steps}
    assert kinds == {Kind.IMAGE, Kind.LINK}


async def test_a_series_of_every_branch_holds_an_answer_a_picture_and_a_link(
    bank: AsyncSession,
) -> None:
    rm = await an_rm(bank)
    who = Signed(rm.id, rm.userid, rm.name, frozenset({Role.RM}), rm.branch_id, "")
    known = await scripts.all_scripts(bank, who, MIDNIGHT, everywhere=False)
    [series] = [b for b in await scripts.tree(bank, known, who) if b.key.startswith("series:")]
    inside = await scripts.inside(bank, known, series.key, who)
    assert [one.material.kind for one in inside] == [Kind.FAQ, Kind.IMAGE, Kind.LINK]


async def test_a_code_of_every_rm_welcomes_with_a_card(bank: AsyncSession) -> None:
    ways = [
        way for way in await every(bank, ContactWay)
        if way.channel == "预约到店宣传页" and way.state is WayState.LIVE
    ]  # fmt: skip
    staff = await by_id(bank, Staff)
    assert len(ways) == 12
    for way in ways:
        rm = staff[way.staff_id]
        words = await welcome_text.words_for(bank, rm, way, policy_of(BANK), MIDNIGHT)
        assert isinstance(words, Words), words
        assert words.beside is not None
        assert words.beside.shape is Shape.MINI_PROGRAM


async def test_what_was_sent_before_has_its_row_its_reply_and_its_touchpoint(
    bank: AsyncSession,
) -> None:
    rows = [row for row in await every(bank, OutboundMessage) if row.attachments]
    replies = await by_id(bank, Suggestion)
    points = {point.source_id: point for point in await every(bank, Touchpoint)}
    stored = await by_id(bank, StoredFile)
    assert len(rows) == len(SENT) + len(READ)
    for row in rows:
        [kept] = row.attachments
        reply = replies[UUID(row.source_id)]
        assert reply.attached == [kept["version_id"]]
        assert (row.text, row.delivered) == (reply.sent_text, 2)
        assert points[row.source_id].version_id == reply.version_id
        if kept["sha256"]:
            assert stored[UUID(kept["file_id"])].sha256 == kept["sha256"]

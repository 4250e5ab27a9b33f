"""Touches of pictures, files and cards: text and attachments in one task, judged as one."""

from datetime import timedelta

import pytest
from sqlmodel import select

from attribution.models import TrackedLink
from content import sendable
from content.models import Kind, Version
from outbound.models import OutboundMessage, UploadedMedia
from scheduler.models import Touch, TouchState
from tests.scheduler.worlds import Bank
from tests.sendables import an_office_of, live


async def material(bank: Bank, kind: Kind) -> Version:
    """Approved material of this kind, its file where the sender reads it."""
    async with bank.sessions.begin() as session:
        return await live(await an_office_of(session, bank.files), kind)


@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.VIDEO, Kind.FILE, Kind.MINI_PROGRAM])
async def test_a_task_carries_the_text_and_the_file(the_bank: Bank, kind: Kind) -> None:
    version = await material(the_bank, kind)
    await the_bank.enrolled_with(version)
    sent = await the_bank.send()
    assert sent.handed == 1, sent
    [task] = the_bank.platform.world.tasks.values()
    [attachment] = task.attachments
    shape = sendable.SHAPES[kind].value
    assert attachment["msgtype"] == shape
    assert task.text.startswith(version.body)
    async with the_bank.sessions() as session:
        [row] = (await session.execute(select(OutboundMessage))).scalars()
        [uploaded] = (await session.execute(select(UploadedMedia))).scalars()
    assert attachment[shape].get("media_id", attachment[shape].get("pic_media_id")) == (
        uploaded.media_id
    )
    assert row.attachments[0]["sha256"] == uploaded.sha256


async def test_a_task_for_one_customer_carries_a_link_of_their_own(the_bank: Bank) -> None:
    version = await material(the_bank, Kind.LINK)
    _, customer, _ = await the_bank.enrolled_with(version)
    await the_bank.send()
    [task] = the_bank.platform.world.tasks.values()
    [attachment] = task.attachments
    [link] = await the_bank.rows(TrackedLink)
    touch = await the_bank.touch()
    assert attachment["link"]["url"] == f"{the_bank.settings.public_url}/r/{link.code}"
    assert (link.source, link.source_id) == ("touch", str(touch.id))
    assert (link.customer_id, link.version_id) == (customer.id, version.id)
    assert (await the_bank.rows(OutboundMessage))[0].attachments[0]["url"].endswith(link.code)


async def test_a_task_for_many_carries_one_link_that_names_nobody(the_bank: Bank) -> None:
    """One text goes to all of them: a link of each would be a task of each to confirm."""
    version = await material(the_bank, Kind.ARTICLE)
    rm, _, sop = await the_bank.enrolled_with(version)
    await the_bank.enrol(sop, await the_bank.customer(rm), rm)
    await the_bank.send()
    [task] = the_bank.platform.world.tasks.values()
    assert len(task.targets) == 2
    [link] = await the_bank.rows(TrackedLink)
    assert task.attachments[0]["link"]["url"].endswith(f"/r/{link.code}")
    assert (link.source, link.source_id) == ("sop", f"{sop.id}/{rm.id}")
    assert (link.customer_id, link.contact, link.staff_id) == (None, "", rm.id)


async def test_a_touch_that_is_tried_again_keeps_its_link(the_bank: Bank) -> None:
    await the_bank.enrolled_with(await material(the_bank, Kind.ARTICLE))
    await the_bank.platform.fault("add_msg_template", 45009)
    assert (await the_bank.send()).deferred == 1
    [link] = await the_bank.rows(TrackedLink)
    the_bank.clock.forward(timedelta(hours=1))
    assert (await the_bank.send()).claimed == 1
    assert [one.code for one in await the_bank.rows(TrackedLink)] == [link.code]
    kept = {row.attachments[0]["url"] for row in await the_bank.rows(OutboundMessage)}
    assert kept == {f"{the_bank.settings.public_url}/r/{link.code}"}


async def test_a_file_that_was_changed_behind_our_back_is_refused(the_bank: Bank) -> None:
    version = await material(the_bank, Kind.FILE)
    await the_bank.enrolled_with(version)
    assert version.file_id is not None
    await the_bank.files.put(version.file_id, b"%PDF-1.4 something else")
    sent = await the_bank.send()
    assert (sent.handed, sent.refused) == (0, 1)
    async with the_bank.sessions() as session:
        touch = (await session.execute(select(Touch))).scalar_one()
    assert touch.state is TouchState.REFUSED
    assert touch.reasons == [sendable.CHANGED.format(title=version.title)]
    assert the_bank.platform.tasks == []


async def test_nobody_under_eighteen_enters_a_marketing_sop(the_bank: Bank) -> None:
    version = await material(the_bank, Kind.IMAGE)
    rm = await the_bank.rm()
    customer = await the_bank.customer(rm)
    await the_bank.change(customer, born_on=(the_bank.clock() - timedelta(days=16 * 366)).date())
    answer = await the_bank.enrol(await the_bank.sop(version), customer, rm)
    assert [reason.value for reason in answer.reasons] == ["minor"]

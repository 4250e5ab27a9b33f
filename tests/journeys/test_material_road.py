"""Path (ii): a material is uploaded, approved by another person, found, used, and withdrawn."""

import re
from datetime import time, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role, Staff
from content.models import State, Version
from desk.keys import SETTINGS
from knowledge.models import Suggestion, SuggestionState
from scheduler import clock as ticks
from scheduler import enrolment
from scheduler.models import Enrolment, Sop, SopState, Step, Touch, TouchState, Trigger
from tests.builders import a_staff
from tests.conftest import Visitor
from tests.content import papers
from tests.content.test_pages import FORM, YES, form
from tests.town import Town

ASKED = "我赎回的钱几天能到账啊"
DRAFT = FORM | {"body": "", "intent": "submit"}


async def staff_at_desk(
    town: Town, session: AsyncSession, *roles: Role, name: str
) -> tuple[Staff, Visitor]:
    staff = await a_staff(session, *roles, name=name)
    await session.commit()
    return staff, await town.client(staff)


async def uploaded(town: Town, author: Visitor) -> Version:
    """A real Word file handed in through the form, submitted for approval."""
    fields = form(DRAFT, file=("赎回说明.docx", papers.a_docx()))
    answer = await author.post("/content/new", fields)
    assert answer.status == 303, await answer.text()
    [version] = await town.all(Version)
    assert isinstance(version, Version)
    assert version.state is State.SUBMITTED
    return version


async def planned(town: Town, session: AsyncSession, version: Version) -> None:
    """A SOP whose step tomorrow sends that material to the customer."""
    owner, now = await a_staff(session, Role.HQ, name="总行运营"), town.clock()
    sop = Sop(
        code="S-1",
        name="新客陪伴",
        kind="新客",
        goal="30 天内完成测评的客户占比",
        trigger=Trigger.MANUAL,
        control_percent=0,
        marketing=True,
        state=SopState.RUNNING,
        owner_id=owner.id,
        created_at=now,
    )
    session.add(sop)
    await session.flush()
    session.add(
        Step(sop_id=sop.id, position=1, day=1, at=time(10), material_id=version.material_id)
    )
    await session.flush()
    entered = await enrolment.enrol(session, sop, town.customer.id, town.rm.id, now, now)
    assert isinstance(entered, Enrolment)
    await session.commit()


async def tick(town: Town) -> None:
    """The clock's tick that sends."""
    [job] = [job for job in ticks.JOBS if job.tick is ticks.send]
    parts = town.parts
    assert await ticks.run(job, parts.sessions, parts.wecom, town.app[SETTINGS], town.clock())


async def test_from_a_word_file_to_a_reply_and_out_of_use_again(
    town: Town, session: AsyncSession
) -> None:
    _, author = await staff_at_desk(town, session, Role.EDITOR, name="周编")
    _, reviewer = await staff_at_desk(town, session, Role.APPROVER, name="钱审")
    version = await uploaded(town, author)
    rm, contact = await town.sidebar(), town.customer.external_userid

    await town.writes(ASKED)
    await town.works()
    [early] = await town.all(Suggestion)
    assert early.state is SuggestionState.NO_MATCH, "submitted is not approved"
    assert version.title not in await rm.text(f"/sidebar/{contact}/scripts?q=赎回到账")

    assert (await author.post(f"/review/{version.id}", form(YES))).status == 403
    answer = await reviewer.post(f"/review/{version.id}", form(YES))
    assert answer.status == 303, await answer.text()
    await town.works()
    assert version.title in await rm.text(f"/sidebar/{contact}/scripts?q=赎回到账")
    await town.writes(ASKED + "呀")
    await town.works()
    [made] = [s for s in await town.all(Suggestion) if s.id != early.id]
    assert made.state is SuggestionState.OFFERED
    assert made.version_id == version.id
    assert {c["passage"] for c in made.citations} <= {papers.FIRST, papers.SECOND}
    assert "data-send" in await rm.text(f"/sidebar/{contact}/suggestions")
    await planned(town, session, version)

    gone = await reviewer.post(f"/content/versions/{version.id}/withdraw", {"reason": "口径有变"})
    assert gone.status == 303
    # At once, before any index hears of it.
    fragment = await rm.text(f"/sidebar/{contact}/suggestions")
    assert "引用的素材已下线" in fragment
    assert "data-send" not in fragment
    assert version.title not in await rm.text(f"/sidebar/{contact}/scripts?q=赎回到账")
    refused = await rm.post(f"/sidebar/suggestions/{made.id}/clear", {"text": made.draft})
    assert "已下线" in (await refused.json())["refused"][0]

    await tick(town)
    [touch] = await town.all(Touch)
    assert touch.state is TouchState.REFUSED
    assert any("下线" in reason for reason in touch.reasons), touch.reasons
    town.clock.forward(timedelta(days=2))
    await tick(town)
    assert await town.seen() == []

    await town.works()
    assert not town.parts.index.holds(version.id)
    hq = await staff_at_desk(town, session, Role.HQ, name="高总")
    page = await hq[1].text("/knowledge?q=赎回几天到账")
    assert not re.search(rf"/content/{version.material_id}", page)


async def test_who_writes_and_reviews_cannot_approve_their_own(
    town: Town, session: AsyncSession
) -> None:
    _, both = await staff_at_desk(town, session, Role.EDITOR, Role.APPROVER, name="周全")
    version = await uploaded(town, both)
    answer = await both.post(f"/review/{version.id}", form(YES))
    assert answer.status == 422
    assert "不能审批自己提交的素材" in await answer.text()
    [still] = await town.all(Version)
    assert still.state is State.SUBMITTED

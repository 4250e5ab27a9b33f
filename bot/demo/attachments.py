"""Pictures, files and cards at work in the demo bank: a SOP, a welcome, and what was sent."""

import random
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from attribution.models import TouchpointKind
from bank.calendar import at_local
from bank.models import Role, Staff
from bot.demo.history import Chats, seen
from bot.demo.library import Paper, Shelf, line
from bot.demo.people import Bond, Client, People
from bot.demo.rows import Rows, ident, row
from bot.demo.said import Spoken, said
from bot.models import Speaker
from compliance import disclosures
from content.models import StoredFile
from content.particulars import Particulars
from content.script_models import ScriptFolder, ScriptLevel, ScriptPlace
from content.sendable import SHAPES
from customers.models import Consent, Purpose
from knowledge.models import Suggestion, SuggestionState
from knowledge.picking import PICKED
from outbound.attachments import Attached
from outbound.models import Door
from outbound.records import hash_of
from scheduler.models import LatePolicy, Sop, SopState, Step, Trigger
from wecom.channels import Channel

STARTED = 12  # days before today on which the SOP with pictures was started
# What RMs sent in the months before: days before today, and the material. The simulated phones
# remember thirty days, and words alone.
SENT = (
    (96, "IMG-001"),
    (83, "IMG-002"),
    (71, "LNK-001"),
    (64, "IMG-001"),
    (57, "MIN-002"),
    (49, "DOC-001"),
    (43, "IMG-002"),
    (36, "LNK-001"),
)
# An article for readers (bot/demo/readings.py): by the first RM, to customers who let us look.
READ = ((46, "ART-001"), (42, "ART-001"), (39, "ART-001"), (37, "ART-001"), (35, "ART-001"),
        (34, "ART-001"), (33, "ART-001"))  # fmt: skip
SERIES, SERIES_DAYS = "赎回答疑", 90
IN_SERIES = ("FAQ-001", "IMG-001", "LNK-001")
STEPS = ((0, "10:30", "IMG-002"), (3, "15:00", "LNK-001"))


def attachments(rows: Rows, cast: People, shelf: Shelf, today: date, seed: int) -> None:
    """Put the SOP with pictures, a series for each branch and what was sent into `rows`."""
    _sop(rows, cast, shelf, today)
    _series(rows, cast, shelf, at_local(today - timedelta(days=SERIES_DAYS), time(11)))
    rng = random.Random(f"attachments:{seed}")
    chats = Chats(rows, rng)
    for days, code in SENT:
        at = at_local(today - timedelta(days=days), time(10, rng.randrange(60), rng.randrange(60)))
        paper = shelf.beside[code]
        client, bond = rng.choice(list(_willing(cast, paper, at)))
        _sent(rows, chats, client, bond, paper, at)
    span = [at_local(today - timedelta(days=READ[end][0]), time(12)) for end in (0, -1)]
    for (days, code), (client, bond) in zip(READ, _readers(rows, cast, span), strict=False):
        at = at_local(today - timedelta(days=days), time(15, rng.randrange(60), rng.randrange(60)))
        _sent(rows, chats, client, bond, shelf.beside[code], at)


def _readers(rows: Rows, cast: People, span: Sequence[datetime]) -> Iterator[tuple[Client, Bond]]:
    """Customers of the first RM all the while, who agreed to personal recommendations."""
    first = min(one.userid for one in cast.having(Role.RM))
    profiled = {
        consent.customer_id
        for consent in rows.of(Consent)
        if consent.purpose is Purpose.PROFILING and consent.withdrawn_at is None
    }
    for client in cast.clients:
        if (
            client.first.rm.userid == first
            and client.id in profiled
            and all(client.first.holds(at) for at in span)
        ):
            yield client, client.first


def _willing(cast: People, paper: Paper, at: datetime) -> Iterator[tuple[Client, Bond]]:
    """Customers of that moment who may get it."""
    for client in cast.clients:
        bond = client.first
        if bond.holds(at) and paper.usable(at, client.ceiling(at), client.row.branch_id):
            yield client, bond


def _sop(rows: Rows, cast: People, shelf: Shelf, today: date) -> None:
    """Entered by hand by RMs whose customers were called by impostors."""
    [owner] = cast.having(Role.HQ)
    started = at_local(today - timedelta(days=STARTED), time(15, 20))
    created = started - timedelta(hours=3)
    sop = row(
        Sop,
        id=ident("sop", "SOP-FRAUD"),
        code="SOP-FRAUD",
        name="防骗提醒",
        kind="服务提醒",
        goal="客户反映接到冒充客服的电话后，由客户经理手动入组，发图说明如何分辨；"
        "指标：入组后30天内同一客户再次受骗求助的次数。",
        trigger=Trigger.MANUAL,
        control_percent=0,
        marketing=False,
        owner_id=owner.id,
        created_at=created,
        state=SopState.RUNNING,
    )
    rows.add(sop)
    for number, (day, at, code) in enumerate(STEPS, 1):
        step = row(
            Step,
            id=ident("step", sop.code, number),
            sop_id=sop.id,
            position=number,
            day=day,
            at=time.fromisoformat(at),
            material_id=shelf.beside[code].material.id,
            late=LatePolicy.SEND,
        )
        rows.add(step)
    rows.add(
        line("scheduler:sop:create", sop.id, owner.userid, created, name=sop.name),
        line("scheduler:sop:start", sop.id, owner.userid, started),
    )


def _series(rows: Rows, cast: People, shelf: Shelf, at: datetime) -> None:
    """组合话术 of every branch: an answer, the picture of it, and where to read on."""
    papers = [shelf.beside.get(code) or shelf.papers[code][-1] for code in IN_SERIES]
    for branch in cast.branches:
        folder = row(
            ScriptFolder,
            id=ident("series", branch.name),
            level=ScriptLevel.BRANCH,
            branch_id=branch.id,
            name=SERIES,
            series=True,
            made_at=at,
        )
        rows.add(folder)
        for position, paper in enumerate(papers, 1):
            place = row(
                ScriptPlace,
                id=ident("place", branch.name, position),
                folder_id=folder.id,
                material_id=paper.material.id,
                position=position,
            )
            rows.add(place)


def _sent(rows: Rows, chats: Chats, client: Client, bond: Bond, paper: Paper, at: datetime) -> None:
    """The RM picked it beside the chat and sent it as it stands."""
    suggestion = _picked(client, bond.rm, paper, at)
    rows.add(suggestion)
    chats.say(client, bond, Speaker.RM, suggestion.draft, at)
    spoken = Spoken(Door.SIDEBAR, suggestion.id, client, bond.rm, suggestion.draft, at)
    said(
        rows, spoken, paper, passages=[f"{paper.version.id}#0"], writer="quoting",
        suggested_hash=hash_of(suggestion.draft), attachments=[_attached(rows, paper).kept()],
        delivered=2,
    )  # fmt: skip
    seen(rows, client, bond, TouchpointKind.REPLY_SENT, at, suggestion.id, paper)
    rows.add(line("knowledge:suggestion:send", suggestion.id, bond.rm.userid, at, edited=False))


def _picked(client: Client, rm: Staff, paper: Paper, at: datetime) -> Suggestion:
    passage = paper.passages[0]
    draft = disclosures.append(passage, paper.about) if paper.about else passage
    return row(
        Suggestion,
        id=ident("picked", paper.material.code, at.isoformat()),
        question_key=f"picked:{ident('picked', paper.material.code, at.isoformat())}",
        customer_id=client.id,
        staff_id=rm.id,
        channel=Channel.SINGLE_CHAT.value,
        question="",
        created_at=at - timedelta(seconds=25),
        decided_at=at,
        tier=PICKED,
        confidence=1.0,
        draft=draft,
        sent_text=draft,
        writer="quoting",
        generation="demo-history",
        verdict={"level": "pass", "findings": []},
        reasons=["客户经理从素材库选用"],
        citations=[
            {
                "text": passage,
                "version_id": str(paper.version.id),
                "material_id": str(paper.material.id),
                "title": paper.version.title,
                "number": paper.version.number,
                "position": 0,
                "passage": passage,
            }
        ],
        version_id=paper.version.id,
        attached=[str(paper.version.id)],
        state=SuggestionState.SENT,
    )


def _attached(rows: Rows, paper: Paper) -> Attached:
    """As it stood in the row of what was said."""
    version, told = paper.version, Particulars.read(paper.version.particulars).card
    file = next((f for f in rows.of(StoredFile) if f.id == version.file_id), None)
    shape = SHAPES[paper.material.kind]
    return Attached(
        version_id=version.id,
        shape=shape,
        title=told.title or (file.name if file else version.title),
        note=told.text,
        url=told.url,
        app_id=told.app_id,
        page=told.page,
        file_id=version.file_id,
        sha256=file.sha256 if file else "",
    )

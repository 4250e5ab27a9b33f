"""系统 · 从业资格: until when each RM may sell, who asked for another date, who agreed."""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import quote
from uuid import UUID

from aiohttp import web

from bank import certificates, sheets
from bank import staff as people
from bank.calendar import local_day
from bank.certificates import Holder, Standing
from bank.models import CertificateChange, Role, Staff
from desk import rejects
from desk.ids import ID
from desk.permissions import SEES_CERTIFICATES, allow
from desk.render import page, see_other
from desk.signed import Signed, now_of, session_of, signed

routes = web.RouteTableDef()

PROPOSES = (Role.HQ, Role.ADMIN)
CONFIRMS = (Role.HQ, Role.COMPLIANCE)
SEES_ALL = (*PROPOSES, Role.COMPLIANCE, Role.AUDITOR)
TONES = {
    Standing.VALID: "green",
    Standing.ENDING: "orange",
    Standing.ENDED: "red",
    Standing.MISSING: "red",
}
TO_DO = (Standing.MISSING, Standing.ENDED, Standing.ENDING)
LIST = "/system/certificates"
WAITING = "waiting"
PAGE = 50


@dataclass(frozen=True)
class CertificatesPage:
    """`/system/certificates`: RMs and their certificates, those who may not sell first."""

    holders: list[Holder]
    branches: dict[UUID, str]
    names: dict[UUID, str]
    tones: dict[Standing, str]
    figures: list[tuple[str, int, str]]  # of everybody one sees: label, how many, filter
    states: list[tuple[str, str]]
    state: str
    query: str
    may_propose: bool
    decidable: frozenset[UUID]  # changes this reader may decide on
    total: int
    number: int
    pages: int


@routes.get(LIST)
@allow(*SEES_CERTIFICATES)
async def certificate_list(request: web.Request) -> web.Response:
    """The list with its filters."""
    session, who = session_of(request), signed(request)
    everyone = await certificates.holders(session, local_day(now_of(request)), _scope(who))
    state = request.query.get("state", "")
    typed = request.query.get("q", "").strip()[:60]
    found = [one for one in everyone if _wanted(one, state, typed)]
    asked, pages = request.query.get("page", ""), max(1, -(-len(found) // PAGE))
    number = min(int(asked), pages) if re.fullmatch("[1-9][0-9]{0,5}", asked) else 1
    shown = found[(number - 1) * PAGE : number * PAGE]
    context = CertificatesPage(
        holders=shown,
        branches={branch.id: branch.name for branch in await people.branches(session)},
        names=await _names(request, [one.waiting for one in shown if one.waiting]),
        tones=TONES,
        figures=_figures(everyone),
        states=[("", "全部"), *((s.value, s.label) for s in Standing), (WAITING, "待确认")],
        state=state,
        query=typed,
        may_propose=who.may(*PROPOSES),
        decidable=frozenset(
            one.waiting.id for one in shown if one.waiting and _decides(one.waiting, who)
        ),
        total=len(found),
        number=number,
        pages=pages,
    )
    return page(request, "bot/certificates.html", context)


def _scope(who: Signed) -> UUID | None:
    """A branch manager sees the own branch; nobody where there is none."""
    if who.may(*SEES_ALL):
        return None
    return who.branch_id or UUID(int=0)


def _wanted(one: Holder, state: str, typed: str) -> bool:
    fits = state in ("", one.standing.value) or (state == WAITING and one.waiting is not None)
    return fits and (typed in one.staff.name or typed.lower() in one.staff.userid.lower())


def _figures(everyone: list[Holder]) -> list[tuple[str, int, str]]:
    counts = Counter(one.standing for one in everyone)
    waiting = sum(one.waiting is not None for one in everyone)
    return [
        *((s.label, counts[s], s.value) for s in TO_DO),
        ("修改待确认", waiting, WAITING),
    ]


def _decides(change: CertificateChange, who: Signed) -> bool:
    return who.may(*CONFIRMS) and not certificates.against_deciding(change, who)


async def _names(request: web.Request, changes: list[CertificateChange]) -> dict[UUID, str]:
    ids = {id_ for one in changes for id_ in (one.proposed_by, one.decided_by) if id_}
    return await people.names(session_of(request), list(ids))


@dataclass(frozen=True)
class CertificatePage:
    """`/system/certificates/{id}`: one RM's certificate, what was asked for, and the form."""

    staff: Staff
    branch: str
    standing: Standing
    tone: str
    waiting: CertificateChange | None
    history: list[CertificateChange]
    names: dict[UUID, str]
    may_propose: bool
    may_decide: bool
    why_not: str  # why this reader may not decide
    until: str = ""  # as typed
    reason: str = ""
    note: str = ""
    error: str = ""


@routes.get(f"{LIST}/{{id:{ID}}}")
@allow(*SEES_CERTIFICATES)
async def show_certificate(request: web.Request) -> web.Response:
    """One RM's certificate with its history."""
    return page(request, "bot/certificate.html", await _one(request))


async def _one(request: web.Request, **typed: str) -> CertificatePage:
    session, who = session_of(request), signed(request)
    rm = await session.get(Staff, UUID(request.match_info["id"]))
    scope = _scope(who)
    if rm is None or Role.RM not in rm.roles or scope not in (None, rm.branch_id):
        raise web.HTTPNotFound
    history = await certificates.history(session, rm.id)
    waiting = next((one for one in history if one.agreed is None), None)
    stands = certificates.standing(rm.certified_until, local_day(now_of(request)))
    branches = {branch.id: branch.name for branch in await people.branches(session)}
    return CertificatePage(
        staff=rm,
        branch=branches[rm.branch_id] if rm.branch_id else "总行",
        standing=stands,
        tone=TONES[stands],
        waiting=waiting,
        history=[one for one in history if one.agreed is not None],
        names=await _names(request, history),
        may_propose=who.may(*PROPOSES) and waiting is None and rm.id != who.id,
        may_decide=waiting is not None and _decides(waiting, who),
        why_not=certificates.against_deciding(waiting, who) if waiting else "",
        **typed,
    )


@routes.post(f"{LIST}/{{id:{ID}}}")
@allow(*PROPOSES)
async def propose(request: web.Request) -> web.Response:
    """Ask for another date; a second person has to agree."""
    form = await request.post()
    typed, reason = str(form.get("until", "")).strip(), str(form.get("reason", ""))
    shown = await _one(request, until=typed, reason=reason)
    until = _day(typed)
    if typed and until is None:
        asked: CertificateChange | str = "日期请写成 2027-06-30；留空表示取消登记。"
    else:
        asked = await certificates.propose(
            session_of(request), shown.staff.id, until,
            by=signed(request), reason=reason, now=now_of(request),
        )  # fmt: skip
    if isinstance(asked, str):
        context = await _one(request, until=typed, reason=reason, error=asked)
        return page(request, "bot/certificate.html", context, status=422)
    return see_other(f"{LIST}/{shown.staff.id}?done={quote('已提交，另一人确认后生效')}")


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        return None


@routes.post(f"{LIST}/{{id:{ID}}}/changes/{{change_id:{ID}}}/{{verdict}}")
@allow(*CONFIRMS)
async def decide(request: web.Request) -> web.Response:
    """The second person agrees, or says why not."""
    session, who, now = session_of(request), signed(request), now_of(request)
    change_id = UUID(request.match_info["change_id"])
    note = str((await request.post()).get("note", ""))
    verdict = request.match_info["verdict"]
    if verdict not in ("agree", "refuse"):
        raise web.HTTPNotFound
    if verdict == "agree":
        wrong = await certificates.agree(session, change_id, by=who, now=now)
    else:
        wrong = await certificates.refuse(session, change_id, note, by=who, now=now)
    if wrong:
        context = await _one(request, note=note, error=wrong)
        return page(request, "bot/certificate.html", context, status=422)
    return see_other(f"{LIST}/{request.match_info['id']}?done={quote('已处理')}")


@routes.post(f"{LIST}/agree")
@allow(*CONFIRMS)
async def agree_to_some(request: web.Request) -> web.Response:
    """Agree to every change that is ticked; each stands or falls by itself."""
    session, who, now = session_of(request), signed(request), now_of(request)
    ticked = [UUID(str(id_)) for id_ in (await request.post()).getall("change", []) if _is_id(id_)]
    wrong = Counter[str]()
    for change_id in ticked:
        wrong[await certificates.agree(session, change_id, by=who, now=now)] += 1
    done = [f"已确认 {wrong.pop('', 0)} 项", *(f"{n} 项未确认：{why}" for why, n in wrong.items())]
    return see_other(f"{LIST}?done={quote('；'.join(done) if ticked else '请先勾选要确认的修改')}")


def _is_id(text: object) -> bool:
    try:
        UUID(str(text))
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------------------ a file of dates


@dataclass(frozen=True)
class CertificateImportPage:
    """`/system/certificates/import`: the form, and after an upload what became of it."""

    reason: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] | None = None
    rejected: list[dict[str, str]] = field(default_factory=list)
    rejects_json: str = "[]"


@routes.get(f"{LIST}/import")
@allow(*PROPOSES)
async def import_form(request: web.Request) -> web.Response:
    """The empty form."""
    return page(request, "bot/certificate_import.html", CertificateImportPage())


@routes.post(f"{LIST}/import")
@allow(*PROPOSES)
async def import_dates(request: web.Request) -> web.Response:
    """Ask for every date of a file; row by row it is told what was not taken."""
    sent = await request.post()
    reason, file = str(sent.get("reason", "")).strip(), sent.get("file")
    rows: sheets.Rows | str = "请选择文件"
    if isinstance(file, web.FileField):
        data = file.file.read()
        rows = await asyncio.to_thread(sheets.rows_of, file.filename, data, certificates.COLUMNS)
    errors = {"file": rows} if isinstance(rows, str) else {}
    if not reason or len(reason) > certificates.LONGEST_REASON:
        errors["reason"] = certificates.NO_REASON
    if errors or isinstance(rows, str):
        context = CertificateImportPage(reason, errors)
        return page(request, "bot/certificate_import.html", context, status=422)
    outcome = await certificates.take_in(
        session_of(request), rows, by=signed(request), reason=reason, now=now_of(request)
    )
    told = [rejects.in_words(row, certificates.COLUMNS) for row in outcome.rejects]
    context = CertificateImportPage(
        reason, {}, outcome.counts(), told[: rejects.SHOWN], rejects.kept(told)
    )
    return page(request, "bot/certificate_import.html", context)


@routes.post(f"{LIST}/import/rejects.csv")
@allow(*PROPOSES)
async def rejected_dates(request: web.Request) -> web.Response:
    """The rejected rows of the page just shown, as a file."""
    return await rejects.download(request, "certificates.rejects.csv")

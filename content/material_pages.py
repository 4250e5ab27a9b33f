"""One material with its history, on a page or in a drawer; its file, withdrawing it."""

from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select
from yarl import URL

from bank import audit
from bank import staff as people
from bank.models import Role
from content import (
    comments,
    differences,
    flags,
    links,
    materials,
    particulars,
    particulars_words,
    products,
    review,
    shelf,
)
from content.differences import Line
from content.files import FILES
from content.models import Material, Passage, Product, State, StoredFile, Version
from content.phone import Phone, phone_of
from content.shelf import Reader, Standing, standing
from desk.downloads import attachment
from desk.ids import ID
from desk.keys import SETTINGS
from desk.permissions import allow
from desk.render import fragment, page, see_other
from desk.signed import Signed, now_of, session_of, signed
from wecom.channels import Channel

routes = web.RouteTableDef()

READERS = (
    Role.RM,
    Role.BRANCH_MANAGER,
    Role.EDITOR,
    Role.APPROVER,
    Role.COMPLIANCE,
    Role.AUDITOR,
    Role.HQ,
)
MAY_LINK = tuple(role for role in READERS if role != Role.AUDITOR)
SEES_RECIPIENTS = (Role.RM, Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
SEE_ALL = tuple(role for role in READERS if role != Role.RM)
Options = list[tuple[str, str]]

VERBS = {
    "draft": ("保存草稿", "grey"),
    "submit": ("提交审批", "orange"),
    "flags_seen": ("确认提示", "blue"),
    "approve": ("审批通过", "green"),
    "pass": ("环节通过", "blue"),
    "reject": ("驳回", "red"),
    "return": ("退回修改", "orange"),
    "claim": ("领取审批", "grey"),
    "release": ("释放审批", "grey"),
    "transfer": ("转交审批", "grey"),
    "comment": ("添加批注", "grey"),
    "resolve": ("处理批注", "grey"),
    "uphold": ("抽查复审通过", "green"),
    "link": ("生成客户链接", "grey"),
    "withdraw": ("下线", "dark"),
    "supersede": ("被新版本替代", "dark"),
    "expire": ("到期下线", "dark"),
    "suspend": ("暂停使用", "red"),
    "resume": ("恢复使用", "green"),
}


@dataclass(frozen=True)
class VersionLine:
    """A version in the list of versions."""

    version: Version
    standing: Standing
    author: str
    approver: str


@dataclass(frozen=True)
class MaterialPage:
    """One material."""

    material: Material
    version: Version  # the one shown: asked for, else live, else newest
    standing: Standing
    paragraphs: list[str]  # for the phone preview
    passages: list[Passage]  # what is cited, with places
    versions: list[VersionLine]  # newest first
    compared: tuple[Version, Version] | None  # earlier and later of the difference
    difference: list[Line]
    history: list[tuple[datetime, str, str, str]]  # when, title, text, tone
    products: list[Product]
    channels: list[str]
    branches: list[str]  # empty: all
    file: StoredFile | None
    phone: Phone
    told: list[tuple[str, str]]  # what the version says of itself, in words
    flags: list[flags.Flag]  # hidden or system-like text
    flags_seen_by: str  # who has looked at them; empty: nobody yet
    may_see_flags: bool
    owner: str
    may_write: bool
    may_submit: bool
    may_withdraw: bool
    may_review: bool
    may_link: bool
    sees_recipients: bool  # who got it, to notify them
    open_comments: int  # which the reader, its author, has to deal with
    link: str = ""  # the public address made a moment ago
    error: str = ""  # why withdrawing or submitting was refused
    reason: str = ""  # the reason as typed


def reader_of(who: Signed) -> Reader:
    """RMs see what is live for their branch; everyone else in content sees all."""
    return Reader(only_live=not who.may(*SEE_ALL), branch_id=who.branch_id)


@routes.get(f"/content/{{material_id:{ID}}}")
@allow(*READERS)
async def show_material(request: web.Request) -> web.Response:
    """One material; `?v=2` shows that version, `?from=1&to=2` a difference."""
    return page(request, "content/show.html", await _material_page(request, _id(request)))


@routes.get(f"/content/{{material_id:{ID}}}/drawer")
@allow(*READERS)
async def show_in_drawer(request: web.Request) -> web.Response:
    """The same, beside the list it was opened from."""
    return fragment(request, "content/_drawer.html", await _material_page(request, _id(request)))


def _id(request: web.Request, name: str = "material_id") -> UUID:
    return UUID(request.match_info[name])


async def _material_page(request: web.Request, material_id: UUID) -> MaterialPage:
    session, who, now = session_of(request), signed(request), now_of(request)
    material = await session.get(Material, material_id)
    versions = await shelf.visible_versions(session, material_id, reader_of(who), now)
    if material is None or not versions:
        raise web.HTTPNotFound
    version = _asked_for(request, versions) or _live_or_newest(versions)
    file = await session.get(StoredFile, version.file_id) if version.file_id else None
    compared = _compared(request, versions)
    staff = await people.names(session, _staff_ids(material, versions))
    return MaterialPage(
        material=material,
        version=version,
        standing=standing(version, now),
        paragraphs=version.body.split("\n\n"),
        passages=await _passages(session, version),
        versions=[
            VersionLine(v, standing(v, now), staff[v.author_id], _name(staff, v.approved_by))
            for v in versions
        ],
        compared=compared,
        difference=differences.between(*compared) if compared else [],
        history=await _history(session, versions),
        products=await products.of_material(session, material_id),
        channels=[Channel(channel).label for channel in version.channels],
        branches=await branch_names(session, version.branch_ids),
        file=file,
        phone=phone_of(await materials.draft_of(session, material, version), file),
        told=particulars_words.words_of(particulars.of_version(material, version)),
        flags=[flags.Flag.read(flag) for flag in version.flags],
        flags_seen_by=_name(staff, version.flags_seen_by) if version.flags_seen_by else "",
        may_see_flags=flags.stands_against(version.flags, version.flags_seen_by)
        and who.may(*review.REVIEWERS)
        and version.author_id != who.id,
        owner=staff[material.owner_id],
        may_write=who.may(Role.EDITOR),
        may_submit=version.state == State.DRAFT and version.author_id == who.id,
        may_withdraw=version.state == State.APPROVED and who.may(*review.REVIEWERS),
        may_review=version.state == State.SUBMITTED
        and who.may(*review.REVIEWERS)
        and version.author_id != who.id,
        may_link=version.state == State.APPROVED and who.may(*MAY_LINK),
        sees_recipients=version.approved_at is not None and who.may(*SEES_RECIPIENTS),
        open_comments=await comments.count_open(session, version.id)
        if version.author_id == who.id
        else 0,
        link=await _link(request, version),
    )


async def _link(request: web.Request, version: Version) -> str:
    token = request.query.get("link", "")
    if not token or not await links.made_for(session_of(request), token, version.id):
        return ""
    return str(URL(request.app[SETTINGS].public_url).join(URL(f"/m/{token}")))


def _asked_for(request: web.Request, versions: list[Version]) -> Version | None:
    return _numbered(request.query.get("v", ""), versions)


def _numbered(number: str, versions: list[Version]) -> Version | None:
    return next((version for version in versions if str(version.number) == number), None)


def _live_or_newest(versions: list[Version]) -> Version:
    return next((v for v in versions if v.state == State.APPROVED), versions[0])


def _compared(request: web.Request, versions: list[Version]) -> tuple[Version, Version] | None:
    """The two versions asked for, else the newest two."""
    earlier = _numbered(request.query.get("from", ""), versions)
    later = _numbered(request.query.get("to", ""), versions)
    if earlier is not None and later is not None:
        return earlier, later
    return (versions[1], versions[0]) if len(versions) > 1 else None


def _staff_ids(material: Material, versions: list[Version]) -> list[UUID]:
    others = [each for v in versions for each in (v.approved_by, v.flags_seen_by) if each]
    return [material.owner_id, *(version.author_id for version in versions), *others]


def _name(names: dict[UUID, str], staff_id: UUID | None) -> str:
    return names.get(staff_id, "—") if staff_id else "—"


async def _passages(session: AsyncSession, version: Version) -> list[Passage]:
    rows = select(Passage).where(Passage.version_id == version.id).order_by(col(Passage.position))
    return list((await session.execute(rows)).scalars())


async def branch_names(session: AsyncSession, ids: list[UUID] | None) -> list[str]:
    """Names of these branches; none means all branches."""
    if ids is None:
        return []
    return [branch.name for branch in await people.branches(session) if branch.id in ids]


async def _history(
    session: AsyncSession, versions: list[Version]
) -> list[tuple[datetime, str, str, str]]:
    """The audit book's lines about these versions, newest first."""
    lines = [
        (line, version)
        for version in versions
        for line in await audit.history(session, "version", version.id)
    ]
    names = await shelf.names_by_userid(session, {line.actor for line, _ in lines})
    shown = []
    for line, version in sorted(lines, key=lambda pair: pair[0].id or 0, reverse=True):
        verb, tone = VERBS.get(line.action.rpartition(":")[2], (line.action, "grey"))
        why = f"：{line.detail['reason']}" if line.detail.get("reason") else ""
        who = names.get(line.actor, line.actor)
        shown.append((line.at, f"V{version.number} {verb}", f"{who}{why}", tone))
    return shown


@routes.post(f"/content/versions/{{version_id:{ID}}}/submit")
@allow(Role.EDITOR)
async def submit_version(request: web.Request) -> web.Response:
    """Hand a saved draft to the reviewers."""
    outcome = await review.submit(
        session_of(request), _id(request, "version_id"), by=signed(request), now=now_of(request)
    )
    return await _after(request, outcome, "已提交审批")


@routes.post(f"/content/versions/{{version_id:{ID}}}/withdraw")
@allow(*review.REVIEWERS)
async def withdraw_version(request: web.Request) -> web.Response:
    """Take a live version out of use, with a reason."""
    reason = str((await request.post()).get("reason", ""))
    outcome = await review.withdraw(
        session_of(request), _id(request, "version_id"),
        by=signed(request), reason=reason, now=now_of(request),
    )  # fmt: skip
    return await _after(request, outcome, "已下线，不会再被推荐或发送", reason)


async def _after(
    request: web.Request, outcome: review.Moved | review.Refused, done: str, reason: str = ""
) -> web.Response:
    if isinstance(outcome, review.Moved):
        return see_other(f"/content/{outcome.version.material_id}?{urlencode({'done': done})}")
    version = await session_of(request).get(Version, _id(request, "version_id"))
    if version is None:
        raise web.HTTPNotFound
    shown = await _material_page(request, version.material_id)
    context = replace(shown, error=" ".join(outcome.reasons), reason=reason)
    return page(request, "content/show.html", context, status=422)


@routes.post(f"/content/versions/{{version_id:{ID}}}/flags")
@allow(*review.REVIEWERS)
async def see_flags(request: web.Request) -> web.Response:
    """A reviewer has looked at every flag; only then can the version go live."""
    session, who, version_id = session_of(request), signed(request), _id(request, "version_id")
    refused = await flags.acknowledge(
        session, version_id, by=who.id, userid=who.userid, now=now_of(request)
    )
    version = await session.get(Version, version_id)
    if version is None:
        raise web.HTTPNotFound
    if refused:
        shown = await _material_page(request, version.material_id)
        return page(request, "content/show.html", replace(shown, error=refused), status=422)
    done = urlencode({"v": version.number, "done": "已确认，可以继续审批"})
    return see_other(f"/content/{version.material_id}?{done}")


@routes.get(f"/content/files/{{file_id:{ID}}}")
@allow(*READERS)
async def download(request: web.Request) -> web.Response:
    """The file as uploaded, always as an attachment."""
    session, who, now = session_of(request), signed(request), now_of(request)
    stored = await session.get(StoredFile, _id(request, "file_id"))
    if stored is None or not await _may_read(session, stored, who, now):
        raise web.HTTPNotFound
    return attachment(stored.name, await request.app[FILES].read(stored.id), stored.media_type)


async def _may_read(session: AsyncSession, stored: StoredFile, who: Signed, now: datetime) -> bool:
    """Whoever sees a version sees its file; an upload not yet used is its uploader's."""
    if stored.uploaded_by == who.id:
        return True
    rows = select(Version.material_id).where(Version.file_id == stored.id).distinct()
    for material_id in (await session.execute(rows)).scalars():
        visible = await shelf.visible_versions(session, material_id, reader_of(who), now)
        if any(version.file_id == stored.id for version in visible):
            return True
    return False

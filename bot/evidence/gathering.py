"""What an evidence pack is made of: every row about a customer or a touch, in one snapshot."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col, select

from attribution.models import Conversion, Credit, Opening, Touchpoint, TrackedLink
from bank.audit_chain import GENESIS
from bank.models import AuditEntry, AuditLink
from bot.groups.models import GroupMessage
from bot.models import Message, ServiceMessage, ServiceSession, Welcome
from content.files import FileMissing, FileStore
from content.materials import fingerprint_of
from content.models import Material, Passage, StoredFile, Version
from customers.models import CareAlert, Consent, Customer, CustomerTag, Follow, Holding, LegalHold
from knowledge.models import Suggestion
from outbound.models import ConductAlert, OutboundMessage
from scheduler.models import Enrolment, SendTask, Sop, Step, Touch

Row = dict[str, Any]
_LINK = aliased(AuditLink)
# Digests serve to tell rows apart inside the database and say nothing to a reader.
LEFT_OUT = {"code_digest"}


@dataclass
class Gathered:
    """Rows by chapter, versions with their exact bytes, and the lines of the audit book."""

    about: str  # customer or touch
    subject: UUID
    customer: Customer
    chapters: dict[str, list[Row]] = field(default_factory=dict)
    versions: list[Row] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    lines: list[Row] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows about persons there are."""
        return sum(len(rows) for rows in self.chapters.values()) + len(self.lines)


async def about_customer(
    session: AsyncSession, files: FileStore, customer_id: UUID
) -> Gathered | None:
    """Everything about that customer; None where there is none."""
    customer = await session.get(Customer, customer_id)
    if customer is None:
        return None
    made = Gathered("customer", customer_id, customer)
    touches = await _all(session, Touch, col(Touch.customer_id) == customer_id)
    suggestions = await _all(session, Suggestion, col(Suggestion.customer_id) == customer_id)
    await _person(session, made)
    await _chats(session, made)
    made.chapters["suggestions"] = _dumped(suggestions)
    await _touched(session, made, touches)
    await _said(session, made, _to(customer))
    await _earned(session, made)
    await _opened(session, made, _links_to(customer))
    await _material(session, files, made, _cited(suggestions) | _sent(touches, made))
    await _audited(session, made)
    return made


async def about_touch(session: AsyncSession, files: FileStore, touch_id: UUID) -> Gathered | None:
    """Everything about that touch; None where there is none."""
    touch = await session.get(Touch, touch_id)
    if touch is None:
        return None
    made = Gathered("touch", touch_id, await session.get_one(Customer, touch.customer_id))
    await _person(session, made)
    await _touched(session, made, [touch])
    said = (col(OutboundMessage.source) == "touch", col(OutboundMessage.source_id) == str(touch_id))
    await _said(session, made, and_(*said))
    seen = (col(Touchpoint.source) == "touch") & (col(Touchpoint.source_id) == str(touch_id))
    made.chapters["touchpoints"] = _dumped(await _all(session, Touchpoint, seen))
    its = (col(TrackedLink.source) == "touch") & (col(TrackedLink.source_id) == str(touch_id))
    await _opened(session, made, its)
    await _material(session, files, made, _sent([touch], made))
    await _audited(session, made)
    return made


async def _all(session: AsyncSession, table: type[Any], where: ColumnElement[bool]) -> list[Any]:
    """Rows in the order of their keys, the same in every pack."""
    keys = list(table.__table__.primary_key.columns)
    return list((await session.execute(select(table).where(where).order_by(*keys))).scalars())


def _dumped(rows: Iterable[SQLModel]) -> list[Row]:
    return [row.model_dump(mode="json", exclude=LEFT_OUT) for row in rows]


async def _person(session: AsyncSession, made: Gathered) -> None:
    """Who it is, what they agreed to, who looks after them."""
    made.chapters["customer"] = _dumped([made.customer])
    for name, table in (
        ("consents", Consent),
        ("follows", Follow),
        ("tags", CustomerTag),
        ("holdings", Holding),
        ("holds", LegalHold),
    ):
        theirs = col(table.customer_id) == made.customer.id
        made.chapters[name] = _dumped(await _all(session, table, theirs))
    alerts = col(CareAlert.customer_id) == made.customer.id
    if contact := made.customer.external_userid:
        alerts = or_(alerts, col(CareAlert.contact) == contact)
    made.chapters["care_alerts"] = _dumped(await _all(session, CareAlert, alerts))


async def _chats(session: AsyncSession, made: Gathered) -> None:
    """What was said: with the RM, in groups, in the welcome, at 微信客服."""
    theirs = col(Message.customer_id) == made.customer.id
    made.chapters["messages"] = _dumped(await _all(session, Message, theirs))
    contact = made.customer.external_userid or ""
    welcomes = await _all(session, Welcome, col(Welcome.external_userid) == contact)
    sessions = await _all(session, ServiceSession, col(ServiceSession.external_userid) == contact)
    said = col(ServiceMessage.session_id).in_([one.id for one in sessions])
    own = or_(col(GroupMessage.customer_id) == made.customer.id, _wrote(contact))
    made.chapters["group_messages"] = _dumped(await _all(session, GroupMessage, own))
    made.chapters["welcomes"] = _dumped(welcomes)
    made.chapters["service_sessions"] = _dumped(sessions)
    made.chapters["service_messages"] = _dumped(await _all(session, ServiceMessage, said))


def _wrote(contact: str) -> ColumnElement[bool]:
    """Words in customer groups from before the customer was known, under the same WeCom id."""
    return and_(col(GroupMessage.member_id) == contact, col(GroupMessage.member_id) != "")


async def _touched(session: AsyncSession, made: Gathered, touches: list[Touch]) -> None:
    """Touches with the attempts that carried them, and the SOP they come from."""
    tasks = col(SendTask.id).in_({touch.task_id for touch in touches if touch.task_id})
    steps = await _all(session, Step, col(Step.id).in_({touch.step_id for touch in touches}))
    own = {touch.enrolment_id for touch in touches}
    whole = col(Enrolment.customer_id) == made.customer.id
    entered = await _all(
        session, Enrolment, whole if made.about == "customer" else col(Enrolment.id).in_(own)
    )
    sops = col(Sop.id).in_({one.sop_id for one in (*steps, *entered)})
    made.chapters["touches"] = _dumped(touches)
    made.chapters["attempts"] = _dumped(await _all(session, SendTask, tasks))
    made.chapters["enrolments"] = _dumped(entered)
    made.chapters["steps"] = _dumped(steps)
    made.chapters["sops"] = _dumped(await _all(session, Sop, sops))


def _to(customer: Customer) -> ColumnElement[bool]:
    """What was said to this customer, known then or only by the WeCom id."""
    theirs = col(OutboundMessage.customer_id) == customer.id
    if not customer.external_userid:
        return theirs
    return or_(theirs, col(OutboundMessage.contact) == customer.external_userid)


async def _said(session: AsyncSession, made: Gathered, where: ColumnElement[bool]) -> None:
    """What was let through or refused on its way to the customer, and the alerts it raised."""
    said = await _all(session, OutboundMessage, where)
    alerts = col(ConductAlert.message_id).in_([one.id for one in said])
    made.chapters["outbound"] = _dumped(said)
    made.chapters["conduct_alerts"] = _dumped(await _all(session, ConductAlert, alerts))


async def _earned(session: AsyncSession, made: Gathered) -> None:
    """What the customer saw, what they bought, and what was credited for it."""
    theirs = col(Touchpoint.customer_id) == made.customer.id
    made.chapters["touchpoints"] = _dumped(await _all(session, Touchpoint, theirs))
    bought = await _all(session, Conversion, col(Conversion.customer_id) == made.customer.id)
    shares = col(Credit.conversion_id).in_([one.id for one in bought])
    made.chapters["conversions"] = _dumped(bought)
    made.chapters["credits"] = _dumped(await _all(session, Credit, shares))


def _links_to(customer: Customer) -> ColumnElement[bool]:
    theirs = col(TrackedLink.customer_id) == customer.id
    if not customer.external_userid:
        return theirs
    return or_(theirs, col(TrackedLink.contact) == customer.external_userid)


async def _opened(session: AsyncSession, made: Gathered, where: ColumnElement[bool]) -> None:
    """The links that were sent, and everything that is logged of their openings."""
    links = await _all(session, TrackedLink, where)
    theirs: ColumnElement[bool] = col(Opening.code).in_([one.code for one in links])
    if made.about == "customer":
        theirs = or_(theirs, col(Opening.customer_id) == made.customer.id)
    made.chapters["tracked_links"] = _dumped(links)
    made.chapters["openings"] = _dumped(await _all(session, Opening, theirs))


def _cited(suggestions: list[Suggestion]) -> set[UUID]:
    """The versions that replies were made from."""
    used = {one.version_id for one in suggestions if one.version_id}
    cited = {c.get("version_id") for one in suggestions for c in one.citations}
    return used | {UUID(str(version)) for version in cited if version}


def _sent(touches: list[Touch], made: Gathered) -> set[UUID]:
    """The versions that touches, welcomes and 微信客服 sent, and any that an RM tried to send."""
    welcomed = {row["version_id"] for row in made.chapters.get("welcomes", [])}
    served = {v for row in made.chapters.get("service_messages", []) for v in row["version_ids"]}
    said = {v["version_id"] for row in made.chapters["outbound"] for v in row["versions"]}
    sent = {touch.version_id for touch in touches if touch.version_id}
    return sent | {UUID(str(version)) for version in welcomed | served | said if version}


async def _material(
    session: AsyncSession, files: FileStore, made: Gathered, wanted: set[UUID]
) -> None:
    """Each version as approved: its words, its file's exact bytes, its hash computed again."""
    for version in await _all(session, Version, col(Version.id).in_(wanted)):
        material = await session.get_one(Material, version.material_id)
        passages = await _all(session, Passage, col(Passage.version_id) == version.id)
        row = version.model_dump(mode="json") | {
            "material": material.model_dump(mode="json"),
            "passages": _dumped(passages),
        }
        name = f"versions/{material.code}-v{version.number}"
        row["name"] = f"{name}.json"
        row |= await _bytes(session, files, made, version, name)
        made.versions.append(row)


async def _bytes(
    session: AsyncSession, files: FileStore, made: Gathered, version: Version, name: str
) -> Row:
    """The file into the pack, and whether all of the version is what its hash says."""
    try:
        now_says = await fingerprint_of(session, files, version)
        if version.file_id is None:
            return {"sha256_now": now_says, "unchanged": now_says == version.sha256}
        stored = await session.get_one(StoredFile, version.file_id)
        suffix = stored.name.rpartition(".")[2].lower()
        kept = f"{name}.{suffix if suffix.isalnum() else 'bin'}"
        made.files[kept] = await files.read(version.file_id)
    except FileMissing:
        return {"sha256_now": "", "unchanged": False, "file": "文件库中没有这个文件的原件"}
    facts = {"sha256_now": now_says, "unchanged": now_says == version.sha256, "file": kept}
    return facts | {"file_name": stored.name, "file_sha256": stored.sha256}


async def _audited(session: AsyncSession, made: Gathered) -> None:
    """The lines of the audit book about anything in the pack, each with its link."""
    ids = {str(row["id"]) for rows in made.chapters.values() for row in rows if "id" in row}
    ids |= {str(row["id"]) for row in made.versions}
    ids |= {str(row["material_id"]) for row in made.versions}
    before = select(AuditLink.chain).where(col(AuditLink.position) == col(_LINK.position) - 1)
    query = (
        select(AuditEntry, _LINK, before.scalar_subquery())
        .outerjoin(_LINK, col(_LINK.entry_id) == col(AuditEntry.id))
        .where(col(AuditEntry.subject_id).in_(ids))
        .order_by(col(AuditEntry.id))
    )
    for entry, link, previous in await session.execute(query):
        made.lines.append(_line(entry, link, previous))


def _line(entry: AuditEntry, link: AuditLink | None, previous: bytes | None) -> Row:
    row = entry.model_dump(mode="json") | {"at": entry.at.isoformat(timespec="microseconds")}
    if link is None:
        return row | {"position": None}
    return row | {
        "position": link.position,
        "content": link.content.hex(),
        "before": (previous or GENESIS).hex(),
        "chain": link.chain.hex(),
    }

"""Which words welcome a new customer: the channel's, else the RM's, else the bank's own.

Somebody chose a material once; which version of it is live, and whether it may be said to a
stranger, is asked again at the moment of sending. The nearest choice decides: where its material
may not be sent, nothing is, and the reason is shown.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, delete, select

from bank import audit
from bank.models import Staff
from bot.models import ContactWay, WelcomeChoice
from compliance.suitability import customer_ceiling
from content import library, sendable
from content.models import Kind, Material, Version
from content.sendable import SHAPES, Sendable
from outbound import reasons
from outbound.attachments import Attached, Stock, Unfit, prepare
from outbound.check import SLOT, Cause, Passed, Refused, check
from outbound.facts import Policy, Saying
from outbound.models import Door
from wecom.channels import Channel

RM_SLOT = "{客户经理}"
NOT_STAFF = "接待成员不在员工名单中，或账号已停用"
NOT_CHOSEN = "还没有设置欢迎语：渠道活码、客户经理和全行默认都没有选定素材"
UNFILLED = "欢迎语里只能使用占位符“{客户经理}”：添加的那一刻还不知道客户称呼"


@dataclass(frozen=True)
class Words:
    """These words may be sent now, from this version."""

    version_id: UUID
    text: str
    passed: Passed = field(repr=False)
    beside: Sendable | None = None  # what goes beside the text


@dataclass(frozen=True)
class NoWords:
    """Nothing may be sent, and why."""

    reason: str
    refused: Refused | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Host:
    """Who welcomes, and whom, as far as it is known."""

    name: str
    branch_id: UUID | None
    staff_id: UUID | None = None
    contact: str = ""
    stock: Stock | None = None  # where attachments come from; none for a mere preview
    rm: Staff | None = None


async def words_for(
    session: AsyncSession,
    rm: Staff,
    way: ContactWay | None,
    policy: Policy,
    now: datetime,
    contact: str = "",
    stock: Stock | None = None,
) -> Words | NoWords:
    """What a customer who came to this RM, by that way, may be told now."""
    own = way.welcome_material_id if way else None
    material_id = own or await chosen(session, rm.id) or await chosen(session, None)
    if material_id is None:
        return NoWords(NOT_CHOSEN)
    host = Host(rm.name, rm.branch_id, rm.id, contact, stock, rm)
    return await words_of(session, material_id, host, policy, now)


async def words_of(
    session: AsyncSession, material_id: UUID, host: Host, policy: Policy, now: datetime
) -> Words | NoWords:
    """The material as a stranger would read it from this RM, if it may be sent to one."""
    version = await library.live_version_of(session, material_id, now)
    if version is None:
        material = await session.get_one(Material, material_id)
        return NoWords(f"素材《{material.title}》没有已上线的版本：尚未审批、已下线或已过期")
    attached = await _attached(session, version, host, now)
    if isinstance(attached, Unfit):
        return NoWords("；".join(attached.reasons))
    material = await session.get_one(Material, material_id)
    shown = await sendable.of_versions(session, [version.id])
    saying = Saying(
        door=Door.WELCOME,
        text=sendable.words_of(version, material.kind).replace(RM_SLOT, host.name).strip(),
        version_ids=frozenset({version.id}),
        staff_id=host.staff_id,
        contact=host.contact,
        branch_id=host.branch_id,
        attachments=attached,
    )
    answer = await check(session, saying, policy, now)
    if isinstance(answer, Passed):
        return Words(version.id, answer.text, answer, shown.get(version.id))
    return NoWords(_in_words(answer, version), answer)


async def _attached(
    session: AsyncSession, version: Version, host: Host, now: datetime
) -> tuple[Attached, ...] | Unfit:
    if host.stock is None or host.rm is None:
        return ()
    return await prepare(session, host.stock, [version.id], host.rm, now)


def _in_words(answer: Refused, version: Version) -> str:
    if answer.cause in (Cause.MATERIAL, Cause.SUITABILITY):
        return (
            f"素材《{version.title}》不能发给新客户：不适用于单聊或该支行，"
            "或涉及产品（新客户还没有风险测评）"
        )
    return "；".join(UNFILLED if why == reasons.UNFILLED else why for why in answer.reasons)


def _ceiling_of_a_stranger(now: datetime) -> int:
    return customer_ceiling(None, None, now)


async def chosen(session: AsyncSession, staff_id: UUID | None) -> UUID | None:
    """The material this RM chose, or (None) the bank's own."""
    query = select(WelcomeChoice.material_id).where(
        col(WelcomeChoice.staff_id).is_not_distinct_from(staff_id)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def choose(
    session: AsyncSession,
    staff_id: UUID | None,
    material_id: UUID | None,
    *,
    by: str,
    now: datetime,
) -> None:
    """From now on this material welcomes their customers; None goes back to the bank's own."""
    if material_id is None:
        mine = col(WelcomeChoice.staff_id).is_not_distinct_from(staff_id)
        await session.execute(delete(WelcomeChoice).where(mine))
    else:
        said = {"material_id": material_id, "chosen_by": by, "chosen_at": now}
        row = insert(WelcomeChoice).values(staff_id=staff_id, **said)
        again = row.on_conflict_do_update(index_elements=["staff_id"], set_=said)
        await session.execute(again)
    material = await session.get(Material, material_id) if material_id else None
    audit.record(
        session,
        "bot:welcome:choose",
        staff_id or "bank",
        by=by,
        now=now,
        name=material.title if material else "跟随全行默认",
    )


async def choices(
    session: AsyncSession, branch_id: UUID | None, now: datetime
) -> list[tuple[str, str]]:
    """Scripts, pictures, cards and files that may welcome customers there now, welcomes first.

    As (material, title with what goes beside the words).
    """
    documents = await library.live_documents(
        session,
        now,
        channel=Channel.SINGLE_CHAT,
        branch_id=branch_id,
        risk_ceiling=_ceiling_of_a_stranger(now),
    )
    kinds = {Kind.SCRIPT, *SHAPES}
    scripts = {d.version_id: d.kind for d in documents if d.kind in kinds}
    query = select(Version).where(col(Version.id).in_(scripts)).order_by(col(Version.title))
    found = (await session.execute(query)).scalars()
    usable = [version for version in found if _can_be_filled(version.body)]
    # Most scripts are for later in a relation; those made for this moment come first.
    usable.sort(key=lambda version: "欢迎" not in version.title)
    return [(str(v.material_id), _named(v.title, scripts[v.id])) for v in usable]


def _named(title: str, kind: Kind) -> str:
    return f"{title}（{SHAPES[kind].label}）" if kind in SHAPES else title


def _can_be_filled(body: str) -> bool:
    return not SLOT.search(body.replace(RM_SLOT, ""))

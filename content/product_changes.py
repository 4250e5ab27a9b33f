"""Changes of a product's facts: one proposes, another confirms; the only writer of a product.

What a change makes wrong is suspended in the transaction that puts it in force. The table keeps
the rest: `ck_product_change_four_eyes`, `uq_product_change_open`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import audit
from bank.database import ring
from bank.models import Role
from content import library, product_rows, suspensions
from content.materials import Person
from content.models import ChangeState, Product, ProductChange, StoredFile, Version
from content.product_rows import FILE_LABELS, Wrong
from content.suspensions import Overtaken

PROPOSERS = (Role.EDITOR, Role.HQ)
CONFIRMERS = (Role.APPROVER, Role.COMPLIANCE, Role.HQ)
LONGEST_REASON = 500

NOTHING = "没有需要保存的修改。"
WAITS = "该产品已有一项变更待确认，请先由另一人确认或驳回。"
NO_REASON = "请填写变更原因和依据，确认人和审计会看到。"
NO_NOTE = "请填写驳回原因，提交人会看到。"
NOT_PROPOSER = "您没有修改产品的权限，请由内容编辑或总行运营提交。"
NOT_CONFIRMER = "您没有确认产品变更的权限，请由内容审批、合规或总行运营处理。"
SELLS = "客户经理不得兼任确认人，请由未参与销售的人员处理。"
OWN_CHANGE = "不能确认自己提交的变更，请由另一人处理。"
NOT_WAITING = "这项变更不在待确认状态，可能已由他人处理，请刷新页面。"
STALE = "提交之后产品已有其他变化，请驳回后按最新内容重新提交。"
NO_FILE = "没有找到上传的文件，请重新上传。"
BAD_CODE = "产品代码须为 1 至 32 位字母、数字、点、横线或下划线，并以字母或数字开头。"
TAKEN = "产品库已有这个代码：请打开该产品提交变更。"
# What puts a product on head office's list; never in force on one person's word.
LISTING = ("listed_from", "listed_until")


@dataclass(frozen=True)
class Refused:
    """Nothing changed: what stands against it, by fact; what concerns none stands under ``."""

    errors: dict[str, str]

    @property
    def reasons(self) -> tuple[str, ...]:
        """In words, without the facts they stand beside."""
        return tuple(self.errors.values())


@dataclass(frozen=True)
class Confirmed:
    """In force; with the material it took out of use."""

    change: ProductChange
    suspended: list[Version]


def create(
    session: AsyncSession, code: str, facts: Mapping[str, str], *, by: str, now: datetime
) -> Product:
    """A product with these facts, all of them read before; off the list unless they put it on."""
    product = Product(code=code, **product_rows.values(facts))
    session.add(product)
    audit.record(session, "content:product:create", code, by=by, now=now)
    return product


async def introduce(
    session: AsyncSession,
    code: str,
    wanted: Mapping[str, str],
    *,
    by: Person,
    reason: str,
    now: datetime,
) -> Product | Refused:
    """A new product on a person's word: known at once, offered to nobody.

    Its place on head office's list and its documents wait for a second person, who reads all of it.
    """
    facts = {name: wanted.get(name, "") for name in product_rows.FACTS}
    errors = _errors(facts)
    if not product_rows.CODE.fullmatch(code):
        errors["code"] = BAD_CODE
    elif await _is_taken(session, code):
        errors["code"] = TAKEN
    if not set(PROPOSERS) & set(by.roles):
        errors[""] = NOT_PROPOSER
    if not reason.strip():
        errors["reason"] = NO_REASON
    if errors:
        return Refused(errors)
    own = {name: text for name, text in facts.items() if name not in LISTING}
    product = create(session, code, own, by=by.userid, now=now)
    await session.flush()
    waits = {n: text for n, text in wanted.items() if text and (n in LISTING or n in FILE_LABELS)}
    if waits:
        asked = await propose(session, product.id, waits, by=by, reason=reason, now=now)
        if isinstance(asked, Refused):
            return asked
    return product


async def _is_taken(session: AsyncSession, code: str) -> bool:
    # As an import does: two at once would both find a code free.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext("product_import"))))
    there = select(func.count()).where(Product.code == code)
    return bool((await session.execute(there)).scalar_one())


async def propose(
    session: AsyncSession,
    product_id: UUID,
    wanted: Mapping[str, str],
    *,
    by: Person,
    reason: str,
    now: datetime,
) -> ProductChange | Refused:
    """Ask for these facts (in written form); they count once another person confirms."""
    product = await _locked(session, product_id)
    before = _told(product)
    fields = differences(before, wanted)
    errors = _errors(before | {name: text for name, text in wanted.items() if name in before})
    if not set(PROPOSERS) & set(by.roles):
        errors[""] = NOT_PROPOSER
    elif not fields:
        errors[""] = NOTHING
    elif await waiting(session, product_id) is not None:
        errors[""] = WAITS
    if not reason.strip():
        errors["reason"] = NO_REASON
    if await _lacks_file(session, fields):
        errors[""] = NO_FILE
    if errors:
        return Refused(errors)
    change = ProductChange(
        product_id=product.id,
        fields=fields,
        reason=reason.strip()[:LONGEST_REASON],
        proposed_by=by.id,
        proposed_at=now,
    )
    session.add(change)
    _note(session, product, change, "propose", by.userid, now)
    await session.flush()
    return change


def _told(product: Product) -> dict[str, str]:
    """Every fact of the product as it may stand in a change, files by id."""
    files = {name: str(getattr(product, name) or "") for name in FILE_LABELS}
    return product_rows.written(product) | files


def differences(before: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, list[str]]:
    """field → [old, new] for what is asked to be otherwise than it is."""
    return {
        name: [before[name], text]
        for name, text in wanted.items()
        if name in before and text != before[name]
    }


def _errors(facts: Mapping[str, str]) -> dict[str, str]:
    """What in these facts cannot be read, or contradicts another."""
    known = {name: text for name, text in facts.items() if name in product_rows.FACTS}
    read = product_rows.values(known)
    wrong = {name: value.reason for name, value in read.items() if isinstance(value, Wrong)}
    return wrong | product_rows.against(known)


async def _lacks_file(session: AsyncSession, fields: Mapping[str, list[str]]) -> bool:
    wanted = {UUID(new) for name, (_, new) in fields.items() if name in FILE_LABELS and new}
    there = select(func.count()).where(col(StoredFile.id).in_(wanted))
    return bool(wanted) and (await session.execute(there)).scalar_one() < len(wanted)


async def waiting(session: AsyncSession, product_id: UUID) -> ProductChange | None:
    """The proposal of this product that waits, if one does."""
    rows = select(ProductChange).where(
        ProductChange.product_id == product_id, ProductChange.state == ChangeState.PROPOSED
    )
    return (await session.execute(rows)).scalar_one_or_none()


async def waiting_products(session: AsyncSession) -> set[UUID]:
    """The products for which a proposal waits."""
    rows = select(ProductChange.product_id).where(ProductChange.state == ChangeState.PROPOSED)
    return set((await session.execute(rows)).scalars())


async def confirm(
    session: AsyncSession, change_id: UUID, *, by: Person, now: datetime
) -> Confirmed | Refused:
    """The second person says yes: in force at once, and what it makes wrong out of use."""
    found = await _waiting_locked(session, change_id)
    if found is None:
        return Refused({"": NOT_WAITING})
    product, change = found
    if refused := against_deciding(change, by):
        return refused
    before = _told(product)
    if any(before[name] != old for name, (old, _) in change.fields.items()):
        return Refused({"": STALE})
    if errors := _errors(before | {name: new for name, (_, new) in change.fields.items()}):
        return Refused(errors)
    overtaken = _put_in_force(product, change)
    _decide(change, ChangeState.CONFIRMED, by, now)
    _note(session, product, change, "confirm", by.userid, now)
    await session.flush()
    suspended = await suspensions.suspend(session, [overtaken], by=by.userid, now=now)
    # Sale status, list and audience count without a suspension: whoever shows material looks again.
    await ring(session, library.BELL)
    return Confirmed(change, suspended)


def against_deciding(change: ProductChange, by: Person) -> Refused | None:
    """Why this person may not decide on it."""
    if not set(CONFIRMERS) & set(by.roles):
        return Refused({"": NOT_CONFIRMER})
    if Role.RM in by.roles:
        return Refused({"": SELLS})
    return Refused({"": OWN_CHANGE}) if change.proposed_by == by.id else None


def _put_in_force(product: Product, change: ProductChange) -> Overtaken:
    overtaken = Overtaken(product, product.rating, product.benchmark or "")
    told = {name: new for name, (_, new) in change.fields.items()}
    files = {name: UUID(told[name]) if told[name] else None for name in FILE_LABELS & told.keys()}
    for name, value in {**product_rows.values(told), **files}.items():
        setattr(product, name, value)
    return overtaken


def _decide(change: ProductChange, state: ChangeState, by: Person, now: datetime) -> None:
    change.state, change.decided_by, change.decided_at = state, by.id, now


async def reject(
    session: AsyncSession, change_id: UUID, *, by: Person, note: str, now: datetime
) -> ProductChange | Refused:
    """The second person says no, and why."""
    found = await _waiting_locked(session, change_id)
    if found is None:
        return Refused({"": NOT_WAITING})
    product, change = found
    if refused := against_deciding(change, by):
        return refused
    if not note.strip():
        return Refused({"note": NO_NOTE})
    change.note = note.strip()[:LONGEST_REASON]
    _decide(change, ChangeState.REJECTED, by, now)
    _note(session, product, change, "reject", by.userid, now, reason=change.note)
    await session.flush()
    return change


async def cancel(
    session: AsyncSession, change_id: UUID, *, by: Person, now: datetime
) -> ProductChange | Refused:
    """Who proposed it takes it back."""
    found = await _waiting_locked(session, change_id)
    if found is None or found[1].proposed_by != by.id:
        return Refused({"": NOT_WAITING})
    product, change = found
    _decide(change, ChangeState.CANCELLED, by, now)
    _note(session, product, change, "cancel", by.userid, now)
    await session.flush()
    return change


async def _locked(session: AsyncSession, product_id: UUID) -> Product:
    rows = select(Product).where(Product.id == product_id).with_for_update()
    return (await session.execute(rows, execution_options={"populate_existing": True})).scalar_one()


async def _waiting_locked(
    session: AsyncSession, change_id: UUID
) -> tuple[Product, ProductChange] | None:
    """Product first: two who decide at the same moment wait for each other."""
    of_product = select(ProductChange.product_id).where(ProductChange.id == change_id)
    product_id = (await session.execute(of_product)).scalar_one_or_none()
    if product_id is None:
        return None
    product = await _locked(session, product_id)
    one = select(ProductChange).where(ProductChange.id == change_id).with_for_update()
    change = (
        await session.execute(one, execution_options={"populate_existing": True})
    ).scalar_one()
    return (product, change) if change.state == ChangeState.PROPOSED else None


def take_over(
    session: AsyncSession,
    product: Product,
    fields: Mapping[str, list[str]],
    *,
    source: str,
    now: datetime,
) -> Overtaken:
    """The bank's master file says so: in force at once, and written into the history.

    The caller holds the product locked, and suspends what it overtakes.
    """
    change = ProductChange(
        product_id=product.id,
        fields=dict(fields),
        source=source,
        state=ChangeState.CONFIRMED,
        proposed_at=now,
        decided_at=now,
    )
    session.add(change)
    _note(session, product, change, "take_over", audit.SYSTEM, now, source=source)
    return _put_in_force(product, change)


def _note(
    session: AsyncSession,
    product: Product,
    change: ProductChange,
    verb: str,
    by: str,
    now: datetime,
    **detail: Any,
) -> None:
    audit.record(
        session, f"content:product:{verb}", product.code, by=by, now=now,
        change_id=str(change.id), fields=change.fields, **detail,
    )  # fmt: skip

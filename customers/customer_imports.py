"""Files of the bank's customers, taken in once by their number and bound to WeCom contacts.

A customer is kept only with a contact: of others the bank has no relation here, so no data either.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import or_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Branch
from bank.sheets import Outcome
from customers.import_rows import CustomerRow, read_customer
from customers.imports import Raw, one_by_one, record, write
from customers.models import Customer

NO_CONTACT = "还没有企业微信联系人：请补上外部联系人ID，或等客户添加客户经理之后再导入"
NO_NAME = "新客户缺少姓名"
OTHER_CONTACT = "客户号已绑定另一个外部联系人ID，请核对"
OTHER_NUMBER = "外部联系人ID已属于另一个客户号，请核对"
NO_BRANCH = "没有这个支行代码"


@dataclass
class Customers(Outcome):
    """What became of a file of customers."""

    numbered: list[Customer] = field(default_factory=list)  # whose number is known from now on


async def ingest(
    session: AsyncSession, rows: Iterable[Raw], *, source: str, now: datetime
) -> Customers:
    """Take in customers by their number, and bind numbers to WeCom contacts."""
    outcome = Customers()
    branches = {b.code: b.id for b in (await session.execute(select(Branch))).scalars()}
    for batch in await one_by_one(session, rows, read_customer, _number, outcome, now):
        known = await _known(session, [row for _, row in batch])
        for raw, row in batch:
            if reason := _take(session, row, known, branches, outcome, now):
                outcome.reject(raw, reason)
        await session.flush()
    record(session, outcome, "customers", source, now)
    return outcome


def _number(row: CustomerRow) -> object:
    return row.bank_no


@dataclass(frozen=True)
class _Known:
    """The customers a batch speaks of, as they are."""

    by_number: dict[str | None, Customer]
    by_contact: dict[str | None, Customer]

    def add(self, customer: Customer) -> None:
        """Found by both from now on."""
        self.by_number[customer.bank_no] = self.by_contact[customer.external_userid] = customer


async def _known(session: AsyncSession, rows: Sequence[CustomerRow]) -> _Known:
    contacts = {row.external_userid for row in rows if row.external_userid}
    query = select(Customer).where(
        or_(
            col(Customer.bank_no).in_({row.bank_no for row in rows}),
            col(Customer.external_userid).in_(contacts),
        )
    )
    locked = query.order_by(col(Customer.id)).with_for_update()
    found = await session.execute(locked, execution_options={"populate_existing": True})
    known = _Known({}, {})
    for customer in found.scalars():
        known.add(customer)
    return known


def _take(
    session: AsyncSession,
    row: CustomerRow,
    known: _Known,
    branches: Mapping[str, UUID],
    outcome: Customers,
    now: datetime,
) -> str:
    """Keep what the row says; why it cannot be, or nothing."""
    if row.branch and row.branch not in branches:
        return NO_BRANCH
    facts = row.facts | ({"branch_id": branches[row.branch]} if row.branch else {})
    customer = _meant(row, known)
    if isinstance(customer, str):
        return customer
    if customer is None:
        if "name" not in facts:
            return NO_NAME
        customer = Customer(external_userid=row.external_userid, created_at=now, **facts)
        session.add(customer)
        outcome.counts_by["new"] += 1
        _bind(customer, row, outcome)
    else:
        changed = _bind(customer, row, outcome) | write(customer, facts)
        outcome.counts_by["changed" if changed else "same"] += 1
    known.add(customer)
    return ""


def _meant(row: CustomerRow, known: _Known) -> Customer | str | None:
    """Whom the row speaks of: by number, by contact, somebody new, or why it cannot be told."""
    numbered = known.by_number.get(row.bank_no)
    contact = known.by_contact.get(row.external_userid) if row.external_userid else None
    if numbered is None and contact is None:
        return None if row.external_userid else NO_CONTACT
    if contact is not None and contact.bank_no not in (None, row.bank_no):
        return OTHER_NUMBER
    if numbered is not None and row.external_userid not in ("", numbered.external_userid):
        return OTHER_CONTACT
    return numbered or contact


def _bind(customer: Customer, row: CustomerRow, outcome: Customers) -> bool:
    """Give a contact its number in the bank; whether it is new."""
    if customer.bank_no == row.bank_no:
        return False
    customer.bank_no = row.bank_no
    outcome.numbered.append(customer)
    return True

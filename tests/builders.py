"""Small worlds for tests: a branch, staff, a customer, a follow, an approved material."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Branch, Role, Staff
from content.models import (
    Kind,
    LibraryChange,
    Material,
    MaterialProduct,
    Passage,
    Product,
    ProductKind,
    State,
    Use,
    Version,
)
from customers.models import Consent, Customer, Follow, Purpose

MONDAY = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
_numbers = count(1)


async def a_branch(session: AsyncSession, name: str = "城东支行") -> Branch:
    """A branch."""
    branch = Branch(code=f"B{next(_numbers):03d}", name=name)
    session.add(branch)
    await session.flush()
    return branch


async def a_staff(
    session: AsyncSession, *roles: Role, branch: Branch | None = None, name: str = "王敏"
) -> Staff:
    """A member of staff with these roles."""
    staff = Staff(
        userid=f"staff{next(_numbers)}",
        name=name,
        roles=[role.value for role in roles],
        branch_id=branch.id if branch else None,
        certified_until=date(2029, 12, 31) if Role.RM in roles else None,
    )
    session.add(staff)
    await session.flush()
    return staff


async def a_customer(
    session: AsyncSession,
    *,
    name: str = "李女士",
    risk: int | None = 3,
    assessed_at: datetime | None = None,
    branch: Branch | None = None,
    now: datetime = MONDAY,
    consents: bool = True,
) -> Customer:
    """A customer with a fresh risk assessment and, unless told, consent to marketing."""
    number = next(_numbers)
    customer = Customer(
        bank_no=f"C{number:06d}",
        external_userid=f"wmTEST{number:024d}",
        name=name,
        mobile="138****1234",
        risk_level=risk,
        risk_assessed_at=assessed_at or (now - timedelta(days=30) if risk else None),
        branch_id=branch.id if branch else None,
        created_at=now - timedelta(days=200),
    )
    session.add(customer)
    await session.flush()
    if consents:
        session.add(
            Consent(
                customer_id=customer.id,
                purpose=Purpose.MARKETING,
                channel="wecom",
                text_version="2026-01",
                granted_at=now - timedelta(days=100),
            )
        )
        await session.flush()
    return customer


async def a_follow(
    session: AsyncSession, rm: Staff, customer: Customer, *, now: datetime = MONDAY
) -> Follow:
    """An active relation of that RM with that customer."""
    follow = Follow(staff_id=rm.id, customer_id=customer.id, added_at=now - timedelta(days=90))
    session.add(follow)
    await session.flush()
    return follow


async def a_product(
    session: AsyncSession, *, rating: int = 2, name: str = "安心添利90天"
) -> Product:
    """A public wealth product of that rating, on sale."""
    product = Product(
        code=f"P{next(_numbers):04d}",
        name=name,
        kind=ProductKind.WEALTH,
        issuer="云州理财有限责任公司",
        issuer_rating=rating,
        bank_rating=rating,
        regime="NFRA",
        offering="public",
        agency=True,
        open_rule="每个工作日开放",
        min_amount_cents=100,
        fees="管理费 0.20%/年",
        inception=datetime(2024, 1, 8, tzinfo=UTC).date(),
        redemption="赎回后下一工作日到账",
        description="固定收益类理财产品",
        listed_from=datetime(2024, 1, 8, tzinfo=UTC).date(),
    )
    session.add(product)
    await session.flush()
    return product


async def an_approved_material(
    session: AsyncSession,
    *,
    title: str = "赎回多久到账",
    body: str = "您好，赎回申请确认后，资金一般在下一个工作日到账，具体以产品说明书为准。",
    questions: Sequence[str] = ("赎回几天到账", "卖出以后钱什么时候到", "赎回资金多久能用"),
    kind: Kind = Kind.FAQ,
    risk: int = 0,
    channels: Sequence[str] = ("single_chat", "group"),
    branch_ids: list[UUID] | None = None,
    products: Sequence[Product] = (),
    now: datetime = MONDAY,
    state: State = State.APPROVED,
) -> Version:
    """A material with one version, approved by two people a day ago and valid for 180 days."""
    author = await a_staff(session, Role.EDITOR, name="周编")
    approver = await a_staff(session, Role.APPROVER, name="钱审")
    material = Material(
        code=f"T{next(_numbers):04d}",
        kind=kind,
        title=title,
        use=Use.ACCOMPANY,
        owner_id=author.id,
        created_at=now - timedelta(days=2),
    )
    session.add(material)
    await session.flush()
    session.add_all(MaterialProduct(material_id=material.id, product_id=p.id) for p in products)
    live = state == State.APPROVED
    version = Version(
        material_id=material.id,
        number=1,
        title=title,
        body=body,
        questions=list(questions),
        sha256=hashlib.sha256(body.encode()).hexdigest(),
        risk=risk,
        state=state,
        author_id=author.id,
        created_at=now - timedelta(days=2),
        approved_by=approver.id if live else None,
        approved_at=now - timedelta(days=1) if live else None,
        valid_from=now - timedelta(days=1) if live else None,
        valid_until=now + timedelta(days=180) if live else None,
        channels=list(channels),
        branch_ids=branch_ids,
    )
    session.add(version)
    await session.flush()
    texts = [part for part in body.split("\n\n") if part.strip()]
    session.add_all(
        Passage(version_id=version.id, position=i, text=text) for i, text in enumerate(texts)
    )
    if live:
        session.add(LibraryChange(version_id=version.id, live=True, at=now - timedelta(days=1)))
    await session.flush()
    return version

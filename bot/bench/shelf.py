"""A library of any size: the demo bank's material, and from there on other series of it."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Branch, Role, Staff
from bot import demo
from bot.demo.library import materials_on_file
from bot.demo.rows import Rows, ident, row
from content import passages
from content.models import Kind, LibraryChange, Material, Passage, State, Use, Version
from customers.models import Customer, Follow

QUESTIONS = Path(demo.__file__).with_name("questions.yaml")
SERIES = ("安泰", "和润", "嘉禾", "景明", "瑞丰", "同心", "云锦", "长青")
CUSTOMERS = 20


@dataclass(frozen=True)
class House:
    """Who asks, who answers, and who writes what is answered with."""

    editor: UUID
    approver: UUID
    rm: UUID
    customers: tuple[UUID, ...]


async def a_house(session: AsyncSession, now: datetime) -> House:
    """A branch with an editor, an approver, and an RM with customers."""
    branch = row(Branch, id=ident("bench", "branch"), code="B001", name="城东支行")
    staff = [_staff(role, branch.id) for role in (Role.EDITOR, Role.APPROVER, Role.RM)]
    customers = [_customer(number, branch.id, now) for number in range(CUSTOMERS)]
    rm = staff[2].id
    rows = Rows()
    rows.add(branch, *staff, *customers)
    rows.add(*(row(Follow, staff_id=rm, customer_id=c.id, added_at=now) for c in customers))
    await rows.write(session)
    return House(staff[0].id, staff[1].id, rm, tuple(customer.id for customer in customers))


def _staff(role: Role, branch: UUID) -> Staff:
    named = ident("bench", "staff", role.value)
    return row(
        Staff, id=named, userid=role.value, name=role.label, roles=[role.value], branch_id=branch
    )


def _customer(number: int, branch: UUID, now: datetime) -> Customer:
    return row(
        Customer,
        id=ident("bench", "customer", number),
        external_userid=f"wmBENCH{number:025d}",
        name="李女士",
        risk_level=3,
        risk_assessed_at=now - timedelta(days=30),
        branch_id=branch,
        created_at=now,
    )


async def stock(session: AsyncSession, house: House, first: int, until: int, now: datetime) -> None:
    """Put the live materials `first` … `until - 1` on the shelf, with their changes in order."""
    rows = Rows()
    for number in range(first, until):
        _shelve(rows, house, number, now - timedelta(days=1))
    await rows.write(session)


def _shelve(rows: Rows, house: House, number: int, since: datetime) -> None:
    text = text_of(number)
    material = row(
        Material,
        id=ident("bench", "material", number),
        code=f"BENCH-{number:06d}",
        kind=text.kind,
        title=text.title,
        use=Use.ACCOMPANY,
        owner_id=house.editor,
        created_at=since,
    )
    version = row(
        Version,
        id=ident("bench", "version", number),
        material_id=material.id,
        number=1,
        title=text.title,
        body=text.body,
        questions=list(text.questions),
        sha256=hashlib.sha256(text.body.encode()).hexdigest(),
        risk=0,
        state=State.APPROVED,
        author_id=house.editor,
        created_at=since,
        approved_by=house.approver,
        approved_at=since,
        valid_from=since,
        valid_until=since + timedelta(days=180),
        channels=["single_chat", "group"],
    )
    rows.add(material, version, row(LibraryChange, version_id=version.id, live=True, at=since))
    for position, part in enumerate(passages.split(passages.of_body(text.body))):
        rows.add(row(Passage, version_id=version.id, position=position, text=part.text))


@dataclass(frozen=True)
class Text:
    """What one material says."""

    kind: Kind
    title: str
    questions: tuple[str, ...]
    body: str


def text_of(number: int) -> Text:
    """The demo's own text; after all of them, the same subjects for series after series."""
    again, place = divmod(number, on_file_count())
    raw = _on_file()[place]
    named = f"{SERIES[again % len(SERIES)]}{again}号" if again else ""
    title = f"{named}：{raw['title']}" if again else raw["title"]
    questions = tuple(f"{named}{question}" for question in raw["questions"])
    return Text(Kind(raw["kind"]), title, questions, _of_series(named, raw["body"].strip()))


def _of_series(named: str, body: str) -> str:
    if not named:
        return body
    return "\n\n".join(f"关于{named}：{part}" for part in body.split("\n\n"))


def holding(wanted: int) -> int:
    """How many materials it takes for so many passages."""
    found, count = 0, 0
    while found < wanted:
        found += len(passages.split(passages.of_body(text_of(count).body)))
        count += 1
    return count


def on_file_count() -> int:
    """How many texts the demo bank has; every so many numbers the subjects come again."""
    return len(_on_file())


@cache
def _on_file() -> list[dict[str, Any]]:
    return materials_on_file()


@cache
def asked() -> tuple[str, ...]:
    """What customers of the demo bank ask, whether the library has an answer or not."""
    raw = yaml.safe_load(QUESTIONS.read_text("utf-8"))
    return (*(each["ask"] for each in raw["asked"]), *raw["unanswered"])

"""Who belongs to the demo bank: staff, customers, who follows whom, what customers agreed to."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from bank.calendar import at_local, local_day
from bank.models import Branch, Role, Staff
from bot.demo.rows import Rows, fact, ident, row
from compliance.suitability import customer_ceiling, expires_at
from customers.models import (
    Consent,
    CorpTag,
    Customer,
    CustomerTag,
    Follow,
    FollowState,
    Purpose,
    Stage,
)
from customers.tags import WECOM

CUSTOMERS = 400
ADDED_OVER_DAYS = 425
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
PREFIXES = ("130", "135", "136", "137", "138", "139", "150", "158", "159", "182", "186", "188")
TIERS = {"大众": 62, "财富": 29, "私行": 9}
# C1–C5 as risk questionnaires of retail banks come out; older customers are more careful.
RISK_SHARES = {
    "young": (5, 24, 40, 23, 8),
    "middle": (9, 32, 38, 16, 5),
    "retired": (24, 46, 25, 5, 0),
}
NEVER_ASSESSED, EXPIRED = 0.04, 0.06
CONSENTING, WITHDRAWING = 0.82, 0.07
FOLLOWED_TWICE, LOST = 0.03, 0.04
# WeCom's numbers for how two met: the others scanned a code (1).
MET = {"柜面推荐": 2, "客户转介绍": 3}
SCANNED = 1


@cache
def names() -> dict[str, Any]:
    """The lists names, occupations and tags are drawn from."""
    path = Path(__file__).with_name("names.yaml")
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Bond:
    """A follow relation: from when until when this RM may write to the customer."""

    id: UUID
    rm: Staff
    added_at: datetime
    removed_at: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether the two are connected at that moment."""
        return self.added_at <= at and (self.removed_at is None or at < self.removed_at)


@dataclass
class Client:
    """A customer as the other parts of the demo need to know them."""

    row: Customer
    age: int
    bonds: list[Bond]
    easy: bool = False
    consent: Consent | None = None
    held: set[str] = field(default_factory=set)

    @property
    def id(self) -> UUID:
        return self.row.id

    @property
    def salutation(self) -> str:
        """How an RM addresses them: 陈女士."""
        return self.row.name[0] + ("女士" if self.row.gender == 2 else "先生")

    @property
    def first(self) -> Bond:
        """The relation with the RM who looks after them."""
        return self.bonds[0]

    def ceiling(self, at: datetime) -> int:
        """The highest product rating they may be shown at that moment, as the product decides."""
        return customer_ceiling(self.row.risk_level, self.row.risk_assessed_at, at)

    def agrees(self, at: datetime) -> bool:
        """Whether marketing consent is in force."""
        given = self.consent
        if given is None or given.granted_at > at:
            return False
        return given.withdrawn_at is None or given.withdrawn_at > at


@dataclass(frozen=True)
class People:
    """Everybody, by what they are to the bank."""

    branches: list[Branch]
    staff: list[Staff]
    clients: list[Client]

    def having(self, role: Role) -> list[Staff]:
        """Those who hold this role."""
        return [person for person in self.staff if role.value in person.roles]


def people(rows: Rows, today: date, seed: int) -> People:
    """The whole cast, put into `rows`."""
    rng = random.Random(f"people:{seed}")
    branches = [Branch(id=ident("branch", b["code"]), **b) for b in names()["branches"]]
    staff = [_staff(person, branches, today, rng) for person in names()["staff"]]
    rms = [person for person in staff if person.roles == [Role.RM.value]]
    clients = [_client(number, rms, today, rng) for number in range(CUSTOMERS)]
    rows.add(*branches, *staff, *(client.row for client in clients), *_company_tags())
    for client in clients:
        _relate(rows, client, rng)
        _agree(rows, client, today, rng)
        _tag(rows, client, rng)
    return People(branches, staff, clients)


def _company_tags() -> list[CorpTag]:
    """The bank's tags as its WeCom has them, group by group."""
    return [
        row(
            CorpTag,
            tag_id=f"et{ident('corp tag', name).hex}",
            group_id=f"et{ident('corp tag group', group).hex}",
            group_name=group,
            name=name,
        )
        for group, members in names()["tags"]["company"].items()
        for name in members
    ]


def _staff(
    person: dict[str, str], branches: Sequence[Branch], today: date, rng: random.Random
) -> Staff:
    branch = next((b for b in branches if b.code == person.get("branch")), None)
    sells = person["role"] in (Role.RM, Role.BRANCH_MANAGER)
    return row(
        Staff,
        id=ident("staff", person["userid"]),
        userid=person["userid"],
        name=person["name"],
        roles=[person["role"]],
        branch_id=branch.id if branch else None,
        title=person["title"],
        certified_until=today + timedelta(days=rng.randint(60, 900)) if sells else None,
    )


def _client(number: int, rms: Sequence[Staff], today: date, rng: random.Random) -> Client:
    """One customer; the first of each RM is an easy case to play with: C3, fresh, consenting."""
    easy = number < len(rms)
    age = 36 + number if easy else round(min(78, max(24, rng.gauss(47, 13))))
    group = "young" if age < 40 else "middle" if age < 60 else "retired"
    born = today - timedelta(days=round(age * 365.25) + rng.randint(1, 350))
    woman = rng.random() < 0.54
    level, assessed = (3, 240) if easy else _assessment(group, rng)
    rm = rms[number % len(rms)]
    added = _added(number, today, rng)
    customer = row(
        Customer,
        id=ident("customer", number),
        bank_no=f"YZ{620100 + number * 37}",
        external_userid="wm" + "".join(rng.choices(LETTERS, k=30)),
        name=_name(born.year, woman, rng),
        gender=2 if woman else 1,
        born_on=born,
        mobile=f"{rng.choice(PREFIXES)}****{rng.randint(0, 9999):04d}",
        risk_level=level,
        risk_assessed_at=_clock(today - timedelta(days=assessed), rng) if level else None,
        tier="财富" if easy else rng.choices(list(TIERS), list(TIERS.values()))[0],
        occupation=rng.choice(names()["occupations"][group]),
        branch_id=rm.branch_id,
        created_at=added,
    )
    return Client(customer, age, _bonds(customer, rm, rms, today, rng, easy), easy)


def _assessment(group: str, rng: random.Random) -> tuple[int | None, int]:
    """Level and days since the questionnaire; some have none, some an old one."""
    draw = rng.random()
    if draw < NEVER_ASSESSED:
        return None, 0
    level = rng.choices((1, 2, 3, 4, 5), RISK_SHARES[group])[0]
    if draw < NEVER_ASSESSED + EXPIRED:
        return level, rng.randint(372, 560)
    return level, rng.randint(6, 362)


def _added(number: int, today: date, rng: random.Random) -> datetime:
    """When the customer was added: over fourteen months, more of them lately."""
    back = 300 if number < 12 else round(ADDED_OVER_DAYS * rng.random() ** 1.5) + 1
    return _clock(today - timedelta(days=back), rng)


def _clock(day: date, rng: random.Random, first: int = 9, last: int = 17) -> datetime:
    """A moment of that day in opening hours."""
    return at_local(day, time(rng.randint(first, last), rng.randint(0, 59), rng.randint(0, 59)))


def _name(born: int, woman: bool, rng: random.Random) -> str:
    cohorts = names()["given"]
    cohort = next((c for c in cohorts if born <= c["until"]), cohorts[-1])
    surnames = names()["surnames"].split()
    # The first surnames of the list are the most frequent in the country.
    surname = surnames[int(len(surnames) * rng.random() ** 2)]
    given: str = rng.choice(cohort["women" if woman else "men"].split())
    return f"{surname}{given}"


def _bonds(
    customer: Customer,
    rm: Staff,
    rms: Sequence[Staff],
    today: date,
    rng: random.Random,
    easy: bool,
) -> list[Bond]:
    added = customer.created_at
    age = (today - local_day(added)).days
    lost = not easy and age > 40 and rng.random() < LOST
    removed = added + timedelta(days=rng.randint(20, age - 5)) if lost else None
    bonds = [Bond(ident("follow", rm.userid, customer.id), rm, added, removed)]
    if not easy and not lost and age > 60 and rng.random() < FOLLOWED_TWICE:
        near = [other for other in rms if other.branch_id == rm.branch_id and other is not rm]
        second, later = rng.choice(near), _clock(today - timedelta(days=rng.randint(5, 50)), rng)
        bonds.append(Bond(ident("follow", second.userid, customer.id), second, later))
    return bonds


def _relate(rows: Rows, client: Client, rng: random.Random) -> None:
    for bond in client.bonds:
        state = FollowState.ACTIVE
        if bond.removed_at is not None:
            by_rm = rng.random() < 0.2
            state = FollowState.REMOVED_BY_RM if by_rm else FollowState.REMOVED_BY_CUSTOMER
            client.row.stage = Stage.UNINTERESTED if by_rm else Stage.LOST
        note = f"{client.salutation} {rng.choice(names()['remarks'])}"
        source = rng.choice(names()["sources"])
        rows.add(
            row(
                Follow,
                id=bond.id,
                staff_id=bond.rm.id,
                customer_id=client.id,
                state=state,
                added_at=bond.added_at,
                removed_at=bond.removed_at,
                source=source,
                add_way=MET.get(source, SCANNED),
                remark=note if rng.random() < 0.5 else "",
            )
        )


def _agree(rows: Rows, client: Client, today: date, rng: random.Random) -> None:
    """Consent is asked for when the customer is added; some take it back later."""
    if not client.easy and rng.random() > CONSENTING:
        return
    given = client.first.added_at + timedelta(minutes=rng.randint(1, 9))
    days = (today - local_day(given)).days
    leaves = not client.easy and days > 30 and rng.random() < WITHDRAWING
    # Some say TD after the first messages, others much later.
    longest = 6 if rng.random() < 0.4 else days - 2
    taken_back = given + timedelta(days=rng.randint(1, longest)) if leaves else None
    purposes = [Purpose.MARKETING] + [Purpose.PROFILING] * (rng.random() < 0.75)
    for purpose in purposes:
        consent = row(
            Consent,
            id=ident("consent", client.id, purpose.value),
            customer_id=client.id,
            purpose=purpose,
            channel="wecom",
            text_version="2025-09" if given.year == today.year - 1 else "2026-03",
            granted_at=given,
            withdrawn_at=taken_back,
        )
        rows.add(consent)
        if purpose is Purpose.MARKETING:
            client.consent = consent


def _tag(rows: Rows, client: Client, rng: random.Random) -> None:
    by_rule = _facts_as_tags(client, rng)
    by_rm = rng.sample(names()["tags"]["rm"], rng.choices((0, 1, 2), (35, 45, 20))[0])
    told = [(name, "规则") for name in by_rule] + [(name, WECOM) for name in by_rm]
    for name, source in told:
        rows.add(
            fact(
                CustomerTag,
                id=ident("tag", client.id, name),
                customer_id=client.id,
                name=name,
                source=source,
                tagged_at=client.first.added_at + timedelta(minutes=rng.randint(3, 300)),
            )
        )


def _facts_as_tags(client: Client, rng: random.Random) -> list[str]:
    """What a rule would say of this customer."""
    level = client.row.risk_level
    facts = {
        "高净值": client.row.tier == "私行",
        "长者客户": client.age >= 65,
        "稳健偏好": level in (1, 2),
        "进取偏好": level in (4, 5),
        "代发客户": client.age < 60 and rng.random() < 0.25,
    }
    return [name for name, holds in facts.items() if holds]


def assessment_ends(client: Client) -> datetime | None:
    """The last moment the risk assessment counts."""
    assessed = client.row.risk_assessed_at
    return expires_at(assessed) if assessed else None

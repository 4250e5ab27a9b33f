"""Products and material of the demo bank: net asset values, versions with their whole path."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from bank.calendar import at_local
from bank.models import AuditEntry, Role, Staff
from bot.demo import files
from bot.demo.people import People
from bot.demo.rows import Rows, fact, ident, row
from content import checks, passages, products, roads, steps
from content.drafts import category_of
from content.materials import fingerprint
from content.models import (
    Kind,
    LibraryChange,
    Material,
    MaterialProduct,
    Nav,
    Passage,
    Product,
    ProductKind,
    SaleStatus,
    State,
    Use,
    Version,
)
from content.particulars import Card, Particulars
from content.review_models import ReviewStep

# Demo material speaks of a product as its subject (主讲).
ABOUT_IT = 3
HERE = Path(__file__).parent
TRADING_DAYS = 243
# Days before today. The launch wave stays valid for more than a month from now.
LAUNCH = 334
EXPIRING = {"FAQ-013": (356, 9), "MKT-009": (348, 17), "EDU-007": (339, 26)}
SUBMITTED = {"MKT-012": 1, "EDU-019": 2, "SCR-012": 4}
DRAFTS = {"PRD-029": 6, "MKT-013": 2}
REJECTED = {
    "MKT-005": (21, "对金价的描述容易被理解为走势判断，请改为只讲影响因素，并补充不确定性说明。"),
    "PRD-034": (12, "“适合哪些客户”缺少风险等级匹配的前提，请写明须按有效测评结果匹配后重新提交。"),
}
WITHDRAWN = {
    "PRD-006": (190, "产品已结束募集，说明下线；持有人到期安排另行通知。"),
    "PRD-007": (142, "产品已结束募集并封闭运作，停止对外介绍。"),
}
REVISED = {"FAQ-005": 118, "PRD-001": 74}


@dataclass(frozen=True)
class Paper:
    """A version with what decides where it may be quoted."""

    material: Material
    version: Version
    passages: tuple[str, ...]
    about: tuple[Product, ...]

    def usable(self, at: datetime, ceiling: int, branch_id: UUID | None) -> bool:
        """Whether an RM may send it in a chat at that moment to a customer of that ceiling."""
        version = self.version
        if version.valid_from is None or version.valid_until is None:
            return False
        ends = min(version.valid_until, version.ended_at or version.valid_until)
        here = version.branch_ids is None or branch_id in version.branch_ids
        sold = all(product.sale_status is SaleStatus.ON_SALE for product in self.about)
        return version.valid_from <= at < ends and version.risk <= ceiling and here and sold

    @property
    def codes(self) -> set[str]:
        """Codes of the products it speaks of."""
        return {product.code for product in self.about}


@dataclass(frozen=True)
class Shelf:
    """Everything on the shelves of the bank."""

    products: dict[str, Product]
    papers: dict[str, list[Paper]]  # by material code, oldest version first
    beside: dict[str, Paper]  # pictures, files and cards, by material code

    def paper(self, code: str, at: datetime) -> Paper | None:
        """The version of that material that was in force at that moment."""
        live = [p for p in self.papers[code] if p.usable(at, 5, None) or _for_some(p, at)]
        return live[-1] if live else None


def _for_some(paper: Paper, at: datetime) -> bool:
    branches = paper.version.branch_ids or []
    return any(paper.usable(at, 5, branch) for branch in branches)


def shelves(rows: Rows, cast: People, today: date, seed: int) -> Shelf:
    """Products, net asset values and every material with its path, put into `rows`."""
    stock = {p.code: p for p in _products(rows, today, seed)}
    rng = random.Random(f"library:{seed}")
    desk = _Desk(rows, cast, stock, today, rng)
    papers = {raw["code"]: desk.publish(raw) for raw in materials_on_file()}
    # Drawn by dice of their own: one more of them leaves the rest of the library as it is.
    desk.rng = random.Random(f"attachments:{seed}")
    beside = {raw["code"]: desk.publish(raw) for raw in files.listed()}
    _tell_projections(rows, papers | beside)
    return Shelf(stock, papers, {code: found[-1] for code, found in beside.items()})


def _told(raw: dict[str, Any], about: Sequence[Product], author: Staff) -> dict[str, Any]:
    """What a script says of itself, and a picture, file or card; other material says nothing."""
    if not {"category", "file", "card"} & raw.keys():
        return {}
    linked = tuple((code, ABOUT_IT) for code in sorted(product.code for product in about))
    told = Particulars(
        kind=raw["kind"],
        use=raw["purpose"],
        owner=author.userid,
        channels=tuple(raw["channels"]),
        products=linked,
        category=category_of(raw.get("category", "")),
        ai_made=raw.get("ai_made", False),
        card=Card(**raw.get("card", {})),
    )
    return told.stored()


def materials_on_file() -> list[dict[str, Any]]:
    """The materials as written, by code."""
    sheets = sorted((HERE / "materials").glob("*.yaml"))
    found = [raw for sheet in sheets for raw in yaml.load(sheet.read_text("utf-8"), _Loader)]
    return sorted(found, key=lambda raw: str(raw["code"]))


# The C loader reads the shelf four times faster where it is built in.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _products(rows: Rows, today: date, seed: int) -> list[Product]:
    found = []
    for raw in yaml.load((HERE / "products.yaml").read_text("utf-8"), _Loader):
        nav = raw.pop("nav", None)
        raw["kind"] = ProductKind(raw["kind"])
        raw["sale_status"] = SaleStatus(raw["sale_status"])
        product = row(
            Product, id=ident("product", raw["code"]), listed_from=raw["inception"], **raw
        )
        found.append(product)
        rows.add(product)
        if nav:
            rows.add(*_nav_series(product, nav, today, seed))
    return found


def _nav_series(product: Product, nav: dict[str, float], today: date, seed: int) -> list[Nav]:
    """A value for each weekday from the start of the product to yesterday."""
    rng = random.Random(f"nav:{product.code}:{seed}")
    drift = math.log1p(nav["annual_drift"]) / TRADING_DAYS
    swing = nav["annual_volatility"] / math.sqrt(TRADING_DAYS)
    value, series = float(nav["start"]), []
    for days in range((today - product.inception).days):
        day = product.inception + timedelta(days=days)
        if day.weekday() < 5:
            series.append(fact(Nav, product_id=product.id, on=day, value=Decimal(f"{value:.6f}")))
            value *= math.exp(drift - swing * swing / 2 + swing * rng.gauss(0, 1))
    return series


@dataclass(frozen=True)
class _Path:
    """What a version goes through, in days before today."""

    state: State
    approved: int = 0
    valid_days: int = 365
    ended: int | None = None
    reason: str = ""


@dataclass
class _Desk:
    """The editorial office at work."""

    rows: Rows
    cast: People
    stock: dict[str, Product]
    today: date
    rng: random.Random
    minute: int = 0  # of the material at hand: two of them are not saved in the same minute

    def publish(self, raw: dict[str, Any]) -> list[Paper]:
        """The material and its versions, each with passages and audit lines."""
        author = self.rng.choice(self.cast.having(Role.EDITOR))
        self.minute = self.rng.randrange(60)
        given = raw.get("approved")
        paths = [_Path(State.APPROVED, given)] if given else self._paths(raw["code"])
        about = [self.stock[code] for code in raw["products"]]
        created = self._moment(_first_day(paths[0]), 9)
        material = row(
            Material,
            id=ident("material", raw["code"]),
            code=raw["code"],
            kind=Kind(raw["kind"]),
            title=raw["title"],
            use=Use(raw["purpose"]),
            owner_id=author.id,
            created_at=created,
        )
        self.rows.add(material)
        self.rows.add(
            *(
                fact(MaterialProduct, material_id=material.id, product_id=p.id, strength=ABOUT_IT)
                for p in about
            )
        )
        self._note("content:material:create", material.id, author.userid, created)
        bodies = [raw["body"].strip()] * len(paths)
        if len(paths) == 2:
            bodies[0] = _shorter(bodies[1])
        return [
            self._version(raw, material, number, body, path, about, author)
            for number, (body, path) in enumerate(zip(bodies, paths, strict=True), 1)
        ]

    def _paths(self, code: str) -> list[_Path]:
        """Most are live since the launch or since some month after it."""
        if code in SUBMITTED:
            return [_Path(State.SUBMITTED, SUBMITTED[code])]
        if code in DRAFTS:
            return [_Path(State.DRAFT, DRAFTS[code])]
        if code in REJECTED:
            days, reason = REJECTED[code]
            return [_Path(State.REJECTED, days, ended=days, reason=reason)]
        if code in WITHDRAWN:
            days, reason = WITHDRAWN[code]
            return [_Path(State.WITHDRAWN, 330, ended=days, reason=reason)]
        if code in EXPIRING:
            approved, left = EXPIRING[code]
            return [_Path(State.APPROVED, approved, approved + left)]
        if code in REVISED:
            days = REVISED[code]
            return [_Path(State.SUPERSEDED, 330, ended=days), _Path(State.APPROVED, days)]
        return [self._since_when(code)]

    def _since_when(self, code: str) -> _Path:
        if code.startswith(("SOP", "WEL")) or self.rng.random() < 0.6:
            return _Path(State.APPROVED, self.rng.randint(316, LAUNCH))
        approved = self.rng.randint(20, 300)
        fitting = [days for days in (180, 270, 365) if days - approved > 31]
        return _Path(State.APPROVED, approved, self.rng.choice(fitting))

    def _version(
        self,
        raw: dict[str, Any],
        material: Material,
        number: int,
        body: str,
        path: _Path,
        about: Sequence[Product],
        author: Staff,
    ) -> Paper:
        told, data = _told(raw, about, author), files.data_of(raw)
        created = self._moment(_first_day(path), 10 if number == 1 else 11)
        if data is not None:
            self.rows.add(files.stored(raw, data, author.id, created))
        version = row(
            Version,
            id=ident("version", raw["code"], number),
            material_id=material.id,
            number=number,
            title=raw["title"],
            body=body,
            questions=list(raw["questions"]),
            sha256=fingerprint(raw["title"], body, raw["questions"], data, told),
            file_id=None if data is None else files.file_id(raw["code"]),
            particulars=told,
            risk=products.highest_rating(about),
            author_id=author.id,
            created_at=created,
        )
        self._note(
            "content:version:draft", version.id, author.userid, version.created_at,
            number=number, sha256=version.sha256,
        )  # fmt: skip
        self._walk(version, path, about, author, raw["channels"])
        cut = [part.text for part in passages.split(passages.of_body(body))]
        self.rows.add(version)
        self.rows.add(
            *(
                fact(
                    Passage,
                    id=ident("passage", version.id, position),
                    version_id=version.id,
                    position=position,
                    text=text,
                    place="",
                )
                for position, text in enumerate(cut)
            )
        )
        return Paper(material, version, tuple(cut), tuple(about))

    def _walk(
        self,
        version: Version,
        path: _Path,
        about: Sequence[Product],
        author: Staff,
        channels: Sequence[str],
    ) -> None:
        """Submitted, judged and ended as the path says, with the lines the review would write."""
        if path.state is State.DRAFT:
            return
        found = checks.findings_of(version.title, version.body, about)
        version.findings = [finding.stored() for finding in found]
        version.submitted_at = self._moment(path.approved, 14)
        version.state = State.SUBMITTED
        self._moved(version, "submit", author, version.submitted_at, sha256=version.sha256)
        if path.state is State.SUBMITTED:
            self.rows.add(*_steps(version, about, found))
            return
        reviewer = self.rng.choice(self.cast.having(Role.APPROVER))
        if path.state is State.REJECTED:
            version.state, version.reason = path.state, path.reason
            version.ended_at = self._moment(path.approved, 16)
            self._moved(version, "reject", reviewer, version.ended_at, reason=path.reason)
            return
        self._approve(version, path, reviewer, channels)
        if path.ended is not None:
            self._end(version, path, reviewer)

    def _approve(
        self, version: Version, path: _Path, reviewer: Staff, channels: Sequence[str]
    ) -> None:
        at = self._moment(path.approved, 16)
        until = at_local(self.today - timedelta(days=path.approved - path.valid_days), time())
        version.state = State.APPROVED
        version.approved_by, version.approved_at = reviewer.id, at
        version.valid_from, version.valid_until = at, until
        version.channels = list(channels)
        version.branch_ids = self._branches(version.title)
        self._moved(
            version, "approve", reviewer, at,
            sha256=version.sha256, valid_from=at.isoformat(), valid_until=until.isoformat(),
            channels=version.channels,
            branches="all" if version.branch_ids is None else [str(b) for b in version.branch_ids],
        )  # fmt: skip

    def _branches(self, title: str) -> list[UUID] | None:
        """One appointment text is for two branches only: the third keeps other hours."""
        if title != "预约到店办理业务":
            return None
        return [branch.id for branch in self.cast.branches[:2]]

    def _end(self, version: Version, path: _Path, reviewer: Staff) -> None:
        assert path.ended is not None
        version.state, version.reason = path.state, path.reason
        version.ended_at = self._moment(path.ended, 16)
        if path.state is State.SUPERSEDED:
            self._moved(version, "supersede", reviewer, version.ended_at, by_number=2)
            return
        compliance = self.cast.having(Role.COMPLIANCE)[0]
        self._moved(version, "withdraw", compliance, version.ended_at, reason=path.reason)

    def _moved(
        self, version: Version, verb: str, by: Staff, at: datetime, **detail: object
    ) -> None:
        about: dict[str, object] = {
            "material_id": str(version.material_id), "number": version.number
        }  # fmt: skip
        self._note(f"content:version:{verb}", version.id, by.userid, at, **about, **detail)

    def _note(self, action: str, subject: UUID, by: str, at: datetime, **detail: object) -> None:
        self.rows.add(line(action, subject, by, at, **detail))

    def _moment(self, days: int, hour: int) -> datetime:
        """A moment so many days ago in office hours, the same for the same step of a path."""
        return at_local(self.today - timedelta(days=days), time(hour, self.minute, days % 60))


def _steps(
    version: Version, about: Sequence[Product], found: Sequence[checks.Finding]
) -> list[ReviewStep]:
    """The steps the review lays out at submission, the first one open."""
    risk = roads.risk_of(about, found, f"{version.title}\n{version.body}")
    laid = [
        row(
            ReviewStep,
            id=ident("review_step", version.id, position),
            version_id=version.id,
            author_id=version.author_id,
            position=position,
            desk=step.desk,
            risk=risk,
            hours=step.hours,
            checks=list(step.checks),
        )
        for position, step in enumerate(roads.USUAL[risk], 1)
    ]
    assert version.submitted_at is not None
    steps.open_step(laid[0], version.submitted_at)
    return laid


def _first_day(path: _Path) -> int:
    """Days before today on which the version was written."""
    return path.approved + (3 if path.approved > 30 else 1)


def _shorter(body: str) -> str:
    """The first version of a text that later got a paragraph more."""
    parts = body.split("\n\n")
    return "\n\n".join([parts[0], parts[-1]])


def line(
    action: str, subject_id: UUID | str, by: str, at: datetime, **detail: object
) -> AuditEntry:
    """A line of the audit book as `bank.audit.record` writes it."""
    return fact(
        AuditEntry,
        at=at,
        actor=by,
        action=action,
        subject=action.split(":")[1],
        subject_id=str(subject_id),
        detail=detail,
    )


def _tell_projections(rows: Rows, papers: dict[str, list[Paper]]) -> None:
    """One change for each version that went live and one for each that ended, in order of time."""
    changes = []
    for versions in papers.values():
        for paper in versions:
            version = paper.version
            if version.approved_at is not None:
                changes.append((version.approved_at, 1, version.id, True))
                if version.ended_at is not None:
                    changes.append((version.ended_at, 0, version.id, False))
    for at, _, version_id, live in sorted(changes, key=lambda c: (c[0], c[1], c[2].hex)):
        rows.add(fact(LibraryChange, version_id=version_id, live=live, at=at))

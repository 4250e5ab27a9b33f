"""Which materials a list is asked for and in what order, as conditions for the database."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from bank.models import Staff
from content import products
from content.models import Kind, Material, MaterialProduct, Product, State, Use, Version

ENDING_SOON = timedelta(days=30)
ENDED_LATELY = timedelta(days=30)
PAGE_SIZES = (10, 20, 50)
STATES = (
    ("draft", "草稿"),
    ("submitted", "待审"),
    ("rejected", "已驳回"),
    ("returned", "退回修改"),
    ("approved", "已上线"),
    ("expiring", "即将到期"),
    ("suspended", "已暂停"),
    ("ended", "已过期或下线"),
)
VALIDITY = (
    ("valid", "有效期内"),
    ("7", "7 天内到期"),
    ("30", "30 天内到期"),
    ("90", "90 天内到期"),
    ("ended", "近 30 天已到期"),
)
SORTS = ("updated", "title", "ends")

Newest = aliased(Version, name="newest")
Live = aliased(Version, name="live")


@dataclass(frozen=True)
class Wanted:
    """The filter of the list, as typed."""

    kind: str = ""
    state: str = ""
    product: str = ""
    text: str = ""
    page: int = 1
    use: str = ""
    category: str = ""  # the first level of the way through the tree of scripts
    validity: str = ""
    owner: str = ""  # userid
    sort: str = "-updated"  # with a minus: largest first
    size: int = 20


def live_now(now: datetime) -> list[ColumnElement[bool]]:
    """Conditions on `Live`."""
    return [
        col(Live.state) == State.APPROVED,
        col(Live.suspended_at).is_(None),
        col(Live.valid_from) <= now,
        col(Live.valid_until) > now,
    ]


def filters(wanted: Wanted, shown: type[Version], now: datetime) -> list[ColumnElement[bool]]:
    """Conditions on the rows of the list; what is not known filters nothing."""
    found: list[ColumnElement[bool]] = []
    if wanted.kind in list(Kind):
        found.append(col(Material.kind) == Kind(wanted.kind))
    if wanted.use in list(Use):
        found.append(col(Material.use) == Use(wanted.use))
    if wanted.category:
        found.append(col(shown.particulars)[("category", "0")].as_string() == wanted.category)
    if wanted.state:
        found.append(_in_state(wanted.state, shown, now))
    if wanted.validity in dict(VALIDITY):
        found.append(_in_validity(wanted.validity, shown, now))
    if wanted.owner:
        theirs = select(Staff.id).where(Staff.userid == wanted.owner)
        found.append(col(Material.owner_id).in_(theirs))
    if wanted.product:
        found.append(col(Material.id).in_(_speaking_of(wanted.product)))
    if wanted.text:
        found.append(_holding(wanted.text, shown))
    return found


def _speaking_of(code: str) -> Any:
    return (
        select(MaterialProduct.material_id)
        .join(Product, col(Product.id) == MaterialProduct.product_id)
        .where(Product.code == code)
    )


def _holding(text: str, shown: type[Version]) -> ColumnElement[bool]:
    like = f"%{products.escaped(text)}%"
    return or_(
        col(Material.code).ilike(like),
        col(shown.title).ilike(like),
        col(shown.body).ilike(like),
        func.array_to_string(col(shown.questions), "\n").ilike(like),
    )


def _in_state(state: str, shown: type[Version], now: datetime) -> ColumnElement[bool]:
    newest = col(shown.state)
    if state == "approved":
        return col(Live.id).is_not(None)
    if state == "expiring":
        return col(Live.valid_until) <= now + ENDING_SOON
    if state == "suspended":
        return and_(newest == State.APPROVED, col(shown.suspended_at).is_not(None))
    if state == "ended":
        over = newest.in_([State.WITHDRAWN, State.EXPIRED])
        return or_(over, and_(newest == State.APPROVED, col(shown.valid_until) <= now))
    if state in ("draft", "submitted", "rejected", "returned"):
        return newest == State(state)
    return col(Material.id).is_not(None)


def _in_validity(validity: str, shown: type[Version], now: datetime) -> ColumnElement[bool]:
    if validity == "valid":
        return col(Live.id).is_not(None)
    if validity == "ended":
        return and_(
            col(Live.id).is_(None),
            col(shown.state).in_([State.APPROVED, State.EXPIRED]),
            col(shown.valid_until) <= now,
            col(shown.valid_until) > now - ENDED_LATELY,
        )
    return col(Live.valid_until) <= now + timedelta(days=int(validity))


def order(sort: str, only_live: bool) -> list[Any]:
    """How the rows follow one another; equal ones by code, so that a page never repeats a row."""
    name = sort.removeprefix("-")
    shown = Live if only_live else Newest
    by: dict[str, Any] = {
        "updated": col(shown.created_at),
        "title": col(shown.title),
        "ends": func.coalesce(col(Live.valid_until), col(Newest.valid_until)),
    }
    key = by[name if name in SORTS else "updated"]
    return [
        key.desc().nulls_last() if sort.startswith("-") else key.nulls_last(),
        col(Material.code),
    ]

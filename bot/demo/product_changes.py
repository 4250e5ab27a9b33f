"""Changes of the demo bank's products: what was confirmed, what the master said, what waits."""

from datetime import date, datetime, time, timedelta
from typing import Any

from bank import audit
from bank.calendar import at_local
from bank.models import Role, Staff
from bot.demo.library import Shelf, line
from bot.demo.people import People
from bot.demo.rows import Rows, fact, ident
from content.models import ChangeState, Product, ProductChange

MASTER = "产品主数据"


def product_changes(rows: Rows, cast: People, shelf: Shelf, today: date) -> None:
    """A benchmark two people changed, a sale the master paused, and a rating that waits."""
    at = _Moments(today)
    stock, hq, compliance = shelf.products, *_two(cast)
    sold = stock["YZ-YX90"]
    lower = {"benchmark": ["1.90%–2.40%", sold.benchmark or ""]}
    _add(
        rows, sold, lower, "管理人公告：按三季度市场利率下调业绩比较基准。",
        state=ChangeState.CONFIRMED, proposed_by=hq.id, proposed_at=at(352, 10),
        decided_by=compliance.id, decided_at=at(352, 15),
    )  # fmt: skip
    _told(rows, sold, "propose", hq.userid, at(352, 10), lower)
    _told(rows, sold, "confirm", compliance.userid, at(352, 15), lower)
    paused, stop = stock["YZ-TTJ02"], {"sale_status": ["on_sale", "suspended"]}
    _add(
        rows, paused, stop, "", source=MASTER, state=ChangeState.CONFIRMED,
        proposed_at=at(120, 8), decided_at=at(120, 8),
    )  # fmt: skip
    _told(rows, paused, "take_over", audit.SYSTEM, at(120, 8), stop, source=MASTER)
    waits, rated = stock["YZ-YX30"], {"bank_rating": ["2", "3"]}
    _add(
        rows, waits, rated, "本行四季度复评：组合久期拉长，建议上调一级。",
        state=ChangeState.PROPOSED, proposed_by=hq.id, proposed_at=at(1, 16),
    )  # fmt: skip
    _told(rows, waits, "propose", hq.userid, at(1, 16), rated)


class _Moments:
    """So many days ago, at that hour."""

    def __init__(self, today: date) -> None:
        self.today = today

    def __call__(self, days: int, hour: int) -> datetime:
        return at_local(self.today - timedelta(days=days), time(hour, 20))


def _two(cast: People) -> tuple[Staff, Staff]:
    return cast.having(Role.HQ)[0], cast.having(Role.COMPLIANCE)[0]


NOTHING: dict[str, Any] = {
    "source": "",
    "proposed_by": None,
    "decided_by": None,
    "decided_at": None,
    "note": "",
}


def _add(
    rows: Rows, product: Product, fields: dict[str, list[str]], reason: str, **known: Any
) -> None:
    facts = NOTHING | known | {"fields": fields, "reason": reason, "product_id": product.id}
    rows.add(fact(ProductChange, id=_id(product, fields), **facts))


def _id(product: Product, fields: dict[str, list[str]]) -> Any:
    return ident("product_change", f"{product.code}:{','.join(fields)}")


def _told(
    rows: Rows,
    product: Product,
    verb: str,
    by: str,
    moment: datetime,
    fields: dict[str, list[str]],
    **detail: object,
) -> None:
    told = {"change_id": str(_id(product, fields)), "fields": fields, **detail}
    rows.add(line(f"content:product:{verb}", product.code, by, moment, **told))

"""Files of products and values: taken in once, by the bank's system or by a person."""

import csv
import io
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank import audit, sheets
from bank.models import Role, Staff
from bank.settings import Settings
from bot.importing import UnreadableFile, import_file
from content import product_changes, product_history, product_imports, products
from content.models import ChangeState, Nav, Product, SaleStatus
from content.product_imports import Master, TakenIn, Uploader
from tests.builders import MONDAY, a_product, a_staff, an_approved_material

CORE = Master("产品主数据")
ROW: dict[str, Any] = {
    "产品代码": "YX-90",
    "产品名称": "云岫90天",
    "产品类型": "银行理财",
    "发行机构": "云州理财有限责任公司",
    "发行机构评级": "R2",
    "本行评级": 2,
    "适当性规则": "NFRA",
    "募集方式": "公募",
    "是否代销": "是",
    "期限天数": "90天",
    "开放规则": "每个工作日开放",
    "起购金额": "10,000.00",
    "费用": "管理费 0.20%/年",
    "业绩比较基准": "1.60%–2.10%",
    "基准依据": "依据存单利率测算",
    "成立日": "2024/01/08",
    "赎回规则": "下一工作日到账",
    "产品说明": "固定收益类",
    "销售状态": "在售",
    "名单生效日": "2024-01-08",
    "名单移出日": "",
}


async def taken(
    session: AsyncSession, *rows: Mapping[str, Any], speaker: Master | Uploader = CORE
) -> TakenIn:
    return await product_imports.ingest(session, rows, speaker=speaker, now=MONDAY)


@pytest.fixture
async def editor(session: AsyncSession) -> Staff:
    return await a_staff(session, Role.EDITOR, name="周编")


async def test_a_product_of_the_master_file_is_there_whole_and_once(session: AsyncSession) -> None:
    outcome = await taken(session, ROW)
    assert outcome.counts() == {"read": 1, "new": 1, "changed": 0, "same": 0, "rejected": 0}
    product = await products.by_code(session, "YX-90")
    assert product is not None
    assert (product.rating, product.term_days, product.min_amount_cents) == (2, 90, 1_000_000)
    assert (product.inception, product.is_listed(MONDAY.date())) == (date(2024, 1, 8), True)
    again = await taken(session, {"code": "YX-90", "sale_status": "on_sale"}, {"code": "YX-90"})
    assert again.counts()["new"] == 0
    assert (await taken(session, ROW)).counts()["same"] == 1


async def test_a_changed_master_row_is_in_force_at_once_with_its_history(
    session: AsyncSession,
) -> None:
    await taken(session, ROW)
    sold = await products.by_code(session, "YX-90")
    assert sold is not None
    version = await an_approved_material(session, risk=2, products=[sold])
    outcome = await taken(session, ROW | {"本行评级": "R4", "销售状态": "暂停"})
    assert outcome.counts()["changed"] == 1
    assert (sold.rating, sold.sale_status) == (4, SaleStatus.SUSPENDED)
    assert outcome.suspended == [version]
    [entry] = await product_history.of_product(session, sold.id)
    assert (entry.change.state, entry.proposer) == (ChangeState.CONFIRMED, "主数据（产品主数据）")
    assert [(d.label, d.old, d.new) for d in entry.differences] == [
        ("本行评级", "R2", "R4"),
        ("销售状态", "在售", "暂停"),
    ]
    assert (await taken(session, ROW | {"本行评级": "R4", "销售状态": "暂停"})).counts()[
        "same"
    ] == 1
    assert len(await product_history.of_product(session, sold.id)) == 1


async def test_columns_a_file_does_not_have_stay_as_they_are(session: AsyncSession) -> None:
    await taken(session, ROW)
    outcome = await taken(session, {"code": "YX-90", "fees": "免收", "benchmark": ""})
    assert outcome.counts()["changed"] == 1
    product = await products.by_code(session, "YX-90")
    assert product is not None
    assert (product.fees, product.benchmark, product.term_days) == ("免收", None, 90)


async def test_a_column_of_cents_is_not_taken_for_yuan(session: AsyncSession) -> None:
    row = {name: cell for name, cell in ROW.items() if name != "起购金额"}
    outcome = await taken(session, row | {"min_amount_cents": "1000000"})
    assert outcome.rejects[0]["reason"] == "新产品缺少起购金额"
    assert (await taken(session, row | {"min_amount": "10000"})).counts()["new"] == 1
    product = await products.by_code(session, "YX-90")
    assert product is not None
    assert product.min_amount_cents == 1_000_000


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"产品代码": "a b"}, "产品代码须为"),
        ({"产品代码": "import"}, "产品代码须为"),
        ({"发行机构评级": ""}, "发行机构评级“”：不能为空"),
        ({"本行评级": "R6"}, "请填写 R1 至 R5"),
        ({"成立日": "去年"}, "请写成 2026-11-20"),
        ({"是否代销": "也许"}, "请填写“是”或“否”"),
        ({"产品类型": "股票"}, "银行理财、公募基金、保险、存款类之一"),
        ({"基准依据": ""}, "依据和方法"),
        ({"名单移出日": "2023-01-01"}, "必须晚于名单生效日"),
        ({"起购金额": "1.234"}, "以元为单位"),
        ({"期限天数": "0"}, "无固定期限的留空"),
    ],
)
async def test_a_row_that_cannot_be_is_rejected_in_words(
    session: AsyncSession, changed: dict[str, Any], says: str
) -> None:
    outcome = await taken(session, ROW | changed)
    assert outcome.counts() == {"read": 1, "new": 0, "changed": 0, "same": 0, "rejected": 1}
    assert says in outcome.rejects[0]["reason"]
    assert outcome.rejects[0]["产品名称"] == "云岫90天"


async def test_a_new_product_needs_every_fact_and_one_code_speaks_once(
    session: AsyncSession,
) -> None:
    bare = await taken(session, {"code": "NEW", "name": "新产品"})
    assert bare.rejects[0]["reason"].startswith("新产品缺少产品类型、发行机构")
    outcome = await taken(session, ROW, ROW, ROW | {"费用": "免收"})
    assert outcome.counts() == {"read": 3, "new": 1, "changed": 0, "same": 1, "rejected": 1}
    assert outcome.rejects[0]["reason"] == product_imports.TWICE


# ------------------------------------------------------------------------------------- a person's


async def test_what_a_person_uploads_waits_for_another_one(
    session: AsyncSession, editor: Staff
) -> None:
    await taken(session, ROW)
    sold = await products.by_code(session, "YX-90")
    assert sold is not None
    speaker = Uploader(editor, "批量更新")
    outcome = await taken(session, ROW | {"本行评级": "R3"}, speaker=speaker)
    assert (outcome.counts()["changed"], outcome.waiting, sold.rating) == (1, ["YX-90"], 2)
    again = await taken(session, ROW | {"本行评级": "R3"}, speaker=speaker)
    assert again.counts()["same"] == 1
    other = await taken(session, ROW | {"本行评级": "R5"}, speaker=speaker)
    assert other.rejects[0]["reason"] == product_changes.WAITS
    assert len(await product_history.of_product(session, sold.id)) == 1


async def test_a_persons_new_product_is_off_the_list_until_confirmed(
    session: AsyncSession, editor: Staff
) -> None:
    outcome = await taken(session, ROW, speaker=Uploader(editor, "新产品上架"))
    assert (outcome.counts()["new"], outcome.waiting) == (1, ["YX-90"])
    product = await products.by_code(session, "YX-90")
    assert product is not None
    assert not product.is_listed(MONDAY.date())
    [entry] = await product_history.of_product(session, product.id)
    compliance = await a_staff(session, Role.COMPLIANCE)
    await product_changes.confirm(session, entry.change.id, by=compliance, now=MONDAY)
    assert product.is_listed(MONDAY.date())


# ---------------------------------------------------------------------------------------- values


async def values(session: AsyncSession, *rows: Mapping[str, Any]) -> sheets.Outcome:
    return await product_imports.ingest_nav(
        session, rows, source="估值系统", by=audit.SYSTEM, now=MONDAY
    )


async def test_values_are_taken_once_and_corrected_with_a_line_in_the_book(
    session: AsyncSession,
) -> None:
    code = (await a_product(session)).code
    first = {"code": code, "on": datetime(2026, 11, 20), "value": 1.0213}  # noqa: DTZ001
    second = {"产品代码": code, "日期": "2026-11-19", "单位净值": "1.0210"}
    outcome = await values(session, first, second)
    assert outcome.counts() == {"read": 2, "new": 2, "changed": 0, "same": 0, "rejected": 0}
    assert (await values(session, first, second)).counts()["same"] == 2
    outcome = await values(session, first | {"value": "1.0214"}, second)
    assert (outcome.counts()["changed"], outcome.counts()["same"]) == (1, 1)
    stored = (await session.execute(select(Nav.value).order_by(Nav.on))).scalars()
    assert list(stored) == [Decimal("1.021000"), Decimal("1.021400")]
    *_, line = await audit.history(session, "nav", "估值系统")
    assert line.detail["corrections"] == [f"{code} 2026-11-20 1.021300 → 1.021400"]


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"code": "NONE"}, product_imports.UNKNOWN),
        ({"on": "2026-11-24"}, "晚于今天"),
        ({"on": "2024-01-07"}, product_imports.BEFORE_START),
        ({"on": "昨天"}, "无法识别"),
        ({"value": "0"}, "大于 0"),
        ({"value": "-1"}, "大于 0"),
        ({"value": "1.00000001"}, "最多六位小数"),
        ({"value": "NaN"}, "大于 0"),
        ({"value": ""}, "缺少单位净值"),
    ],
)
async def test_a_value_that_cannot_be_is_rejected_in_words(
    session: AsyncSession, changed: dict[str, str], says: str
) -> None:
    code = (await a_product(session)).code
    good = {"code": code, "on": "2026-11-20", "value": "1.02"}
    outcome = await values(session, good | changed, good, good, good | {"value": "1.03"})
    assert outcome.counts() == {"read": 4, "new": 1, "changed": 0, "same": 1, "rejected": 2}
    assert says in outcome.rejects[0]["reason"]
    assert outcome.rejects[1]["reason"] == product_imports.TWICE_A_DAY


# ------------------------------------------------------------------------------------ siyu import


def a_csv(*rows: Mapping[str, Any]) -> bytes:
    sink = io.StringIO(newline="")
    writer = csv.DictWriter(sink, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode("utf-8-sig")


async def test_the_verb_counts_stores_and_leaves_the_rejects_beside_the_file(
    settings: Settings, session: AsyncSession, tmp_path: Path
) -> None:
    file = tmp_path / "products.csv"
    file.write_bytes(a_csv(ROW, ROW | {"产品代码": "YX-91", "本行评级": "=R9"}))
    tried = await import_file(settings, "products", file, "core", dry_run=True)
    assert (tried["new"], tried["rejected"]) == (1, 1)
    assert list((await session.execute(select(Product))).scalars()) == []
    counts = await import_file(settings, "products", file, "core", dry_run=False)
    assert counts == {"read": 2, "new": 1, "changed": 0, "same": 0, "rejected": 1}
    rejects = (tmp_path / "products.csv.rejects.csv").read_text("utf-8-sig")
    assert "'=R9" in rejects
    assert "请填写 R1 至 R5" in rejects

    book = Workbook()
    assert book.active is not None
    book.active.append(["code", "date", "nav"])
    book.active.append(["YX-90", datetime(2024, 5, 20), 1.0213])  # noqa: DTZ001
    book.save(tmp_path / "nav.xlsx")
    counts = await import_file(settings, "nav", tmp_path / "nav.xlsx", "core", dry_run=False)
    assert counts == {"read": 1, "new": 1, "changed": 0, "same": 0, "rejected": 0}
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UnreadableFile, match="表头缺少：产品代码"):
        await import_file(settings, "nav", tmp_path / "x.csv", "core", dry_run=False)

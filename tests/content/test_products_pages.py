"""产品库 in use: the list, one product, a change by two people, files, an import."""

import re
from datetime import date
from typing import Any

import aiohttp
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from bank.models import Role
from content import products
from content.models import ChangeState, Nav, ProductChange, Version
from content.models import Product as Sold
from content.product_rows import written
from tests.builders import MONDAY, a_product, an_approved_material
from tests.conftest import Product, Visitor
from tests.content import papers
from tests.content.test_pages import form, staff_of
from tests.content.test_products_import import ROW, a_csv

BENCHMARK = {"benchmark": "1.60%–2.10%", "benchmark_basis": "依据存单利率测算。"}


@pytest.fixture
async def sold(session: AsyncSession) -> Sold:
    product = await a_product(session, rating=2)
    product.benchmark, product.benchmark_basis = BENCHMARK.values()
    await session.commit()
    return product


async def one_with(session: AsyncSession, product: Product, *roles: Role, name: str) -> Visitor:
    return await product.client(await staff_of(session, *roles, name=name))


async def fresh(session: AsyncSession, sold: Sold) -> Sold:
    await session.refresh(sold)
    return sold


async def the_change(session: AsyncSession) -> ProductChange:
    rows = select(ProductChange).execution_options(populate_existing=True)
    return (await session.execute(rows)).scalars().one()


def edited(sold: Sold, **changed: str) -> dict[str, str]:
    return written(sold) | {"reason": "管理人公告 2026-11-20"} | changed


async def test_a_change_goes_from_the_form_to_being_in_force(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    version = await an_approved_material(session, title="产品说明", risk=2, products=[sold])
    editor = await one_with(session, product, Role.EDITOR, name="周编")
    compliance = await one_with(session, product, Role.COMPLIANCE, name="孙合规")
    address = f"/products/{sold.code}"

    assert "提交变更" in await editor.text(address)
    shown = await editor.text(f"{address}/edit")
    assert 'value="1.60%–2.10%"' in shown
    answer = await editor.post(f"{address}/edit", form(edited(sold, bank_rating="3")))
    assert answer.status == 303, await answer.text()
    change = await the_change(session)
    assert change.fields == {"bank_rating": ["2", "3"]}

    mine = await editor.text(address)
    assert "撤回变更" in mine
    assert "确认生效" not in mine
    assert "变更待确认" in await editor.text("/products?change=waiting")
    page = await compliance.text(address)
    for words in ("待确认的变更", "本行评级", "管理人公告 2026-11-20", "周编", "确认生效", "驳回"):
        assert words in page

    answer = await compliance.post(f"{address}/changes/{change.id}/confirm")
    assert answer.status == 303
    assert "1%20%E4%BB%BD" in answer.headers["Location"].replace("+", "%20"), "1 份素材"
    assert (await fresh(session, sold)).rating == 3
    page = await compliance.text(address)
    assert re.search("产品说明 V1</a> 已于 .* 暂停：“安心添利90天”风险等级由 R2 调整为 R3", page)
    assert "已暂停" in page
    assert "没有符合条件的产品" in await compliance.text("/products?change=waiting")

    # The reviewer looks and resumes.
    material = f"/content/{version.material_id}"
    assert f"/content/versions/{version.id}/suspension" in await compliance.text(material)
    part = await compliance.text(f"/content/versions/{version.id}/suspension")
    assert "复核无误，恢复使用" in part
    assert "复核无误" not in await editor.text(f"/content/versions/{version.id}/suspension")
    answer = await compliance.post(f"/content/versions/{version.id}/resume")
    # The bytes of this one are not those its hash was taken of.
    assert (answer.status, "指纹不一致" in await answer.text()) == (409, True)


async def test_own_changes_are_not_confirmed_and_a_rejection_says_why(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    hq = await one_with(session, product, Role.HQ, name="高总")
    other = await one_with(session, product, Role.HQ, name="陈总")
    address = f"/products/{sold.code}"
    await hq.post(f"{address}/edit", form(edited(sold, fees="免收")))
    change = await the_change(session)
    own = await hq.post(f"{address}/changes/{change.id}/confirm")
    assert own.status == 422
    assert "不能确认自己提交的变更" in await own.text()
    silent = await other.post(f"{address}/changes/{change.id}/reject", {"note": " "})
    assert silent.status == 422
    assert "请填写驳回原因" in await silent.text()
    assert (await the_change(session)).state is ChangeState.PROPOSED
    told = await other.post(f"{address}/changes/{change.id}/reject", {"note": "公告未附"})
    assert told.status == 303
    page = await hq.text(address)
    for words in ("已驳回", "公告未附", "陈总", "管理费 0.20%/年", "免收"):
        assert words in page
    assert (await fresh(session, sold)).fees == "管理费 0.20%/年"


async def test_the_form_keeps_what_was_typed_and_says_what_is_wrong(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    editor = await one_with(session, product, Role.EDITOR, name="周编")
    typed = edited(sold, min_amount_cents="一万", benchmark_basis="", reason="", name="新名字")
    answer = await editor.post(f"/products/{sold.code}/edit", form(typed))
    page = await answer.text()
    assert answer.status == 422
    for words in ("一万", "新名字", "以元为单位", "依据和方法", "请填写变更原因", "还有 3 处"):
        assert words in page
    nothing = await editor.post(f"/products/{sold.code}/edit", form(edited(sold)))
    assert "没有需要保存的修改" in await nothing.text()


async def test_a_document_is_part_of_the_change_and_opens_before_it_is_confirmed(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    editor = await one_with(session, product, Role.EDITOR, name="周编")
    approver = await one_with(session, product, Role.APPROVER, name="钱审")
    rm = await one_with(session, product, Role.RM, name="王敏")
    paper, address = papers.a_pdf(), f"/products/{sold.code}"
    bad = await editor.post(f"{address}/edit", form(edited(sold), prospectus_id=("a.exe", b"MZ")))
    assert bad.status == 422
    sent = form(edited(sold), prospectus_id=("说明书.pdf", paper))
    assert (await editor.post(f"{address}/edit", sent)).status == 303
    change = await the_change(session)
    file = f"{address}/files/{change.fields['prospectus_id'][1]}"
    assert "说明书.pdf" in await approver.text(address)
    answer = await approver.get(file)
    assert await answer.read() == paper
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert (await rm.get(file)).status == 404, "not yet part of the product"
    assert (await approver.post(f"{address}/changes/{change.id}/confirm")).status == 303
    assert (await rm.get(file)).status == 200
    other = await a_product(session)
    await session.commit()
    assert (await rm.get(file.replace(sold.code, other.code))).status == 404


async def test_the_benchmark_shows_its_change_log_and_old_material_is_out(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    body = "业绩比较基准为1.60%至2.10%，依据见说明书。"
    version = await an_approved_material(session, body=body, risk=2, products=[sold])
    hq = await one_with(session, product, Role.HQ, name="高总")
    compliance = await one_with(session, product, Role.COMPLIANCE, name="孙合规")
    address = f"/products/{sold.code}"
    assert "没有变更记录" in await hq.text(address)
    await hq.post(f"{address}/edit", form(edited(sold, benchmark="1.50%–2.00%")))
    change = await the_change(session)
    assert (await compliance.post(f"{address}/changes/{change.id}/confirm")).status == 303
    page = await hq.text(address)
    log = page.partition('id="benchmark"')[2].partition("</section>")[0]
    for words in ("1.60%–2.10%", "1.50%–2.00%", "高总", "孙合规", "不构成收益承诺"):
        assert words in log
    part = await compliance.text(f"/content/versions/{version.id}/suspension")
    assert "正文仍写着旧的业绩比较基准" in part
    assert "复核无误" not in part
    refused = await compliance.post(f"/content/versions/{version.id}/resume")
    assert refused.status == 409
    still = await session.get(Version, version.id, populate_existing=True)
    assert still is not None
    assert still.suspended_at is not None
    assert "已暂停" in await compliance.text("/content?state=suspended")


async def test_off_the_list_is_said_and_filtered(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    rm = await one_with(session, product, Role.RM, name="王敏")
    off = await a_product(session, name="未列入的产品")
    off.listed_from = None
    await session.commit()
    assert "不得向客户提及" in await rm.text(f"/products/{off.code}")
    on_list, off_list = [await rm.text(f"/products?list={which}") for which in ("on", "off")]
    assert (sold.name in on_list, off.name in on_list) == (True, False)
    assert (sold.name in off_list, off.name in off_list) == (False, True)
    # No address orders by benchmark or performance.
    for key in ("benchmark", "nav", "performance"):
        plain = await rm.text("/products")
        assert await rm.text(f"/products?sort={key}&order={key}") == plain


async def test_an_rm_sees_no_proposal_and_reaches_no_form(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    editor = await one_with(session, product, Role.EDITOR, name="周编")
    rm = await one_with(session, product, Role.RM, name="王敏")
    await editor.post(f"/products/{sold.code}/edit", form(edited(sold, fees="免收")))
    page = await rm.text(f"/products/{sold.code}")
    assert "待确认的变更" not in page
    assert "变更历史" not in page
    assert (await rm.get(f"/products/{sold.code}/edit")).status == 403


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_opens_its_doors_and_no_other(
    product: Product, session: AsyncSession, sold: Sold, role: Role
) -> None:
    visitor = await one_with(session, product, role, name="某人")
    proposes, confirms = {Role.EDITOR, Role.HQ}, {Role.APPROVER, Role.COMPLIANCE, Role.HQ}
    readers = set(Role) - {Role.ADMIN}
    doors = {
        f"/products/{sold.code}": readers,
        f"/products/{sold.code}/edit": proposes,
        "/products/import": proposes,
    }
    for path, roles in doors.items():
        assert (await visitor.get(path)).status == (200 if role in roles else 403), path
    change = f"/products/{sold.code}/changes/00000000-0000-4000-8000-000000000000"
    for verb, roles in (("confirm", confirms), ("reject", confirms), ("cancel", proposes)):
        status = (await visitor.post(f"{change}/{verb}")).status
        assert status == (422 if role in roles else 403), verb


# ----------------------------------------------------------------------------------------- import


def upload(name: str, data: bytes, **fields: str) -> aiohttp.FormData:
    typed: dict[str, Any] = {"what": "products", "reason": "主数据更新"} | fields
    return form(typed, file=(name, data))


async def test_an_upload_is_tried_taken_in_and_waits_for_another_person(
    product: Product, session: AsyncSession
) -> None:
    editor = await one_with(session, product, Role.EDITOR, name="周编")
    file = a_csv(ROW, ROW | {"产品代码": "YX-91", "本行评级": "=9"})
    tried = await (
        await editor.post("/products/import", upload("p.csv", file, only_try="on"))
    ).text()
    for words in ("试算结果，没有保存", "读取 2 行", "新增 1", "未导入 1"):
        assert words in tried
    assert await products.by_code(session, "YX-90") is None

    page = await (await editor.post("/products/import", upload("p.csv", file))).text()
    for words in ("导入结果", "新增 1", "请填写 R1 至 R5", "1 只产品的变更或上架须由另一人"):
        assert words in page
    made = await products.by_code(session, "YX-90")
    assert made is not None
    assert not made.is_listed(MONDAY.date())
    kept = page.split('name="rejects" value="')[1].split('"')[0].replace("&#34;", '"')
    answer = await editor.post("/products/import/rejects.csv", {"rejects": kept})
    heading, line = (await answer.read()).decode("utf-8-sig").splitlines()
    assert heading.startswith("产品代码,产品名称,")
    assert ",'=9," in line

    again = await (await editor.post("/products/import", upload("p.csv", file))).text()
    assert "已有且相同 1" in again, "its place on the list waits already"
    assert len((await session.execute(select(ProductChange))).all()) == 1


async def test_values_are_uploaded_without_a_reason(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    hq = await one_with(session, product, Role.HQ, name="高总")
    file = a_csv({"code": sold.code, "on": "2026-11-20", "value": "1.0213"})
    page = await (
        await hq.post("/products/import", upload("nav.csv", file, what="nav", reason=""))
    ).text()
    assert "新增 1" in page
    assert [value.on for value in (await session.execute(select(Nav))).scalars()] == [
        date(2026, 11, 20)
    ]
    assert "1.0213" in await hq.text(f"/products/{sold.code}")


@pytest.mark.parametrize(
    ("name", "data", "reason", "says"),
    [
        ("p.pdf", b"x", "更新", "只能读取 CSV 或 XLSX 文件"),
        ("p.csv", b"a,b\n1,2\n", "更新", "表头缺少：产品代码"),
        ("p.csv", a_csv(ROW), "", "请填写变更原因"),
    ],
)
async def test_an_upload_that_cannot_be_read_keeps_the_form(
    product: Product, session: AsyncSession, name: str, data: bytes, reason: str, says: str
) -> None:
    editor = await one_with(session, product, Role.EDITOR, name="周编")
    answer = await editor.post("/products/import", upload(name, data, reason=reason))
    assert answer.status == 422
    assert says in await answer.text()


async def test_a_code_of_the_banks_files_is_told_by_name_and_an_unknown_one_leads_nowhere(
    product: Product, session: AsyncSession, sold: Sold
) -> None:
    rm = await one_with(session, product, Role.RM, name="王敏")
    known = await rm.text(f"/products/{sold.code}/name")
    assert f'<a href="/products/{sold.code}">{sold.name}</a>' in known
    unknown = await rm.text("/products/A%2FB/name")
    assert "A/B" in unknown
    assert "不在产品库" in unknown
    assert "<a " not in unknown

"""归因 pages: every number opens the rows it is the sum of, within one's own customers."""

import io
import zipfile

import aiohttp
import pytest
from openpyxl import Workbook
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from attribution.conversions import ingest
from attribution.models import Conversion, ConversionState, Model, TouchpointKind
from bank.models import Role
from tests.attribution.reading import Cell, cents, sum_of, table
from tests.attribution.worlds import WINDOW_DAYS, Book, a_book, a_row, a_touchpoint, csv_of, days
from tests.builders import MONDAY, a_customer, a_follow, a_product, a_staff
from tests.conftest import Product, Visitor


@pytest.fixture
async def book(session: AsyncSession) -> Book:
    """Two customers with conversions, one conversion held, one without touchpoints."""
    book = await a_book(session)
    for n, (customer, rm) in enumerate(
        [(book.customer, book.rm), (book.other_customer, book.other_rm)] * 3
    ):
        version = (book.arousing, book.closing, None)[n % 3]
        await a_touchpoint(session, customer, rm, MONDAY - days(20 - n), version=version)
    await a_touchpoint(session, book.customer, book.other_rm, MONDAY - days(13))
    silent = await a_customer(session, name="吴先生", branch=book.branch)
    rows = [
        a_row(book.customer, reference="R1", amount="100.00", at=MONDAY - days(2)),
        a_row(book.customer, reference="R2", amount="-33.34", at=MONDAY - days(1)),
        a_row(book.other_customer, reference="R3", amount="1,234,567.89", at=MONDAY - days(40)),
        a_row(book.other_customer, reference="R4", amount="0.05", at=MONDAY - days(1)),
        a_row(silent, reference="R5", amount="9.00"),
        a_row("C-WRONG", reference="R6", amount="77.00", at=MONDAY - days(3)),
    ]
    await ingest(session, rows, source="理财系统", now=MONDAY, window_days=WINDOW_DAYS)
    await session.commit()
    return book


async def one_with(session: AsyncSession, product: Product, *roles: Role) -> Visitor:
    """A browser of new staff with these roles."""
    staff = await a_staff(session, *roles)
    await session.commit()
    return await product.client(staff)


@pytest.fixture
async def hq(session: AsyncSession, product: Product) -> Visitor:
    """总行运营."""
    return await one_with(session, product, Role.HQ)


async def rows_behind(visitor: Visitor, address: str) -> tuple[list[list[Cell]], int]:
    """All rows of a list over all its pages, and the total it says of itself."""
    page = await visitor.text(address)
    rows, number = table(page, "lines"), 1
    while f"page={number + 1}" in page:
        number += 1
        page = await visitor.text(f"{address}&page={number}")
        rows += table(page, "lines")
    return rows, sum_of(page)


@pytest.mark.parametrize("model", list(Model))
@pytest.mark.parametrize("dimension", ["content", "rm"])
async def test_every_number_is_the_sum_of_the_rows_it_opens(
    hq: Visitor, book: Book, model: Model, dimension: str
) -> None:
    overview = await hq.text(f"/attribution?model={model.value}&start=2026-09-01")
    *subjects, total = table(overview, f"by-{dimension}")
    assert len(subjects) == 2
    for row in subjects:
        for cell in row[2:]:
            if not cell.href:
                assert cents(cell.text) == 0
                continue
            rows, says = await rows_behind(hq, cell.href)
            assert cents(cell.text) == says == sum(cents(line[-1].text) for line in rows)
    for column in (2, 3, 4):
        assert cents(total[column].text) == sum(cents(row[column].text) for row in subjects)


async def test_what_rms_earned_is_exactly_what_was_credited(hq: Visitor, book: Book) -> None:
    overview = await hq.text("/attribution?start=2026-09-01")
    total = table(overview, "by-rm")[-1]
    credited = await hq.text("/attribution/conversions?start=2026-09-01&state=credited")
    conversions = table(credited, "conversions")
    assert {cents(cell.text) for cell in total[2:]} == {sum_of(credited)}
    assert sum_of(credited) == sum(cents(row[3].text) for row in conversions)


async def test_a_long_list_of_lines_keeps_its_sum_over_the_pages(
    hq: Visitor, book: Book, session: AsyncSession
) -> None:
    rows = [
        a_row(book.customer, reference=f"L{n}", amount="10.01", at=MONDAY - days(1))
        for n in range(60)
    ]
    await ingest(session, rows, source="理财系统", now=MONDAY, window_days=WINDOW_DAYS)
    await session.commit()
    address = f"/attribution/lines?dimension=rm&model=first&subject={book.rm.id}"
    lines, says = await rows_behind(hq, address)
    assert len(lines) > 60
    assert says == sum(cents(line[-1].text) for line in lines)


async def test_days_are_days_of_shanghai(hq: Visitor, book: Book, session: AsyncSession) -> None:
    midnight = MONDAY.replace(hour=16) - days(1)  # 2026-11-23 00:00 in Shanghai
    rows = [
        a_row(book.customer, reference="D1", amount="1.00", at=midnight),
        a_row(book.customer, reference="D2", amount="2.00", at=midnight - days(1 / 86400)),
    ]
    await ingest(session, rows, source="理财系统", now=MONDAY, window_days=WINDOW_DAYS)
    await session.commit()
    monday = await hq.text("/attribution/conversions?start=2026-11-23&end=2026-11-23")
    assert [row[5].text for row in table(monday, "conversions")] == ["R5", "D1"]


async def test_an_rm_sees_only_lines_of_own_customers(product: Product, book: Book) -> None:
    rm = await product.client(book.rm)
    lines, _ = await rows_behind(rm, "/attribution/lines?dimension=rm&start=2026-09-01")
    assert {line[1].text for line in lines} == {"李女士"}
    conversions = table(await rm.text("/attribution/conversions?start=2026-09-01"), "conversions")
    assert {row[1].text for row in conversions} == {"李女士"}
    overview = await rm.text("/attribution?start=2026-09-01")
    assert "1,234,567" not in overview
    assert "/attribution/import" not in overview


async def test_another_rms_conversion_is_as_if_there_were_none(
    product: Product, book: Book, session: AsyncSession
) -> None:
    query = select(Conversion).where(col(Conversion.reference) == "R1")
    mine = (await session.execute(query)).scalar_one()
    address = f"/attribution/conversions/{mine.id}"
    assert "李女士" in await (await product.client(book.rm)).text(address)
    other = await product.client(book.other_rm)
    assert (await other.get(address)).status == 404
    assert (await other.get("/attribution/conversions/1")).status == 404


async def test_a_branch_manager_sees_the_branch_and_no_other(
    product: Product, book: Book, session: AsyncSession
) -> None:
    own = await a_staff(session, Role.BRANCH_MANAGER, branch=book.branch)
    foreign = await a_staff(session, Role.BRANCH_MANAGER, name="外支行")
    await session.commit()
    seen = table(
        await (await product.client(own)).text("/attribution/conversions?start=2026-09-01"),
        "conversions",
    )
    assert {row[1].text for row in seen} == {"李女士", "赵先生", "吴先生"}
    page = await (await product.client(foreign)).text("/attribution/conversions?start=2026-09-01")
    assert table(page, "conversions") == []


async def test_editors_see_what_content_earned_but_open_no_rows(
    product: Product, book: Book, session: AsyncSession
) -> None:
    editor = await one_with(session, product, Role.EDITOR)
    overview = await editor.text("/attribution?start=2026-09-01")
    assert "养老规划从哪里开始" in overview
    assert "/attribution/lines" not in overview
    for address in ("/attribution/lines", "/attribution/conversions", "/attribution/import"):
        assert (await editor.get(address)).status == 403


@pytest.mark.parametrize("role", [Role.APPROVER, Role.ADMIN])
async def test_other_roles_do_not_enter(
    product: Product, session: AsyncSession, role: Role
) -> None:
    visitor = await one_with(session, product, role)
    assert (await visitor.get("/attribution")).status == 403


async def test_a_conversion_shows_its_path_and_divisions_that_add_up(
    hq: Visitor, book: Book, session: AsyncSession
) -> None:
    query = select(Conversion).where(col(Conversion.reference) == "R1")
    conversion = (await session.execute(query)).scalar_one()
    page = await hq.text(f"/attribution/conversions/{conversion.id}")
    assert "转化前 30 天的触点" in page
    assert page.count("《养老规划从哪里开始》") == 1
    assert page.count('<td class="strong">合计</td><td class="num">100.00 元</td>') == 6


async def test_a_held_conversion_is_matched_on_the_list(
    hq: Visitor, book: Book, session: AsyncSession
) -> None:
    held = (
        await session.execute(
            select(Conversion).where(col(Conversion.state) == ConversionState.HELD)
        )
    ).scalar_one()
    listed = await hq.text("/attribution/conversions?state=held")
    assert 'value="C-WRONG"' in listed
    address = f"/attribution/conversions/{held.id}/match"

    wrong = await hq.post(address + "?state=held", {"customer_no": "C-NOBODY"})
    assert wrong.status == 422
    said = await wrong.text()
    assert "没有客户号为“C-NOBODY”的客户" in said
    assert 'value="C-NOBODY"' in said

    done = await hq.post(address, {"customer_no": book.customer.bank_no})
    assert done.status == 303
    await session.refresh(held)
    assert (held.state, held.customer_id) == (ConversionState.CREDITED, book.customer.id)
    again = await hq.post(address, {"customer_no": book.other_customer.bank_no})
    assert "已经核对过" in await again.text()


@pytest.mark.parametrize("role", [Role.RM, Role.BRANCH_MANAGER, Role.AUDITOR])
async def test_only_hq_and_compliance_settle(
    product: Product, book: Book, session: AsyncSession, role: Role
) -> None:
    visitor = await one_with(session, product, role)
    held = (
        await session.execute(
            select(Conversion).where(col(Conversion.state) == ConversionState.HELD)
        )
    ).scalar_one()
    posted = await visitor.post(f"/attribution/conversions/{held.id}/match", {"customer_no": "x"})
    assert posted.status == 403
    assert (await visitor.get("/attribution/import")).status == 403
    assert "匹配客户" not in await visitor.text("/attribution/conversions?state=held")


def a_zip(**members: str) -> bytes:
    """A zip file that only looks like a workbook."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as package:
        for name, text in members.items():
            package.writestr(name, text)
    return sink.getvalue()


def upload(name: str, data: bytes, source: str = "基金系统") -> aiohttp.FormData:
    """The import form, filled in."""
    form = aiohttp.FormData()
    form.add_field("source", source)
    form.add_field("file", data, filename=name, content_type="application/octet-stream")
    return form


async def test_a_csv_is_imported_and_rejected_rows_can_be_downloaded(
    product: Product, session: AsyncSession, book: Book
) -> None:
    compliance = await one_with(session, product, Role.COMPLIANCE)
    rows = [
        a_row(book.customer, reference="F1", at=MONDAY - days(1)),
        a_row("C-NEW", reference="F2"),
        a_row(book.customer, reference="=1+1", amount="一百"),
    ]
    first = await compliance.post("/attribution/import", upload("f.csv", csv_of(rows)))
    page = await first.text()
    for words in ("读取 3 行", "新增 2", "其中待核对客户 1", "未导入 1", "两位小数"):
        assert words in page

    again = await compliance.post("/attribution/import", upload("f.csv", csv_of(rows)))
    assert "已有且相同 2" in await again.text()

    kept = page.split('name="rejects" value="')[1].split('"')[0].replace("&#34;", '"')
    file = await compliance.post("/attribution/import/rejects.csv", {"rejects": kept})
    assert file.headers["Content-Disposition"].endswith('"conversions.rejects.csv"')
    heading, line = (await file.read()).decode("utf-8-sig").splitlines()
    assert heading == "流水号,客户号,产品代码,金额,成交时间,原因"
    assert line.startswith(f"'=1+1,{book.customer.bank_no},YX90D,一百,")


async def test_an_xlsx_with_chinese_headings_is_imported(hq: Visitor, book: Book) -> None:
    workbook, sink = Workbook(), io.BytesIO()
    assert workbook.active is not None
    workbook.active.append(["流水号", "客户号", "产品代码", "金额", "成交时间"])
    moment = (MONDAY - days(1)).replace(tzinfo=None)
    workbook.active.append(["X1", book.customer.bank_no, "YX90D", 12.34, moment])
    workbook.active.append([None] * 5)
    workbook.save(sink)
    page = await (await hq.post("/attribution/import", upload("f.xlsx", sink.getvalue()))).text()
    assert "读取 1 行" in page
    assert "新增 1" in page
    assert "基金系统" in await hq.text("/attribution/import")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("f.xls", b"x", "只能读取 CSV 或 XLSX 文件"),
        ("f.xlsx", b"not a workbook", "XLSX 文件已损坏"),
        ("f.xlsx", a_zip(hello="world"), "XLSX 文件已损坏"),
        ("f.xlsx", a_zip(**{"[Content_Types].xml": "<Types"}), "XLSX 文件已损坏"),
        ("f.csv", b"a,b\r\n1,2\r\n", "表头缺少：流水号、客户号、产品代码、金额、成交时间"),
        ("f.csv", b"reference,customer_no,product_code,amount,happened_at\r\n", "没有数据行"),
        ("f.csv", b"", "请选择文件"),
        ("f.csv", b"\xff\xff\xff", "无法识别文件编码"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused_in_words(
    hq: Visitor, name: str, data: bytes, says: str
) -> None:
    response = await hq.post("/attribution/import", upload(name, data))
    assert response.status == 422
    page = await response.text()
    assert says in page
    assert 'value="基金系统"' in page


async def test_the_source_has_to_be_named(hq: Visitor, book: Book) -> None:
    data = csv_of([a_row(book.customer, reference="F9")])
    response = await hq.post("/attribution/import", upload("f.csv", data, source=" "))
    assert response.status == 422
    assert "请填写来源系统" in await response.text()


async def test_the_timeline_lays_everything_on_one_line(
    product: Product, book: Book, session: AsyncSession
) -> None:
    wrote = TouchpointKind.CUSTOMER_WROTE
    await a_touchpoint(session, book.customer, book.rm, MONDAY - days(1), kind=wrote)
    await session.commit()
    rm, address = await product.client(book.rm), f"/attribution/customer/{book.customer.id}"
    everything = await rm.text(address)
    told = [
        "冲正 -33.34 元",
        "客户来信",
        "成交 100.00 元",
        "陈立 · 回复了客户",
        "《养老规划从哪里开始》",
        "完成风险测评，结果 C3",
        "王敏添加了客户",
        "客户授权接收营销信息",
    ]
    assert [words for words in told if words not in everything] == []
    assert everything.index("成交 100.00 元") < everything.index("王敏添加了客户")
    code = await session.scalar(select(Conversion.product_code).limit(1))
    assert f"{code} · " in everything, "in no library: the code"
    (await a_product(session, name="安心添利")).code = str(code)
    await session.commit()
    assert "安心添利 · " in await rm.text(address)

    conversions = await rm.text(f"{address}?kind=conversion")
    assert "成交 100.00 元" in conversions
    assert "客户来信" not in conversions
    assert "回复了客户" not in await rm.text(f"{address}?kind=customer")
    assert "客户来信" not in await rm.text(f"{address}?kind=staff")

    assert (await (await product.client(book.other_rm)).get(address)).status == 404
    assert (await rm.get("/attribution/customer/me")).status == 404


async def test_older_events_are_a_click_away(
    product: Product, book: Book, session: AsyncSession
) -> None:
    for n in range(40):
        await a_touchpoint(session, book.customer, book.rm, MONDAY - days(n / 10))
    await session.commit()
    rm, address = await product.client(book.rm), f"/attribution/customer/{book.customer.id}"
    newest = await rm.text(address)
    assert newest.count("timeline-item ") == 30
    assert "limit=60" in newest
    assert (await rm.text(f"{address}?limit=60")).count("timeline-item ") > 40


async def test_last_contacts_are_told_of_own_customers_only(
    product: Product, book: Book, session: AsyncSession
) -> None:
    silent = await a_customer(session)
    await a_follow(session, book.rm, silent)
    await session.commit()
    customers = (book.customer, book.other_customer, silent)
    asked = "&".join(f"customer={customer.id}" for customer in customers)
    said = await (await product.client(book.rm)).text(f"/attribution/last-contacts?{asked}")
    assert f'id="contact-{book.customer.id}" hx-swap-oob="true">2026-11-10<' in said
    assert f'id="contact-{silent.id}" hx-swap-oob="true" class="muted">—<' in said
    assert str(book.other_customer.id) not in said

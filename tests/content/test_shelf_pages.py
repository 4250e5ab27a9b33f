"""素材中心: grid and table, filters, order, pages, export, covers, the drawer."""

import io
from datetime import timedelta
from urllib.parse import quote

from openpyxl import load_workbook
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from content.covers import SIZE
from content.models import Kind, State
from tests.builders import MONDAY, a_branch, a_staff, an_approved_material
from tests.conftest import Product, Visitor
from tests.content import papers
from tests.content.test_pages import FORM, saved
from tests.content.worlds import Office

PICTURE = {**FORM, "kind": "image", "title": "年末海报"}


async def an_editor(product: Product, session: AsyncSession) -> Visitor:
    editor = await a_staff(session, Role.EDITOR, name="周编")
    await session.commit()
    return await product.client(editor)


async def test_the_view_is_kept_in_the_address_and_both_open_the_drawer(
    product: Product, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    desk = await an_editor(product, session)
    drawer = f'data-drawer="/content/{version.material_id}/drawer"'
    for view, shape in (("grid", 'class="covers"'), ("table", "<table")):
        page = await desk.text(f"/content?view={view}&kind=faq")
        assert shape in page
        assert drawer in page
        assert f'name="view" value="{view}"' in page
    part = await desk.text(f"/content/{version.material_id}/drawer")
    assert "<html" not in part
    assert f'hx-get="/content/{version.material_id}/use"' in part


async def test_every_filter_leaves_what_fits(product: Product, session: AsyncSession) -> None:
    await an_approved_material(session, title="甲素材")
    await an_approved_material(session, title="乙素材", kind=Kind.SCRIPT, state=State.DRAFT)
    ending = await an_approved_material(session, title="丙素材")
    ending.valid_until = MONDAY + timedelta(days=5)
    over = await an_approved_material(session, title="丁素材")
    over.valid_until = MONDAY - timedelta(hours=1)
    over.particulars = {"kind": "faq", "use": "accompany", "category": ["开户", "首次"]}
    desk = await an_editor(product, session)
    for query, titles in {
        "kind=script": "乙", "state=draft": "乙", "validity=7": "丙", "validity=ended": "丁",
        "validity=valid": "甲丙", "use=accompany": "甲乙丙丁", "use=trust": "", "q=甲": "甲",
        f"category={quote('开户')}": "丁", "owner=nobody": "", "sort=bogus&size=7": "甲乙丙丁",
    }.items():  # fmt: skip
        page = await desk.text(f"/content?view=table&{query}")
        assert [t for t in "甲乙丙丁" if f">{t}素材</a>" in page] == list(titles), query


async def test_the_head_of_a_column_sorts_and_turns_round(
    product: Product, session: AsyncSession
) -> None:
    for days, title in ((3, "先到期"), (9, "后到期")):
        version = await an_approved_material(session, title=title)
        version.valid_until = MONDAY + timedelta(days=days)
    desk = await an_editor(product, session)
    up = await desk.text("/content?view=table&sort=ends")
    down = await desk.text("/content?view=table&sort=-ends")
    assert up.index(">先到期</a>") < up.index(">后到期</a>")
    assert down.index(">后到期</a>") < down.index(">先到期</a>")
    assert 'aria-sort="ascending"><a href="/content?sort=-ends&amp;view=table"' in up


async def test_the_size_of_a_page_is_chosen_and_kept(
    product: Product, session: AsyncSession
) -> None:
    for _ in range(11):
        await an_approved_material(session)
    desk = await an_editor(product, session)
    page = await desk.text("/content?size=10&view=table")
    assert page.count("data-drawer=") == 10
    assert "size=10&amp;view=table&amp;page=2" in page
    assert (await desk.text("/content?size=10&page=2")).count("data-drawer=") == 1


async def test_the_export_holds_what_the_reader_may_see_and_no_formula(
    product: Product, session: AsyncSession
) -> None:
    mine, other = await a_branch(session), await a_branch(session, "城西支行")
    rm = await a_staff(session, Role.RM, branch=mine)
    await an_approved_material(session, title='=HYPERLINK("http://x")')
    await an_approved_material(session, title="别行的", branch_ids=[other.id])
    await an_approved_material(session, title="草稿", state=State.DRAFT)
    desk = await an_editor(product, session)
    for reader, titles in ((desk, 3), (await product.client(rm), 1)):
        answer = await reader.get("/content/export.xlsx?view=grid")
        assert answer.status == 200
        sheet = load_workbook(io.BytesIO(await answer.read())).active
        rows = list(sheet.iter_rows(min_row=2))  # type: ignore[union-attr]
        assert len(rows) == titles
        assert all(cell.data_type == "s" for row in rows for cell in row if cell.value)


async def test_pictures_and_pdfs_have_a_cover_for_whoever_sees_the_version(
    product: Product, session: AsyncSession, office: Office
) -> None:
    desk = await an_editor(product, session)
    rm = await a_staff(session, Role.RM)
    await session.commit()
    await saved(desk, PICTURE, file=("海报.png", papers.a_picture()))
    pdf = papers.a_pdf((papers.FIRST,))
    await saved(desk, {**FORM, "kind": "file", "title": "说明书"}, file=("说明书.pdf", pdf))
    page = await desk.text("/content")
    covers = [part.split('"')[0] for part in page.split('src="')[1:] if "/cover" in part]
    assert len(covers) == 2
    for address in covers:
        for _ in range(2):  # made, then as kept
            answer = await desk.get(address)
            assert answer.content_type == "image/png"
            assert Image.open(io.BytesIO(await answer.read())).size == SIZE
        assert (await (await product.client(rm)).get(address)).status == 404


async def test_a_kind_without_a_file_has_a_cover_of_words(
    product: Product, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    desk = await an_editor(product, session)
    assert "thumb-text" in await desk.text("/content")
    assert (await desk.get(f"/content/versions/{version.id}/cover")).status == 404

"""The pages of material: writing, reviewing, reading and withdrawing, through real forms."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role, Staff
from content.models import Material, Nav, Passage, State, StoredFile, Version
from tests.builders import MONDAY, a_branch, a_product, a_staff, an_approved_material
from tests.conftest import Clock, Product, Visitor
from tests.content import papers
from tests.content.worlds import A_DRAFT, QUESTIONS, Office

FORM = {
    "title": A_DRAFT.title,
    "kind": "faq",
    "use": "accompany",
    "body": A_DRAFT.body,
    "questions": "\n".join(QUESTIONS),
}
YES = {
    "decision": "approve",
    "check-0": "yes",
    "check-1": "yes",
    "check-2": "yes",
    "valid_from": "2026-11-23",
    "valid_until": "2027-05-31",
    "channels": ["single_chat", "group"],
    "scope": "all",
}


async def staff_of(session: AsyncSession, *roles: Role, name: str = "王敏", **at: Any) -> Staff:
    staff = await a_staff(session, *roles, name=name, **at)
    await session.commit()
    return staff


def form(fields: dict[str, Any], **files: tuple[str, bytes]) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False, default_to_multipart=bool(files))
    for name, value in fields.items():
        for each in value if isinstance(value, list) else [value]:
            data.add_field(name, each)
    for name, (filename, content) in files.items():
        data.add_field(name, content, filename=filename, content_type="application/octet-stream")
    return data


async def saved(visitor: Visitor, fields: dict[str, Any], **files: tuple[str, bytes]) -> str:
    """The address of the new material."""
    answer = await visitor.post("/content/new", form(fields, **files))
    assert answer.status == 303, await answer.text()
    return answer.headers["Location"].partition("?")[0]


async def the_version(session: AsyncSession) -> Version:
    found = await session.execute(select(Version).order_by(col(Version.number).desc()).limit(1))
    return found.scalar_one()


# ------------------------------------------------------------------------------- the whole road


async def test_a_material_goes_from_upload_to_live_to_withdrawn_through_the_pages(
    product: Product, session: AsyncSession
) -> None:
    editor = await staff_of(session, Role.EDITOR, name="周编")
    approver = await staff_of(session, Role.APPROVER, name="钱审")
    rm = await staff_of(session, Role.RM)
    author, reviewer, reader = [await product.client(s) for s in (editor, approver, rm)]

    fields = FORM | {"body": "", "intent": "submit"}
    address = await saved(author, fields, file=("赎回说明.docx", papers.a_docx()))
    version = await the_version(session)
    assert version.body == A_DRAFT.body
    assert "赎回多久到账" not in await reader.text("/content")
    assert (await reader.get(address)).status == 404

    queue = await reviewer.text("/review")
    assert "赎回多久到账" in queue
    assert f'href="/review/{version.id}"' in queue
    page = await reviewer.text(f"/review/{version.id}")
    assert "通过并上线" in page
    answer = await reviewer.post(f"/review/{version.id}", form(YES))
    assert answer.status == 303, await answer.text()

    assert "赎回多久到账" in await reader.text("/content")
    shown = await reader.text(address)
    assert "已上线" in shown
    assert "第 1 段" in shown
    assert "钱审" in shown
    assert f"/content/{version.material_id}/use" in shown

    answer = await reviewer.post(f"/content/versions/{version.id}/withdraw", {"reason": "规则调整"})
    assert answer.status == 303
    assert (await reader.get(address)).status == 404
    history = await author.text(address)
    assert "规则调整" in history
    assert history.index("V1 下线") < history.index("V1 审批通过") < history.index("V1 提交审批")


async def test_the_last_day_of_validity_counts_to_its_end_in_shanghai(
    product: Product, session: AsyncSession, office: Office
) -> None:
    version = await office.submit(await office.write())
    await session.commit()
    reviewer = await product.client(office.approver)
    answer = await reviewer.post(f"/review/{version.id}", form(YES))
    assert answer.status == 303, await answer.text()
    await session.refresh(version)
    assert version.valid_until is not None
    assert version.valid_until.isoformat() == "2027-05-31T16:00:00+00:00"
    assert version.valid_from == MONDAY


# ------------------------------------------------------------------------------------- writing


async def test_a_pdf_fills_the_body_and_its_passages_know_their_page(
    product: Product, session: AsyncSession
) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    fields = FORM | {"body": "", "intent": "draft"}
    await saved(author, fields, file=("../../说明\u202e.pdf", papers.a_pdf()))
    stored = (await session.execute(select(StoredFile))).scalar_one()
    assert (stored.name, stored.media_type) == ("说明.pdf", "application/pdf")
    rows = await session.execute(
        select(Passage.text, Passage.place).order_by(col(Passage.position))
    )
    assert [tuple(row) for row in rows] == [
        (papers.FIRST, "第 1 页"),
        (papers.SECOND, "第 2 页"),
    ]


async def test_a_chosen_file_comes_back_as_text_and_is_kept_with_the_material(
    product: Product, session: AsyncSession
) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    answer = await author.post("/content/files", form({}, file=("a.docx", papers.a_docx())))
    part = await answer.text()
    assert papers.FIRST in part
    found = re.search(r'name="file_id" value="([^"]+)"', part)
    assert found is not None
    address = await saved(author, FORM | {"file_id": found[1]})
    assert f"/content/files/{found[1]}" in await author.text(address)
    got = await author.get(f"/content/files/{found[1]}")
    assert (await got.read()).startswith(b"PK")
    assert got.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a.docx"


async def test_a_refused_file_says_what_to_do_and_keeps_what_was_typed(
    product: Product, session: AsyncSession
) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    answer = await author.post("/content/new", form(FORM, file=("a.docx", papers.a_docm())))
    page = await answer.text()
    assert answer.status == 422
    assert "文件含有宏" in page
    assert papers.FIRST in page
    assert QUESTIONS[2] in page
    part = await (await author.post("/content/files", form({}, file=("a.pdf", b"MZ")))).text()
    assert "不要改名" in part


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"title": ""}, "请填写标题"),
        ({"body": ""}, "请填写正文或上传文件"),
        ({"kind": "poem"}, "请选择素材类型"),
        ({"use": ""}, "请选择用途"),
        ({"questions": "一\n二\n三\n四\n五\n六"}, "最多 5 条"),
        ({"questions": "一\n一"}, "有重复"),
        ({"products": ["NONE"]}, "已不在产品库中"),
        ({"questions": "只有一条", "intent": "submit"}, "请填写 3–5 条常见问法"),
        ({"kind": "product_note", "intent": "submit"}, "产品说明必须关联产品"),
    ],
)
async def test_mistakes_are_shown_beside_the_field_and_nothing_is_saved(
    product: Product, session: AsyncSession, changed: dict[str, Any], says: str
) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    answer = await author.post("/content/new", form(FORM | changed))
    page = await answer.text()
    assert answer.status == 422
    assert says in page
    if changed.get("body") != "":
        assert papers.SECOND in page
    assert (await session.execute(select(Material))).scalars().all() == []


async def test_education_must_not_link_or_name_a_product(
    product: Product, session: AsyncSession
) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    sold = await a_product(session, name="云岫30天")
    await session.commit()
    lesson = FORM | {"kind": "education"}
    answer = await author.post("/content/new", form(lesson | {"products": [sold.code]}))
    assert "投资者教育不得关联具体产品" in await answer.text()
    answer = await author.post("/content/new", form(lesson | {"body": "比如云岫30天就很合适。"}))
    assert "投资者教育不得出现具体产品“云岫30天”" in await answer.text()


async def test_the_preview_follows_the_typing_with_findings(
    product: Product, session: AsyncSession
) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    answer = await author.post(
        "/content/preview", {"title": "标题", "body": "本产品保本保收益，请放心买入。"}
    )
    part = await answer.text()
    assert '<p class="bubble">本产品保本保收益，请放心买入。</p>' in part
    assert "不可发送" in part
    assert "<html" not in part


async def test_script_in_a_material_is_shown_as_text(
    product: Product, session: AsyncSession
) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    address = await saved(author, FORM | {"title": "<script>alert(1)</script>"})
    for path in ("/content", address):
        assert "<script>alert" not in await author.text(path)


async def test_a_revision_is_a_new_draft_and_the_difference_is_shown(
    product: Product, session: AsyncSession, office: Office
) -> None:
    version = await office.live()
    await session.commit()
    author = await product.client(office.author)
    address = f"/content/{version.material_id}"
    assert papers.FIRST in await author.text(f"{address}/revise")
    same = await author.post(f"{address}/revise", form(FORM))
    assert (same.status, "没有需要保存的修改" in await same.text()) == (422, True)
    body = f"{papers.FIRST}\n\n遇节假日顺延到下一个工作日，请提前安排资金。"
    answer = await author.post(f"{address}/revise", form(FORM | {"body": body}))
    assert answer.status == 303, await answer.text()
    page = await author.text(address)
    assert "<ins" in page
    assert "遇节假日顺延" in page
    newest = await the_version(session)
    assert (newest.number, newest.state) == (2, State.DRAFT)
    await session.refresh(version)
    assert version.state == State.APPROVED


async def test_only_ones_own_uploads_can_hang_on_a_material(
    product: Product, session: AsyncSession
) -> None:
    one, other = [await staff_of(session, Role.EDITOR) for _ in range(2)]
    mine, theirs = await product.client(one), await product.client(other)
    await mine.post("/content/files", form({}, file=("a.txt", papers.FIRST.encode())))
    stored = (await session.execute(select(StoredFile))).scalar_one()
    answer = await theirs.post("/content/new", form(FORM | {"file_id": str(stored.id)}))
    assert (answer.status, "没有找到上传的文件" in await answer.text()) == (422, True)
    assert (await theirs.get(f"/content/files/{stored.id}")).status == 404


# ----------------------------------------------------------------------------------- reviewing


async def test_the_author_never_sees_his_own_approve_button(
    product: Product, session: AsyncSession, office: Office
) -> None:
    office.author.roles = [Role.EDITOR.value, Role.APPROVER.value]
    version = await office.submit(await office.write())
    await session.commit()
    author = await product.client(office.author)
    assert version.title not in await author.text("/review?tab=waiting")
    assert version.title in await author.text("/review?tab=started")
    page = await author.text(f"/review/{version.id}")
    assert "通过并上线" not in page
    assert "须由另一位审批人处理" in page
    answer = await author.post(f"/review/{version.id}", form(YES))
    assert answer.status == 422
    assert "不能审批自己提交的素材" in await answer.text()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"check-1": "no"}, "请逐项核对，全部通过后才能通过"),
        ({"valid_until": ""}, "请选择日期"),
        ({"valid_until": "2028-01-01"}, "有效期最长 12 个月"),
        ({"valid_until": "2026-11-20"}, "失效日期已过"),
        ({"channels": []}, "请至少选择一个适用渠道"),
        ({"scope": "some"}, "请选择适用支行"),
        ({"scope": "some", "branches": ["x"]}, "所选支行不存在"),
        ({"decision": "reject", "reason": " "}, "请填写原因"),
    ],
)
async def test_a_refused_decision_says_why_and_keeps_the_form(
    product: Product, session: AsyncSession, office: Office, changed: dict[str, Any], says: str
) -> None:
    version = await office.submit(await office.write())
    await session.commit()
    reviewer = await product.client(office.approver)
    answer = await reviewer.post(f"/review/{version.id}", form(YES | changed))
    assert answer.status == 422
    assert says in await answer.text()
    await session.refresh(version)
    assert version.state == State.SUBMITTED


async def test_rejecting_tells_the_author_why(
    product: Product, session: AsyncSession, office: Office
) -> None:
    version = await office.submit(await office.write())
    await session.commit()
    reviewer = await product.client(office.approver)
    no = {"decision": "reject", "reason": "请写明节假日顺延"}
    assert (await reviewer.post(f"/review/{version.id}", form(no))).status == 303
    assert version.title in await reviewer.text("/review?tab=decided")
    author = await product.client(office.author)
    page = await author.text(f"/content/{version.material_id}")
    assert "已驳回" in page
    assert "请写明节假日顺延" in page


async def test_blocked_wording_is_marked_and_cannot_be_approved(
    product: Product, session: AsyncSession, office: Office
) -> None:
    version = await office.submit(await office.write(body="本产品保本保收益，请放心买入。"))
    await session.commit()
    reviewer = await product.client(office.approver)
    assert '<mark class="mark-red"' in await reviewer.text(f"/review/{version.id}")
    answer = await reviewer.post(f"/review/{version.id}", form(YES))
    assert (answer.status, "存在不可上线的合规问题" in await answer.text()) == (422, True)


async def test_a_wait_of_more_than_a_day_is_red(
    product: Product, session: AsyncSession, office: Office, clock: Clock
) -> None:
    await office.submit(await office.write())
    await session.commit()
    clock.forward(timedelta(hours=23))
    reviewer = await product.client(office.approver)
    assert "text-red" not in await reviewer.text("/review")
    clock.forward(timedelta(hours=2))
    page = await (await product.client(office.approver)).text("/review")
    assert "text-red" in page
    assert "25 小时" in page


# -------------------------------------------------------------------------------- lists, roles


async def test_the_list_is_filtered_counted_and_says_what_is_ending(
    product: Product, session: AsyncSession, clock: Clock
) -> None:
    editor = await staff_of(session, Role.EDITOR)
    sold = await a_product(session)
    await an_approved_material(session, title="甲素材", products=[sold])
    await an_approved_material(session, title="乙素材", state=State.WITHDRAWN)
    await an_approved_material(session, title="丙素材", state=State.DRAFT)
    await session.commit()
    for query, shown in {
        "": "甲乙丙",
        "?state=approved": "甲",
        "?state=draft": "丙",
        "?state=ended": "乙",
        "?state=expiring": "",
        "?q=乙素": "乙",
        f"?product={sold.code}": "甲",
        "?kind=script": "",
        "?page=99&state=nonsense": "甲乙丙",
    }.items():
        page = await (await product.client(editor)).text(f"/content{query}")
        assert [name for name in "甲乙丙" if f"{name}素材" in page] == list(shown), query
    clock.forward(timedelta(days=155))
    page = await (await product.client(editor)).text("/content?state=expiring")
    assert "甲素材" in page
    assert "即将到期" in page
    clock.forward(timedelta(days=30))
    assert "甲素材" in await (await product.client(editor)).text("/content?state=ended")


async def test_an_empty_shelf_says_what_to_do_next(product: Product, session: AsyncSession) -> None:
    author = await product.client(await staff_of(session, Role.EDITOR))
    assert "新建素材" in await author.text("/content")
    assert "没有符合条件的素材" in await author.text("/content?q=x")
    assert "您还没有提交过审批" in await author.text("/review")


async def test_an_rm_sees_live_material_of_the_own_branch_only_and_cannot_find_drafts(
    product: Product, session: AsyncSession
) -> None:
    east, west = await a_branch(session), await a_branch(session, "城西支行")
    rm = await staff_of(session, Role.RM, branch=east)
    await an_approved_material(session, title="全行素材")
    await an_approved_material(session, title="城东素材", branch_ids=[east.id])
    hidden = await an_approved_material(session, title="城西素材", branch_ids=[west.id])
    await an_approved_material(session, title="草稿素材", state=State.DRAFT)
    await session.commit()
    reader = await product.client(rm)
    page = await reader.text("/content?q=素材")
    found = [name for name in ("全行", "城东", "城西", "草稿") if f"{name}素材" in page]
    assert found == ["全行", "城东"]
    assert (await reader.get(f"/content/{hidden.material_id}")).status == 404


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_opens_its_doors_and_no_other(
    product: Product, session: AsyncSession, role: Role
) -> None:
    version = await an_approved_material(session)
    visitor = await product.client(await staff_of(session, role))
    readers = set(Role) - {Role.ADMIN}
    doors = {
        "/content": readers,
        f"/content/{version.material_id}": readers,
        "/products": readers,
        "/content/new": {Role.EDITOR},
        f"/content/{version.material_id}/revise": {Role.EDITOR},
        "/review": {Role.EDITOR, Role.APPROVER, Role.COMPLIANCE, Role.AUDITOR},
    }
    for path, roles in doors.items():
        assert (await visitor.get(path)).status == (200 if role in roles else 403), path
    answer = await visitor.post(f"/content/versions/{version.id}/withdraw", {"reason": "停用"})
    assert answer.status == (303 if role in {Role.APPROVER, Role.COMPLIANCE} else 403)


async def test_withdrawing_without_reason_keeps_the_material(
    product: Product, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    reviewer = await product.client(await staff_of(session, Role.COMPLIANCE))
    answer = await reviewer.post(f"/content/versions/{version.id}/withdraw", {"reason": ""})
    assert (answer.status, "请填写原因" in await answer.text()) == (422, True)


# ------------------------------------------------------------------------------------ products


async def test_a_product_shows_both_ratings_and_says_that_the_higher_counts(
    product: Product, session: AsyncSession
) -> None:
    sold = await a_product(session, rating=2)
    sold.issuer_rating = 3
    version = await an_approved_material(session, title="产品说明", products=[sold])
    reader = await product.client(await staff_of(session, Role.RM))
    page = await reader.text(f"/products/{sold.code}")
    assert "R3 中等风险" in page
    assert "评级不一致，取较高者" in page
    assert version.title in page
    assert (await reader.get("/products/NONE")).status == 404
    assert sold.name in await reader.text("/products?rating=3")
    assert sold.name not in await reader.text("/products?rating=2")


async def test_values_are_drawn_but_not_in_the_first_month_of_a_product(
    product: Product, session: AsyncSession, clock: Clock
) -> None:
    sold = await a_product(session)
    day = clock().date()
    session.add_all(
        Nav(product_id=sold.id, on=day - timedelta(days=n), value=Decimal(1)) for n in range(9)
    )
    reader = await product.client(await staff_of(session, Role.RM))
    assert "data-chart=" in await reader.text(f"/products/{sold.code}")
    sold.inception = day - timedelta(days=10)
    await session.commit()
    assert "data-chart=" not in await reader.text(f"/products/{sold.code}")

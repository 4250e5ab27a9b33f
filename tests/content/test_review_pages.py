"""审批 through real forms: the queue, claims, comments, sending back, bulk, roads, links."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.models import Role
from content import review, steps
from content.models import State, Version
from content.review_models import Comment, MaterialLink, ReviewRoad
from tests.builders import MONDAY, a_product, a_staff
from tests.conftest import Clock, Product, Visitor
from tests.content.test_pages import YES, form
from tests.content.test_steps import a_drawn_version, ordinary
from tests.content.worlds import Office

CHECKS = {"check-0": "yes", "check-1": "yes", "check-2": "yes"}


async def fresh(session: AsyncSession, version: Version) -> Version:
    await session.refresh(version)
    return version


async def test_two_reviewers_one_after_the_other_put_it_live(
    product: Product, session: AsyncSession, office: Office
) -> None:
    version = await ordinary(office)
    await session.commit()
    address = f"/review/{version.id}"
    first, second = await product.client(office.approver), await product.client(office.compliance)
    assert version.title in await first.text("/review")
    assert version.title not in await second.text("/review")
    page = await first.text(address)
    for words in ("业务初审", "合规终审", "通过，转下一环节", "一般素材"):
        assert words in page
    assert "通过并上线" not in page
    answer = await first.post(address, form(CHECKS | {"decision": "pass"}))
    assert answer.status == 303, await answer.text()
    assert "您已审批过这个版本的另一环节" in await first.text(address)
    page = await second.text(address)
    assert "通过并上线" in page
    assert "业务初审 · 钱审" in page
    answer = await second.post(address, form(YES))
    assert answer.status == 303, await answer.text()
    assert (await fresh(session, version)).state is State.APPROVED


async def test_the_author_with_both_roles_never_sees_approve(
    product: Product, session: AsyncSession, office: Office
) -> None:
    office.author.roles = [Role.EDITOR.value, Role.APPROVER.value, Role.COMPLIANCE.value]
    version = await office.submit(await office.write())
    await session.commit()
    author = await product.client(office.author)
    page = await author.text(f"/review/{version.id}")
    for button in ("通过并上线", "驳回</button>", "要求修改</button>", "转交"):
        assert button not in page
    for path, fields in (
        ("claim", {}), ("transfer", {"to": str(office.approver.id)}),
        ("comments", {"place": "body:0:2", "text": "x"}),
    ):  # fmt: skip
        answer = await author.post(f"/review/{version.id}/{path}", form(fields))
        assert "refused=" in answer.headers["Location"]
    answer = await author.post("/review/bulk", form(BULK | {"versions": str(version.id)}))
    assert "不能审批自己提交的素材" in await answer.text()
    assert (await fresh(session, version)).state is State.SUBMITTED


async def test_a_step_is_claimed_released_and_handed_on_by_its_buttons(
    product: Product, session: AsyncSession, office: Office
) -> None:
    other = await a_staff(session, Role.APPROVER, name="李审")
    version = await ordinary(office)
    await session.commit()
    address = f"/review/{version.id}"
    mine, theirs = await product.client(office.approver), await product.client(other)
    assert "领取" in await mine.text("/review")
    answer = await mine.post(f"{address}/claim")
    assert "done=" in answer.headers["Location"]
    assert "我已领取" in await mine.text("/review")
    assert "钱审 已领取" in await theirs.text("/review")
    assert "已由其他审批人领取" in await theirs.text(address)
    refused = await theirs.post(address, form(CHECKS | {"decision": "pass"}))
    assert refused.status == 422
    await mine.post(f"{address}/release")
    assert "未领取" in await theirs.text("/review")
    await mine.post(f"{address}/transfer", form({"to": str(other.id), "note": "请看"}))
    assert "我已领取" in await theirs.text("/review")


async def test_comments_come_back_with_the_version_and_the_author_deals_with_them(
    product: Product, session: AsyncSession, office: Office
) -> None:
    version = await office.submit(await office.write())
    await session.commit()
    address = f"/review/{version.id}"
    reviewer, author = await product.client(office.approver), await product.client(office.author)
    said = {"place": "body:0:4", "text": "请写明<顺延>"}
    answer = await reviewer.post(f"{address}/comments", form(said))
    assert answer.headers["Location"].endswith("#comments")
    page = await reviewer.text(address)
    assert "请写明&lt;顺延&gt;" in page
    assert '<mark class="mark-blue"' in page
    nothing = await reviewer.post(address, form({"decision": "changes", "reason": ""}))
    assert nothing.status == 422
    back = await reviewer.post(address, form({"decision": "changes", "reason": "见批注"}))
    assert back.status == 303, await back.text()
    assert "退回修改" in await author.text(f"/content/{version.material_id}")
    second = await office.revise(version.material_id, body=f"您好。\n\n{version.body}")
    await session.commit()
    submit = f"/content/versions/{second.id}/submit"
    assert "还有未处理的批注" in await (await author.post(submit)).text()
    assert "处理批注（1）" in await author.text(f"/content/{version.material_id}")
    page = await author.text(f"/review/{second.id}")
    assert "沿用自上一版本" in page
    assert "与上一版本 V1（退回修改）的差异" in page
    query = select(Comment).where(Comment.version_id == second.id)
    [comment] = (await session.execute(query)).scalars()
    await author.post(f"/review/comments/{comment.id}/resolve")
    assert (await author.post(submit)).status == 303


@pytest.mark.parametrize("place", ["", "body:9:2", "body:0:99999", "sha256:0:2", "body:x:y"])
async def test_a_comment_on_nothing_is_refused_in_words(
    product: Product, session: AsyncSession, office: Office, place: str
) -> None:
    version = await office.submit(await office.write())
    await session.commit()
    reviewer = await product.client(office.approver)
    told = form({"place": place, "text": "x"})
    answer = await reviewer.post(f"/review/{version.id}/comments", told)
    page = await reviewer.text(answer.headers["Location"].partition("#")[0])
    assert "请先在正文中选中要批注的文字" in page


BULK = {"valid_until": "2027-05-31", "channels": "single_chat", "checked": "yes"}


async def test_low_risk_is_passed_in_bulk_from_the_queue(
    product: Product, session: AsyncSession, office: Office
) -> None:
    low = [await office.submit(await office.write(title=f"到账说明{n}")) for n in range(2)]
    two_steps = await ordinary(office)
    await session.commit()
    reviewer = await product.client(office.approver)
    page = await reviewer.text("/review")
    assert page.count('name="versions"') == 2
    assert (await reviewer.post("/review/bulk", form(BULK))).status == 422
    chosen = [str(version.id) for version in (*low, two_steps)]
    unread = await reviewer.post("/review/bulk", form(BULK | {"versions": chosen, "checked": ""}))
    assert unread.status == 422
    answer = await reviewer.post("/review/bulk", form(BULK | {"versions": chosen}))
    told = await answer.text()
    assert "已通过并上线 2 份，1 份没有通过" in told
    assert "只有低风险素材可以批量通过" in told
    assert {(await fresh(session, version)).state for version in low} == {State.APPROVED}
    assert (await fresh(session, two_steps)).state is State.SUBMITTED


async def test_opening_the_page_starts_the_ten_seconds(
    product: Product, session: AsyncSession, office: Office, clock: Clock
) -> None:
    versions = [await office.submit(await office.write(title=f"份{n}")) for n in range(2)]
    await session.commit()
    reviewer = await product.client(office.approver)
    overseer = await product.client(office.compliance)
    for version, seconds in zip(versions, (3, 60), strict=True):
        await reviewer.text(f"/review/{version.id}")
        clock.forward(timedelta(seconds=seconds))
        assert (await reviewer.post(f"/review/{version.id}", form(YES))).status == 303
    page = await overseer.text("/review?tab=hasty")
    assert "份0" in page
    assert "份1" not in page
    assert "不到 10 秒" in await overseer.text(f"/review/{versions[0].id}")
    # Those who are watched do not see the list.
    assert "通过过快" not in await reviewer.text("/review?tab=hasty")


async def test_a_re_review_is_kept_or_ends_the_version(
    product: Product, session: AsyncSession, office: Office
) -> None:
    kept = await a_drawn_version(office)
    await session.commit()
    third = await product.client(office.compliance)
    page = await third.text(f"/review/{kept.id}")
    assert "抽查复审意见" in page
    two = {"check-0": "yes", "check-1": "yes"}
    answer = await third.post(f"/review/{kept.id}", form(two | {"decision": "uphold"}))
    assert answer.status == 303, await answer.text()
    assert (await fresh(session, kept)).state is State.APPROVED
    assert "复审" not in await third.text("/review")


async def test_the_roads_are_edited_by_head_office_and_hold_for_what_comes(
    product: Product, session: AsyncSession, office: Office
) -> None:
    hq = await product.client(await _staff(session, Role.HQ))
    page = await hq.text("/review/roads")
    for words in ("全部类型 · 低风险", "全部类型 · 高风险", "总行合规", "48 小时"):
        assert words in page
    edit = "/review/roads/edit"
    assert "业务初审" in await hq.text(f"{edit}?kind=faq&risk=low")
    fields = {
        "kind": "faq", "risk": "low",
        "desk-0": "compliance", "hours-0": "8", "checks-0": "一\n\n 二 ",
        "desk-1": "", "hours-1": "24", "checks-1": "",
    }  # fmt: skip
    wrong = await hq.post(edit, form(fields | {"hours-0": "0"}))
    assert wrong.status == 422
    told = await wrong.text()
    assert "1–240 小时" in told
    assert re.search(r"一\s+二", told), "what was typed stays"
    answer = await hq.post(edit, form(fields))
    assert answer.status == 303, await answer.text()
    [road] = (await session.execute(select(ReviewRoad))).scalars()
    assert road.steps == [{"desk": "compliance", "hours": 8, "checks": ["一", "二"]}]
    version = await office.submit(await office.write())
    [step] = await steps.of_version(session, version.id)
    assert (step.desk, step.due_at) == ("compliance", MONDAY + timedelta(hours=8))
    page = await hq.text("/review/roads")
    assert "已自定义" in page
    await hq.post("/review/roads/reset", form({"kind": "faq", "risk": "low"}))
    assert "已自定义" not in await hq.text("/review/roads")
    for role in (Role.APPROVER, Role.EDITOR):
        other = await product.client(await _staff(session, role))
        assert (await other.get("/review/roads")).status == 200
        assert (await other.post(edit, form(fields))).status == 403


async def _staff(session: AsyncSession, role: Role) -> object:
    staff = await a_staff(session, role)
    await session.commit()
    return staff


async def a_link(session: AsyncSession, visitor: Visitor, version: Version) -> str:
    answer = await visitor.post(f"/content/versions/{version.id}/link")
    assert answer.status == 303, await answer.text()
    page = await visitor.text(answer.headers["Location"].partition("#")[0])
    found = select(MaterialLink.token).order_by(col(MaterialLink.made_at).desc()).limit(1)
    token = (await session.execute(found)).scalar_one()
    assert f"/m/{token}" in page
    return f"/m/{token}"


async def test_a_public_link_shows_the_version_and_is_gone_with_it(
    product: Product, session: AsyncSession, office: Office
) -> None:
    sold = await a_product(session)
    version = await office.live(product_codes=(sold.code,))
    await session.commit()
    link = await a_link(session, await product.client(office.compliance), version)
    stranger = await product.client()
    page = await stranger.text(link)
    assert version.title in page
    assert "理财非存款" in page, "the reminder of the product comes along"
    assert len(link) == len("/m/") + 32
    assert (await stranger.get(link[:-1] + ("A" if link[-1] != "A" else "B"))).status == 404
    await review.withdraw(session, version.id, by=office.compliance, reason="有误", now=MONDAY)
    await session.commit()
    gone = await stranger.get(link)
    assert gone.status == 410
    assert "材料已下线" in await gone.text()
    assert (await stranger.get(f"{link}/file")).status == 410


async def test_a_public_link_ends_with_validity_and_when_the_product_is_taken_off_sale(
    product: Product, session: AsyncSession, office: Office, clock: Clock
) -> None:
    sold = await a_product(session)
    version = await office.live(product_codes=(sold.code,))
    await session.commit()
    link = await a_link(session, await product.client(office.compliance), version)
    stranger = await product.client()
    sold_state = text("UPDATE product SET sale_status = :state WHERE id = :id")
    for state, status in (("suspended", 410), ("on_sale", 200)):
        await session.execute(sold_state, {"state": state, "id": sold.id})
        await session.commit()
        assert (await stranger.get(link)).status == status
    clock.forward(timedelta(days=181))
    assert (await stranger.get(link)).status == 410


async def test_no_public_link_to_a_private_offering_or_to_what_is_not_live(
    product: Product, session: AsyncSession, office: Office
) -> None:
    sold = await a_product(session)
    version = await office.live(product_codes=(sold.code,))
    draft = await office.write(title="草稿一份")
    sold.offering = "private"
    await session.commit()
    desk = await product.client(office.compliance)
    for one, says in ((version, "私募产品"), (draft, "只有已上线的版本")):
        answer = await desk.post(f"/content/versions/{one.id}/link")
        assert answer.status == 409
        assert says in await answer.text()
    assert list((await session.execute(select(MaterialLink))).scalars()) == []

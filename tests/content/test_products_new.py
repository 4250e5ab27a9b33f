"""A new product by the form: known at once, offered only once a second person has listed it."""

from typing import Any

import aiohttp
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from bank.models import Role
from content import product_changes, products
from tests.builders import a_product, a_staff
from tests.conftest import Product as Running

FACTS = {
    "code": "LC2026A", "name": "稳进一年", "kind": "wealth", "issuer": "云州理财有限责任公司",
    "issuer_rating": "2", "bank_rating": "3", "regime": "NFRA", "offering": "public",
    "agency": "是", "term_days": "365", "open_rule": "每年开放一次",
    "min_amount_cents": "10,000.00", "fees": "管理费 0.20%/年", "benchmark": "",
    "benchmark_basis": "", "inception": "2026-01-08", "redemption": "到期日后两个工作日到账",
    "description": "固定收益类理财产品", "sale_status": "on_sale", "listed_from": "2026-11-01",
    "listed_until": "", "reason": "总行 2026 年第 12 次准入会议纪要",
}  # fmt: skip


async def test_two_people_put_a_new_product_on_the_list(
    product: Running, session: AsyncSession
) -> None:
    editor, hq = await a_staff(session, Role.EDITOR), await a_staff(session, Role.HQ)
    await session.commit()
    desk, second = await product.client(editor), await product.client(hq)
    assert "新建产品" in await desk.text("/products")
    assert 'name="code"' in await desk.text("/products/new")
    form = aiohttp.FormData(FACTS)
    told = "本产品说明书载明投资范围、费用和赎回安排，请投资者认真阅读。" * 3
    form.add_field("prospectus_id", told.encode(), filename="说明书.txt")
    answer = await desk.post("/products/new", form)
    assert answer.status == 303, await answer.text()
    assert answer.headers["Location"].startswith("/products/LC2026A?done=")
    sold = await products.by_code(session, "LC2026A")
    assert sold is not None
    assert (sold.rating, sold.min_amount_cents, sold.listed_from) == (3, 1_000_000, None)
    assert sold.prospectus_id is None, "documents wait with the list"
    page = await second.text("/products/LC2026A")
    assert "总行 2026 年第 12 次准入会议纪要" in page
    change = await product_changes.waiting(session, sold.id)
    assert change is not None
    assert set(change.fields) == {"listed_from", "prospectus_id"}
    own = await desk.post(f"/products/LC2026A/changes/{change.id}/confirm")
    assert own.status == 403
    done = await second.post(f"/products/LC2026A/changes/{change.id}/confirm")
    assert done.status == 303
    await session.refresh(sold)
    assert str(sold.listed_from) == "2026-11-01"
    assert sold.prospectus_id is not None
    lines = await audit.history(session, "product", "LC2026A")
    assert [(line.action.rpartition(":")[2], line.actor) for line in lines] == [
        ("create", editor.userid), ("propose", editor.userid), ("confirm", hq.userid),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"code": "new"}, product_changes.BAD_CODE),
        ({"code": "a b"}, product_changes.BAD_CODE),
        ({"name": ""}, "不能为空"),
        ({"bank_rating": ""}, "不能为空"),
        ({"min_amount_cents": "很多"}, "请填写以元为单位"),
        ({"benchmark": "2.6%—3.2%"}, "有业绩比较基准时必须写明"),
        ({"listed_until": "2026-10-01"}, "名单移出日必须晚于名单生效日"),
        ({"reason": " "}, product_changes.NO_REASON),
    ],
)
async def test_what_is_wrong_stands_beside_the_field_and_nothing_is_kept(
    product: Running, session: AsyncSession, wrong: dict[str, str], says: str
) -> None:
    editor = await a_staff(session, Role.EDITOR)
    await session.commit()
    answer = await (await product.client(editor)).post("/products/new", FACTS | wrong)
    page = await answer.text()
    assert answer.status == 422
    assert says in page
    assert "每年开放一次" in page, "what was typed stays"
    assert await products.find(session) == []


async def test_a_code_is_given_once_and_without_a_list_nothing_waits(
    product: Running, session: AsyncSession
) -> None:
    editor, there = await a_staff(session, Role.EDITOR), await a_product(session)
    rm = await a_staff(session, Role.RM)
    await session.commit()
    desk = await product.client(editor)
    taken = await desk.post("/products/new", FACTS | {"code": there.code})
    assert product_changes.TAKEN in await taken.text()
    bare: dict[str, Any] = FACTS | {"listed_from": ""}
    assert (await desk.post("/products/new", bare)).status == 303
    made = await products.by_code(session, "LC2026A")
    assert made is not None
    assert await product_changes.waiting(session, made.id) is None
    assert (await (await product.client(rm)).post("/products/new", FACTS)).status == 403

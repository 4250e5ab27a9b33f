"""工作台 and 操作日志: every role finds what waits for it, and the audit book speaks Chinese."""

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank import audit
from bank.models import Role
from bot import audit_words
from bot.inbound.effects import outcome_label
from tests.builders import MONDAY, a_branch, a_staff, an_approved_material
from tests.conftest import Product, Visitor

ROOT = Path(__file__).parents[2]
OURS = ("attribution", "bot", "content", "customers", "desk", "knowledge", "scheduler")
WAITS = {
    Role.RM: ["客户在等回复", "今日适合联系", "进行中的群发任务", "待处理推荐"],
    Role.BRANCH_MANAGER: ["客户在等回复", "本月转化", "累计合规拦截"],
    Role.EDITOR: ["被驳回，待修改", "30 天内到期的素材", "客户常问、库里没有的"],
    Role.APPROVER: ["待我审批", "30 天内到期的素材"],
    Role.COMPLIANCE: ["待我审批", "最近被合规拦截的推荐", "待核对转化"],
    Role.AUDITOR: ["最近的操作", "操作日志"],
    Role.HQ: ["SOP 运行情况", "已送达触达", "本月转化", "待核对转化"],
    Role.ADMIN: ["隔离中的回调", "需要处理的从业资格", "待处理回调"],
}


async def one_with(session: AsyncSession, product: Product, *roles: Role) -> Visitor:
    """A browser of new staff with these roles, in a branch."""
    staff = await a_staff(session, *roles, branch=await a_branch(session))
    await session.commit()
    return await product.client(staff)


@pytest.mark.parametrize("role", Role)
async def test_the_workbench_shows_what_waits_for_the_role(
    product: Product, session: AsyncSession, role: Role
) -> None:
    page = await (await one_with(session, product, role)).text("/")
    for words in WAITS[role]:
        assert words in page


@pytest.mark.parametrize("role", Role)
async def test_every_card_and_panel_leads_to_a_page_that_opens(
    product: Product, session: AsyncSession, role: Role
) -> None:
    visitor = await one_with(session, product, role)
    page = await visitor.text("/")
    main = page[page.index('<main class="main"') :]
    for address in set(re.findall(r'href="(/[^"#]*)"', main)):
        await visitor.text(address.replace("&amp;", "&"))


async def test_a_card_counts_what_the_list_behind_it_counts(
    product: Product, session: AsyncSession
) -> None:
    await an_approved_material(session)
    editor = await one_with(session, product, Role.EDITOR)
    page = await editor.text("/")
    card = r'href="/content\?state=approved">\s*<span[^>]*>已上线素材</span>\s*<span[^>]*>1<'
    assert re.search(card, page)
    assert "共 1 条" in await editor.text("/content?state=approved")


def test_every_act_that_is_written_down_has_a_name() -> None:
    written = set()
    for package in OURS:
        for source in (ROOT / package).rglob("*.py"):
            found = re.findall(r'record\(\s*\w+,\s*"(\w+:\w+:\w+)"', source.read_text("utf-8"))
            written.update(found)
    assert len(written) > 10
    assert written <= set(audit_words.ACTIONS)
    assert {action.split(":")[1] for action in audit_words.ACTIONS} <= set(audit_words.SUBJECTS)


async def test_the_audit_book_is_told_in_words_and_can_be_searched(
    product: Product, session: AsyncSession
) -> None:
    version = await an_approved_material(session)
    author = await a_staff(session, Role.EDITOR, name="江楠")
    detail = {
        "number": 2,
        "sha256": "ab" * 32,
        "material_id": str(version.material_id),
        "reason": "补风险",
    }
    audit.record(
        session, "content:version:reject", version.id, by=author.userid, now=MONDAY, **detail
    )
    audit.record(session, "scheduler:sop:create", "1", by=author.userid, now=MONDAY, name="新客")
    auditor = await one_with(session, product, Role.AUDITOR)
    page = await auditor.text("/system/audit?action=content:version:reject")
    for words in ("驳回素材", "江楠", "V2", "abababababab…", "补风险", f"/review/{version.id}"):
        assert words in page
    assert str(version.material_id) not in page
    assert "共 1 条" in page
    assert "没有符合条件的记录" in await auditor.text("/system/audit?actor=nobody")


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ("customer adopted", "已登记客户与跟进关系"),
        ("handled: 3 messages from the archive", "从会话存档取得 3 条消息"),
        ("not handled: change_external_tag", "未处理：当前版本不识别的事件（change_external_tag）"),
        ("WeComError: 60011", "WeComError: 60011"),
        ("", "—"),
    ],
)
def test_the_outcome_of_a_callback_is_told_in_words(outcome: str, said: str) -> None:
    assert outcome_label(outcome) == said

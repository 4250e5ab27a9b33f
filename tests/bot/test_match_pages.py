"""推荐内容, 适合的客户, 今日适合联系: what is read, by whom, and what is left out."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import select

from attribution import touchpoints
from attribution.models import TouchpointKind
from attribution.touchpoints import Seen
from bank.models import Branch, Role, Staff
from bank.settings import Settings
from bot import contact_today
from bot.matching import match_all
from content.models import Kind, State, Version
from content.models import Product as Sold
from customers import care
from customers.care import Heard
from customers.models import CareKind, Customer
from desk.signed import Signed
from knowledge import matches
from knowledge.encoder import load_encoder
from knowledge.models import CustomerMatch
from scheduler import clock, sops
from scheduler.models import Sop
from scheduler.sops import DraftSop, DraftStep
from tests.builders import (
    MONDAY,
    a_branch,
    a_customer,
    a_follow,
    a_product,
    a_staff,
    an_approved_material,
)
from tests.conftest import Product, Visitor
from tests.customers.worlds import a_holding
from tests.knowledge.test_gaps import asked
from tests.knowledge.test_matches import profiled

ENCODER = load_encoder("builtin")
SOON = (MONDAY + timedelta(days=6)).date()
NOTE = "安心添利90天说明"


class Office:
    """An RM with one customer whose product matures, and a note about it."""

    def __init__(self, product: Product, session: AsyncSession) -> None:
        self.product, self.session = product, session
        self.branch: Branch
        self.rm: Staff
        self.customer: Customer
        self.sold: Sold
        self.note: Version

    async def opened(self) -> "Office":
        """Everybody in place."""
        session = self.session
        self.branch = await a_branch(session)
        self.rm = await a_staff(session, Role.RM, branch=self.branch)
        self.customer = await self.one_more("李女士")
        self.sold = await a_product(session, rating=2)
        self.note = await an_approved_material(
            session, title=NOTE, kind=Kind.PRODUCT_NOTE, risk=2, products=[self.sold]
        )
        await a_holding(session, self.customer, product=self.sold.code, matures_on=SOON)
        await session.commit()
        return self

    async def one_more(self, name: str, **more: object) -> Customer:
        """Another customer of the RM, who lets us look."""
        made = await a_customer(self.session, name=name, branch=self.branch, **more)  # type: ignore[arg-type]
        await a_follow(self.session, self.rm, made)
        await profiled(self.session, made)
        return made

    async def matched(self) -> None:
        """The night passes over it."""
        await self.session.commit()
        await matches.run(self.product.parts.sessions, ENCODER, self.product.clock(), afresh=True)

    async def visitor(self, staff: Staff | None = None) -> Visitor:
        """The RM at a browser, or somebody else."""
        return await self.product.client(staff or self.rm)

    async def list_of(self, customer: Customer | None = None) -> str:
        """推荐内容 as the RM reads it."""
        who = customer or self.customer
        return await (await self.visitor()).text(f"/matches/customer/{who.id}")


@pytest.fixture
async def office(product: Product, session: AsyncSession) -> Office:
    return await Office(product, session).opened()


async def test_a_customers_page_shows_what_suits_and_why(office: Office) -> None:
    await office.matched()
    page = await (await office.visitor()).text(f"/customers/{office.customer.id}")
    assert f'hx-get="/matches/customer/{office.customer.id}"' in page
    shown = await office.list_of()
    for words in (
        NOTE, "6 天后到期：安心添利90天", "风险等级 R2，不高于客户的 C3", "营销内容",
        "现在可以联系，本月还可营销触达 4 次", "重新匹配",
    ):  # fmt: skip
        assert words in shown


async def test_a_woman_is_not_called_him(office: Office) -> None:
    beside = f"/sidebar/{office.customer.external_userid}/matches"
    for gender, words in ((2, "为什么是她"), (1, "为什么是他"), (0, "为什么是他")):
        office.customer.gender = gender
        await office.session.commit()
        side = await office.product.client(office.rm, "sidebar")
        assert words in await office.list_of()
        assert words in await side.text(beside)


async def test_a_customer_no_run_has_reached_is_matched_on_the_spot(office: Office) -> None:
    assert NOTE in await office.list_of()
    assert (await office.session.execute(select(CustomerMatch))).all() == []


async def test_matching_again_keeps_what_has_happened_since(office: Office) -> None:
    await office.matched()
    for title in ("如何修改手机银行密码", "什么是净值型理财"):
        await an_approved_material(office.session, title=title, body=title, questions=[title])
    await asked(office.session, "密码忘了怎么改", office.customer, office.rm, MONDAY)
    await office.session.commit()
    assert "修改手机银行密码" not in await office.list_of()
    visitor = await office.visitor()
    answer = await visitor.post(f"/matches/customer/{office.customer.id}")
    assert answer.status == 200
    assert "今天问过“密码忘了怎么改”" in await answer.text()
    assert "如何修改手机银行密码" in await office.list_of()


async def test_a_withdrawn_material_is_gone_from_the_page_at_once(office: Office) -> None:
    await office.matched()
    assert NOTE in await office.list_of()
    office.note.state, office.note.reason, office.note.ended_at = (
        State.WITHDRAWN, "过时", MONDAY,
    )  # fmt: skip
    await office.session.commit()
    shown = await office.list_of()
    assert NOTE not in shown
    assert "现在没有适合推荐的内容" in shown


async def test_without_consent_to_marketing_the_page_says_so(office: Office) -> None:
    shy = await a_customer(office.session, branch=office.branch, consents=False)
    await a_follow(office.session, office.rm, shy)
    await an_approved_material(office.session, title="赎回多久到账")
    await office.session.commit()
    shown = await office.list_of(shy)
    assert "没有营销授权" in shown
    assert NOTE not in shown
    assert "赎回多久到账" in shown


@pytest.mark.parametrize("known", [True, False])
async def test_while_a_complaint_is_open_nothing_that_sells_is_recommended(
    office: Office, known: bool
) -> None:
    await an_approved_material(office.session, title="赎回多久到账")
    await office.matched()
    assert NOTE in await office.list_of()
    desk = await office.visitor()
    assert "6 天后到期" in await desk.text("/")
    contact = "" if known else str(office.customer.external_userid)
    heard = Heard(
        CareKind.COMPLAINT, office.customer.id if known else None, office.rm.id, "message:1",
        "我要投诉", ("含投诉用语",), contact,
    )  # fmt: skip
    await care.hear(office.session, heard, MONDAY)
    await office.session.commit()
    shown = await office.list_of()
    assert "投诉还没有办结：暂停营销" in shown
    assert "现在可以联系" not in shown
    assert NOTE not in shown
    assert "赎回多久到账" in shown
    assert "6 天后到期" not in await desk.text("/")
    side = await office.product.client(office.rm, "sidebar")
    assert NOTE not in await side.text(f"/sidebar/{office.customer.external_userid}/matches")
    counted = await desk.text(f"/matches/material/{office.note.material_id}")
    assert "投诉还没有办结，暂停营销" in counted
    assert "适合 0 位" in counted
    await office.matched()
    assert NOTE not in await office.list_of()


async def test_nobody_sees_what_suits_a_customer_not_theirs(office: Office) -> None:
    await office.matched()
    other = await a_staff(office.session, Role.RM, branch=office.branch)
    await office.session.commit()
    visitor = await office.visitor(other)
    for answer in (
        await visitor.get(f"/matches/customer/{office.customer.id}"),
        await visitor.post(f"/matches/customer/{office.customer.id}"),
        await visitor.get("/matches/customer/nobody"),
    ):
        assert answer.status == 404
    shown = await visitor.text(f"/matches/material/{office.note.material_id}")
    assert "李女士" not in shown
    assert "您名下还没有客户" in shown


async def test_a_material_counts_whom_it_suits_and_why_not_the_rest(office: Office) -> None:
    session = office.session
    await office.one_more("赵先生", risk=1)
    await office.one_more("钱女士", consents=False)
    seen = await office.one_more("孙女士")
    await touchpoints.record(
        session,
        Seen(
            seen.id, office.rm.id, TouchpointKind.TOUCH_DELIVERED, "single_chat",
            MONDAY - timedelta(days=3), "touch", "1", office.note.id,
        ),
    )  # fmt: skip
    await office.matched()
    shown = await (await office.visitor()).text(f"/matches/material/{office.note.material_id}")
    for words in (
        "适合 1 位", "您可见的 4 位客户中", "没有营销授权", "风险承受能力不够，或测评失效",
        "近期收到过", "李女士", "6 天后到期",
    ):  # fmt: skip
        assert words in shown
    assert "赵先生" not in shown
    assert "放进 SOP" not in shown


async def test_head_office_may_put_it_into_a_sop(office: Office) -> None:
    hq = await a_staff(office.session, Role.HQ)
    await office.session.commit()
    visitor = await office.visitor(hq)
    shown = await visitor.text(f"/matches/material/{office.note.material_id}")
    address = f"/sops/new?material={office.note.material_id}"
    assert address in shown
    form = await visitor.text(address)
    assert f'value="{office.note.material_id}" selected' in form


async def test_a_material_that_is_recommended_to_nobody_says_why(office: Office) -> None:
    office.note.channels = ["group"]
    await office.session.commit()
    shown = await (await office.visitor()).text(f"/matches/material/{office.note.material_id}")
    assert "没有批准用于单聊" in shown


async def sent_by_a_sop(session: AsyncSession, script: Version) -> None:
    """Head office makes it the step of a SOP."""
    hq = await a_staff(session, Role.HQ)
    step = DraftStep(day="-1", at="10:00", material_id=str(script.material_id))
    draft = DraftSop(name="到期衔接", goal="按时知道到账", steps=(step,))
    who = Signed(hq.id, hq.userid, hq.name, frozenset({Role.HQ}), None, "")
    assert isinstance(await sops.create(session, draft, who, MONDAY), Sop)
    await session.commit()


async def test_a_script_of_a_sop_waits_for_its_moment_and_says_so(office: Office) -> None:
    script = await an_approved_material(office.session, title="到期前一天提醒", kind=Kind.SCRIPT)
    await office.matched()
    assert script.title in await office.list_of()
    await sent_by_a_sop(office.session, script)
    assert script.title not in await office.list_of()
    assert NOTE in await office.list_of()
    page = await (await office.visitor()).text(f"/matches/material/{script.material_id}")
    assert "由 SOP 到时发送；要单独推荐，请另建一份素材" in page


async def test_neither_the_night_nor_the_command_matches_a_script_of_a_sop(office: Office) -> None:
    script = await an_approved_material(office.session, title="到期前一天提醒", kind=Kind.SCRIPT)
    await sent_by_a_sop(office.session, script)
    parts = office.product.parts
    stored = select(CustomerMatch.version_id)
    assert await clock.match(parts.sessions, parts.wecom, parts.settings, MONDAY) == 1
    assert set((await office.session.execute(stored)).scalars()) == {office.note.id}
    await match_all(parts.settings, MONDAY, afresh=True)
    assert set((await office.session.execute(stored)).scalars()) == {office.note.id}


async def test_today_names_who_calls_for_it_and_not_who_heard_from_us(office: Office) -> None:
    await office.matched()
    visitor = await office.visitor()
    page = await visitor.text("/")
    assert "今日适合联系" in page
    assert "6 天后到期：安心添利90天" in page
    await touchpoints.record(
        office.session,
        Seen(
            office.customer.id, office.rm.id, TouchpointKind.REPLY_SENT, "single_chat",
            MONDAY - timedelta(hours=1), "message", "1",
        ),
    )  # fmt: skip
    await office.session.commit()
    assert "今天没有特别需要联系的客户" in await visitor.text("/")


async def test_today_keeps_the_quota_of_marketing(office: Office, settings: Settings) -> None:
    await office.matched()
    who = Signed(
        office.rm.id, office.rm.userid, office.rm.name, frozenset({Role.RM}), office.branch.id, ""
    )
    none_left = settings.model_copy(update={"marketing_per_month": 0})
    for allowed, names in ((settings, ["李女士"]), (none_left, [])):
        found = await contact_today.of_rm(office.session, who, allowed, MONDAY, 8)
        assert [customer.name for customer, _ in found] == names


async def test_one_material_does_not_fill_the_day(office: Office) -> None:
    for number in range(5):
        more = await office.one_more(f"客户{number}")
        await a_holding(office.session, more, product=office.sold.code, matures_on=SOON)
    await office.matched()
    page = await (await office.visitor()).text("/")
    assert page.count(f'href="/content/{office.note.material_id}"') == 2


async def test_the_last_run_stands_on_the_page_of_the_index(office: Office) -> None:
    hq = await a_staff(office.session, Role.HQ)
    await office.session.commit()
    visitor = await office.visitor(hq)
    assert "还没有匹配过" in await visitor.text("/knowledge")
    await office.matched()
    page = await visitor.text("/knowledge")
    assert "已完成" in page
    assert "1 位" in page


async def test_beside_the_chat_the_best_come_first(office: Office) -> None:
    await office.matched()
    sidebar = await office.product.client(office.rm, "sidebar")
    contact = office.customer.external_userid
    assert f"/sidebar/{contact}/matches" in await sidebar.text(f"/sidebar/{contact}/materials")
    shown = await sidebar.text(f"/sidebar/{contact}/matches")
    assert "为李女士推荐" in shown
    assert f"选用推荐的《{NOTE}》" in shown
    office.rm.certified_until = None
    await office.session.commit()
    assert NOTE not in await sidebar.text(f"/sidebar/{contact}/matches")

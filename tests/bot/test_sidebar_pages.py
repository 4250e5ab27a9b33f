"""The sidebar over HTTP: whose customer it is, and what happens when WeCom does not answer."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import AuditEntry, Role
from bank.settings import Settings
from content.models import Kind
from content.script_models import ScriptFavourite
from customers.models import (
    CorpTag,
    Customer,
    CustomerGroup,
    CustomerTag,
    Follow,
    FollowState,
    GroupMember,
    Stage,
)
from knowledge.models import Suggestion
from tests.builders import MONDAY, a_customer, a_follow, a_product, a_staff, an_approved_material
from tests.conftest import Clock
from tests.town import Town, a_town

UNKNOWN = "你们食堂的红烧肉好吃吗"


@pytest.fixture
async def town(settings: Settings, clock: Clock, session: AsyncSession) -> AsyncIterator[Town]:
    """The product and the platform."""
    async with a_town(settings, clock, session) as made:
        yield made


async def tagged(town: Town, session: AsyncSession, *names: str) -> dict[str, str]:
    """Company tags at WeCom and in our tables: name → id."""
    made = await town.parts.wecom.tags.create(names, group_name="人生规划")
    ids = {tag.name: tag.id for tag in made.tags}
    session.add_all(
        CorpTag(tag_id=one, name=name, group_id=made.id, group_name="人生规划")
        for name, one in ids.items()
    )
    await session.commit()
    return ids


async def asked(town: Town, question: str = UNKNOWN) -> Suggestion:
    """The customer has asked, and the newest suggestion for it."""
    await town.writes(question)
    await town.works()
    made: list[Suggestion] = await town.all(Suggestion)
    return max(made, key=lambda one: one.created_at)


def here(customer: Customer) -> str:
    """The address of the chat."""
    return f"/sidebar/{customer.external_userid}"


async def test_nothing_of_a_colleagues_customer_is_shown_or_changed(
    town: Town, session: AsyncSession
) -> None:
    colleague = await a_staff(session, Role.RM, name="陈立")
    theirs = await a_customer(session, name="周先生")
    await a_follow(session, colleague, theirs)
    await session.commit()
    rm = await town.sidebar()
    for place in ("profile", "trail", "tags", "own-tags"):
        said = await rm.text(f"{here(theirs)}/{place}")
        assert "不在您的客户名单中" in said
        assert "周先生" not in said
    for place, form in (
        ("stage", {"stage": "following", "note": "试试"}),
        ("tags", {"tag": "et1"}),
    ):
        assert (await rm.post(f"{here(theirs)}/{place}", form)).status == 404
    made = await asked(town)
    other = await town.sidebar(colleague)
    asking = {"what": "person", "note": ""}
    assert (await other.post(f"/sidebar/suggestions/{made.id}/help", asking)).status == 404
    assert {c.stage for c in await town.all(Customer)} == {Stage.NEW}


async def test_a_tag_of_a_colleague_stays_and_the_rm_is_told(
    town: Town, session: AsyncSession
) -> None:
    ids = await tagged(town, session, "养老规划")
    colleague = await a_staff(session, Role.RM, name="陈立")
    await a_follow(session, colleague, town.customer)
    session.add(
        CustomerTag(customer_id=town.customer.id, name="养老规划", source="wecom", tagged_at=MONDAY)
    )
    await session.commit()
    contact = str(town.customer.external_userid)
    await town.control(
        "seed",
        members=[{"userid": colleague.userid, "name": "陈立"}],
        follows=[
            {
                "userid": colleague.userid,
                "external_userid": contact,
                "created_at": MONDAY.isoformat(),
                "tags": list(ids.values()),
            }
        ],
    )
    said = await (await (await town.sidebar()).post(f"{here(town.customer)}/tags", {})).text()
    assert "“养老规划”也由其他同事标注，仍然保留" in said
    assert [tag.name for tag in await town.all(CustomerTag)] == ["养老规划"]


async def test_where_wecom_does_not_answer_tags_stay_as_they_are(
    town: Town, session: AsyncSession
) -> None:
    ids = await tagged(town, session, "养老规划")
    rm = await town.sidebar()
    await town.control(
        "faults", api=[{"path": "externalcontact/mark_tag", "times": 1, "answer": 40068}]
    )
    answer = await rm.post(f"{here(town.customer)}/tags", {"tag": ids["养老规划"]})
    assert answer.status == 422
    assert "企业微信没有接受这次修改" in await answer.text()
    assert await town.all(CustomerTag) == []
    assert not [e for e in await town.all(AuditEntry) if e.action == "customers:customer:tag"]


async def test_a_tag_that_is_no_more_changes_nothing(town: Town, session: AsyncSession) -> None:
    await tagged(town, session, "养老规划")
    answer = await (await town.sidebar()).post(f"{here(town.customer)}/tags", {"tag": "et-gone"})
    assert answer.status == 200
    assert await town.all(CustomerTag) == []


async def test_help_is_asked_once_and_only_of_somebody_there(
    town: Town, session: AsyncSession
) -> None:
    rm, made = await town.sidebar(), await asked(town)
    address = f"/sidebar/suggestions/{made.id}/help"
    alone = await rm.post(address, {"what": "person"})
    assert alone.status == 422
    assert "没有可以转交的同事" in await alone.text()
    assert (await rm.post(address, {"what": "material", "note": "字" * 201})).status == 422
    assert (await rm.post(address, {"what": "anything"})).status == 404
    assert (await rm.post(address, {"what": "material", "note": "客户13812345678问"})).status == 200
    again = await rm.post(address, {"what": "material"})
    assert "已经提需求，不用重复提交" in await again.text()
    [kept] = await town.all(Suggestion)
    assert kept.help["material"]["note"] == "客户[手机号]问"
    actions = [entry.action for entry in await town.all(AuditEntry)]
    assert actions.count("knowledge:suggestion:help_material") == 1


async def test_a_colleague_who_could_not_be_told_was_not_asked(
    town: Town, session: AsyncSession
) -> None:
    manager = await a_staff(session, Role.BRANCH_MANAGER, name="陈行长")
    manager.branch_id = town.rm.branch_id
    await session.commit()
    rm, made = await town.sidebar(), await asked(town)
    # WeCom does not know this member: nobody was reached.
    answer = await rm.post(f"/sidebar/suggestions/{made.id}/help", {"what": "person"})
    assert answer.status == 422
    assert "还没有转给同事" in await answer.text()
    [kept] = await town.all(Suggestion)
    assert kept.help == {}


async def test_a_product_above_the_customer_is_named_and_one_within_is_not(
    town: Town, session: AsyncSession
) -> None:
    await a_product(session, rating=5, name="云杉进取")
    await a_product(session, rating=3, name="云杉均衡")
    await session.commit()
    above = await asked(town, "云杉进取怎么样")
    assert above.filters["above"] == [{"name": "云杉进取", "rating": 5}]
    within = await asked(town, "云杉均衡怎么样")
    assert within.filters["above"] == []
    page = await (await town.sidebar()).text(f"{here(town.customer)}/suggest")
    assert "客户 C3 &lt; 产品 R5" not in page, "that was the question before"


async def test_who_asks_about_one_product_is_not_answered_with_another(
    town: Town, session: AsyncSession
) -> None:
    await a_product(session, rating=5, name="云杉进取")
    near = await a_product(session, rating=3, name="云杉均衡")
    await an_approved_material(
        session, title="云杉均衡怎么样", kind=Kind.PRODUCT_NOTE, risk=3, products=[near]
    )
    await session.commit()
    own = await asked(town, "云杉均衡怎么样")
    assert own.candidates[0]["title"] == "云杉均衡怎么样"
    other = await asked(town, "云杉进取怎么样")
    assert "云杉均衡怎么样" not in [found["title"] for found in other.candidates]
    page = await (await town.sidebar()).text(f"{here(town.customer)}/suggest")
    assert "客户 C3 &lt; 产品 R5" in page


async def test_an_offer_the_customer_may_no_longer_get_says_what_instead(
    town: Town, session: AsyncSession
) -> None:
    product = await a_product(session, rating=3)
    await an_approved_material(
        session, title="安心添利说明", kind=Kind.PRODUCT_NOTE, risk=3, products=[product]
    )
    await session.commit()
    await asked(town, "我赎回的钱几天能到账啊")
    customer = await session.get_one(Customer, town.customer.id)
    customer.risk_level = 2
    await session.commit()
    page = await (await town.sidebar()).text(f"{here(town.customer)}/suggest")
    assert "客户 C2 &lt; 产品 R3" in page
    assert "可以改为介绍 R2 及以下的产品" in page
    assert "data-send" not in page


async def test_while_a_complaint_is_open_no_quota_of_marketing_is_told(
    town: Town, session: AsyncSession
) -> None:
    await an_approved_material(session)
    await session.commit()
    await asked(town, "赎回几天到账")
    rm = await town.sidebar()
    assert "本月营销触达还剩" in await rm.text(f"{here(town.customer)}/suggest")
    await asked(town, "我要投诉你们，必须给个说法")
    town.clock.forward(timedelta(minutes=1))
    await asked(town, "赎回的钱几天到账")
    shown = await rm.text(f"{here(town.customer)}/suggest")
    assert "投诉还没有办结，暂停营销" in shown
    assert "本月营销触达还剩" not in shown


async def test_the_circle_counts_living_groups_and_relations_only(
    town: Town, session: AsyncSession
) -> None:
    colleague, gone = await a_staff(session, Role.RM), await a_staff(session, Role.RM)
    await a_follow(session, colleague, town.customer)
    ended: Follow = await a_follow(session, gone, town.customer)
    ended.state, ended.removed_at = FollowState.REMOVED_BY_RM, MONDAY
    for number, (dismissed, left, shared) in enumerate(
        [(None, None, True), (None, None, False), (MONDAY, None, True), (None, MONDAY, True)]
    ):
        owner = town.rm.userid if shared else "somebody"
        group = CustomerGroup(chat_id=f"wr{number}", owner_userid=owner, dismissed_at=dismissed)
        session.add(group)
        await session.flush()
        session.add(
            GroupMember(
                group_id=group.id,
                member_id=str(town.customer.external_userid),
                customer_id=town.customer.id,
                joined_at=MONDAY - timedelta(days=1),
                left_at=left,
            )
        )
    await session.commit()
    page = "".join((await (await town.sidebar()).text(f"{here(town.customer)}/profile")).split())
    for label, number in (("跟进员工", 2), ("所在群聊", 2), ("共同群聊", 1)):
        assert f"<dt>{label}</dt><dd>{number}</dd>" in page


async def test_a_material_is_kept_at_hand_only_where_the_branch_may_use_it(
    town: Town, session: AsyncSession
) -> None:
    own = await an_approved_material(session, title="复利是什么", kind=Kind.EDUCATION)
    elsewhere = await an_approved_material(
        session, title="滨江专用", kind=Kind.EDUCATION, branch_ids=[own.id]
    )
    await session.commit()
    rm = await town.sidebar()
    address = f"{here(town.customer)}/favourite"
    assert (await rm.post(address, {"material": str(own.material_id)})).status == 200
    assert (await rm.post(address, {"material": str(elsewhere.material_id)})).status == 404
    assert (await rm.post(address, {"material": "x"})).status == 404
    assert [f.material_id for f in await town.all(ScriptFavourite)] == [own.material_id]
    listed = await rm.text(f"{here(town.customer)}/materials?kind=kept")
    assert "复利是什么" in listed


async def test_phone_numbers_are_masked_whatever_the_bank_sent(
    town: Town, session: AsyncSession
) -> None:
    customer = await session.get_one(Customer, town.customer.id)
    customer.mobile = "13812345678"
    await session.commit()
    page = await (await town.sidebar()).text(f"{here(town.customer)}/profile")
    assert "138****5678" in page
    assert "13812345678" not in page

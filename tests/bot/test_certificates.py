"""从业资格: one proposes a date, another agrees, and only then the RM may sell again (C-34)."""

from datetime import date, timedelta
from urllib.parse import unquote

import aiohttp
import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank import certificates
from bank.certificates import Standing, standing
from bank.models import AuditEntry, CertificateChange, Role, Staff
from tests.builders import MONDAY, a_branch, a_customer, a_follow, a_staff
from tests.conftest import Product, Visitor

LIST = "/system/certificates"
UNTIL = date(2027, 6, 30)
TODAY = date(2026, 11, 23)


async def an_rm(session: AsyncSession, until: date | None = None, **options: object) -> Staff:
    """An RM whose certificate ends then."""
    rm = await a_staff(session, Role.RM, **options)  # type: ignore[arg-type]
    rm.certified_until = until
    await session.flush()
    return rm


async def the_change(session: AsyncSession) -> CertificateChange:
    """The newest one asked for."""
    newest = select(CertificateChange).order_by(col(CertificateChange.proposed_at).desc()).limit(1)
    fresh = newest.execution_options(populate_existing=True)
    return (await session.execute(fresh)).scalar_one()


async def asks(
    visitor: Visitor, rm: Staff, until: str = "2027-06-30", reason: str = "证书 A-1"
) -> str:
    """Hand in the form; what the page says."""
    answer = await visitor.post(f"{LIST}/{rm.id}", {"until": until, "reason": reason})
    return unquote(answer.headers.get("Location", "")) or await answer.text()


@pytest.mark.parametrize(
    ("until", "stands"),
    [
        (None, Standing.MISSING),
        (TODAY - timedelta(days=1), Standing.ENDED),
        (TODAY, Standing.ENDING),
        (TODAY + certificates.ENDING, Standing.ENDING),
        (TODAY + certificates.ENDING + timedelta(days=1), Standing.VALID),
    ],
)
def test_the_last_day_of_a_certificate_still_counts(until: date | None, stands: Standing) -> None:
    assert standing(until, TODAY) is stands
    assert stands.sells == (stands in (Standing.ENDING, Standing.VALID))


async def test_a_date_counts_when_another_person_agrees_and_the_sidebar_says_why_until_then(
    product: Product, session: AsyncSession
) -> None:
    rm, hq = await an_rm(session, name="王敏"), await a_staff(session, Role.HQ, name="总行运营")
    zhoulan = await a_staff(session, Role.COMPLIANCE, name="周岚")
    customer = await a_customer(session)
    await a_follow(session, rm, customer)
    await session.commit()
    sidebar = await product.client(rm, "sidebar")
    materials = f"/sidebar/{customer.external_userid}/materials"
    assert "从业资格没有登记，只能原样发送投资者教育内容" in await sidebar.text(materials)
    desk, second = await product.client(hq), await product.client(zhoulan)
    assert "已提交" in await asks(desk, rm)
    assert "从业资格没有登记" in await sidebar.text(materials), "not before somebody agrees"
    change = await the_change(session)
    verdict = f"{LIST}/{rm.id}/changes/{change.id}"
    own = await desk.post(f"{verdict}/agree")
    assert own.status == 422
    assert certificates.OWN_CHANGE in await own.text()
    page = await second.text(f"{LIST}/{rm.id}")
    assert "证书 A-1" in page
    assert "确认生效" in page
    assert (await second.post(f"{verdict}/agree")).status == 303
    assert "从业资格" not in await sidebar.text(materials)
    assert "已生效" in await desk.text(f"{LIST}/{rm.id}")
    again = await second.post(f"{verdict}/agree")
    assert certificates.NOT_WAITING in await again.text()
    lines = select(AuditEntry).where(AuditEntry.subject == "certificate").order_by(AuditEntry.id)  # type: ignore[arg-type]
    told = [
        (e.action, e.actor, e.subject_id, e.detail["after"])
        for e in (await session.execute(lines)).scalars()
    ]
    assert told == [
        ("bank:certificate:propose", hq.userid, rm.userid, "2027-06-30"),
        ("bank:certificate:confirm", zhoulan.userid, rm.userid, "2027-06-30"),
    ]


async def test_a_refusal_needs_a_reason_and_changes_nothing(
    product: Product, session: AsyncSession
) -> None:
    rm, hq = await an_rm(session, TODAY), await a_staff(session, Role.HQ)
    zhoulan = await a_staff(session, Role.COMPLIANCE)
    await session.commit()
    desk, second = await product.client(hq), await product.client(zhoulan)
    await asks(desk, rm)
    verdict = f"{LIST}/{rm.id}/changes/{(await the_change(session)).id}/refuse"
    assert certificates.NO_NOTE in await (await second.post(verdict)).text()
    assert (await second.post(verdict, {"note": "证书编号不符"})).status == 303
    assert "证书编号不符" in await desk.text(f"{LIST}/{rm.id}")
    await session.refresh(rm)
    assert rm.certified_until == TODAY


@pytest.mark.parametrize(
    ("until", "reason", "says"),
    [
        ("2027-06-30", " ", certificates.NO_REASON),
        ("2027-06-30", "长" * 201, certificates.NO_REASON),
        ("2026-11-23", "x", certificates.SAME),
        ("2127-06-30", "x", certificates.TOO_FAR),
        ("明年", "x", "日期请写成"),
    ],
)
async def test_what_cannot_be_asked_for_is_said_and_the_typed_stays(
    product: Product, session: AsyncSession, until: str, reason: str, says: str
) -> None:
    rm, hq = await an_rm(session, TODAY), await a_staff(session, Role.HQ)
    await session.commit()
    page = await asks(await product.client(hq), rm, until, reason)
    assert says in page
    assert reason.strip() in page


async def test_nobody_registers_or_confirms_their_own_and_the_table_knows_it_too(
    product: Product, session: AsyncSession
) -> None:
    both = await a_staff(session, Role.RM, Role.HQ, name="身兼两职")
    hq, other = await a_staff(session, Role.HQ), await an_rm(session)
    await session.commit()
    own, desk = await product.client(both), await product.client(hq)
    assert certificates.THEIR_OWN in await asks(own, both)
    await asks(desk, other)
    verdict = f"{LIST}/{other.id}/changes/{(await the_change(session)).id}/agree"
    assert certificates.SELLS in await (await own.post(verdict)).text()
    assert certificates.WAITS in await asks(desk, other)
    for who in ({"proposed_by": both.id}, {"proposed_by": hq.id, "decided_by": hq.id}):
        async with product.parts.sessions() as inside:
            decided = {"agreed": True, "decided_at": MONDAY} if "decided_by" in who else {}
            inside.add(
                CertificateChange(
                    staff_id=both.id, until=UNTIL, reason="x", proposed_at=MONDAY, **who, **decided
                )
            )
            with pytest.raises(IntegrityError, match=r"not_their_own|four_eyes"):
                await inside.commit()


async def test_the_list_puts_those_who_may_not_sell_first_and_a_manager_sees_the_own_branch(
    product: Product, session: AsyncSession
) -> None:
    east, west = await a_branch(session, "城东支行"), await a_branch(session, "城西支行")
    await an_rm(session, UNTIL + timedelta(days=400), branch=east, name="甲有效")
    await an_rm(session, TODAY - timedelta(days=1), branch=east, name="乙到期")
    stranger = await an_rm(session, branch=west, name="丙未登记")
    hq = await a_staff(session, Role.HQ)
    manager = await a_staff(session, Role.BRANCH_MANAGER, branch=east)
    homeless = await a_staff(session, Role.BRANCH_MANAGER)
    await session.commit()
    page = await (await product.client(hq)).text(LIST)
    assert page.index("丙未登记") < page.index("乙到期") < page.index("甲有效")
    assert page.count("仅投资者教育") == 2
    only = await (await product.client(hq)).text(f"{LIST}?state=ended")
    assert "乙到期" in only
    assert "甲有效" not in only
    branch = await product.client(manager)
    assert "丙未登记" not in await branch.text(LIST)
    assert (await branch.get(f"{LIST}/{stranger.id}")).status == 404
    assert (await branch.post(f"{LIST}/{stranger.id}", {})).status == 403
    assert "还没有客户经理" in await (await product.client(homeless)).text(LIST)
    rm = await product.client(stranger)
    assert (await rm.get(LIST)).status == 403


async def test_a_file_of_dates_waits_row_by_row_and_is_agreed_to_at_once(
    product: Product, session: AsyncSession
) -> None:
    first, second, same = [await an_rm(session, until) for until in (None, TODAY, UNTIL)]
    hq, zhoulan = await a_staff(session, Role.HQ), await a_staff(session, Role.COMPLIANCE)
    await session.commit()
    rows = [
        "企业微信账号,从业资格有效期",
        f"{first.userid},2027/06/30",
        f"{second.userid.upper()},2027-06-30",
        f"{same.userid},2027-06-30",
        f"{hq.userid},2027-06-30",
        f"{first.userid},2028-06-30",
        f"{second.userid},下半年",
    ]
    form = aiohttp.FormData()
    form.add_field("reason", "人力资源部 2026-11 名单")
    form.add_field("file", "\n".join(rows).encode(), filename="dates.csv")
    desk, compliance = await product.client(hq), await product.client(zhoulan)
    done = await (await desk.post(f"{LIST}/import", form)).text()
    assert "待确认 2" in done
    assert "已登记且相同 1" in done
    for why in (certificates.NOT_AN_RM, certificates.WAITS, "有效期请写成"):
        assert why in done
    waiting = select(CertificateChange.id).where(col(CertificateChange.agreed).is_(None))
    ids = [str(id_) for id_ in (await session.execute(waiting)).scalars()]
    listed = await compliance.text(LIST)
    assert all(f'value="{id_}"' in listed for id_ in ids)
    ticked = [("change", id_) for id_ in (*ids, ids[0], "x")]
    answer = await compliance.post(f"{LIST}/agree", ticked)
    assert "已确认 2 项；1 项未确认" in unquote(answer.headers["Location"])
    for rm in (first, second):
        await session.refresh(rm)
        assert rm.certified_until == UNTIL
    bare = await desk.post(f"{LIST}/import", {"reason": ""})
    assert bare.status == 422
    assert "请选择文件" in await bare.text()

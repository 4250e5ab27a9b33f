"""`siyu import customers`, `holdings`, `follows`: the bank's facts, once, beside WeCom's."""

import csv
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from attribution.models import Conversion, ConversionState
from bank.calendar import local_day
from bank.database import utc_now
from bank.models import AuditEntry, Role
from bank.settings import Settings
from bot.importing import import_file
from customers import customer_imports, holds, imports
from customers.book import holdings_of
from customers.models import Customer, Follow, FollowState, Holding
from tests.builders import a_branch, a_customer, a_follow, a_staff

TODAY = local_day(utc_now())
ASSESSED = (TODAY - timedelta(days=40)).isoformat()
Import = Callable[..., Awaitable[dict[str, int]]]


@pytest.fixture
def taken(settings: Settings, session: AsyncSession, tmp_path: Path) -> Import:
    """Write a file of these lines and import it."""

    async def take(kind: str, *lines: str, dry_run: bool = False) -> dict[str, int]:
        await session.commit()
        file = tmp_path / f"{kind}.csv"
        file.write_text("\n".join(lines), encoding="utf-8")
        counts = await import_file(settings, kind, file, "core", dry_run)
        session.expunge_all()
        return counts

    return take


def reasons(tmp_path: Path, kind: str) -> list[str]:
    """Why rows were rejected, in the order of the file beside."""
    beside = tmp_path / f"{kind}.csv.rejects.csv"
    rows = csv.DictReader(beside.read_text(encoding="utf-8-sig").splitlines())
    return [row["reason"] for row in rows]


async def by_number(session: AsyncSession, bank_no: str) -> Customer:
    return (await session.execute(select(Customer).where(Customer.bank_no == bank_no))).scalar_one()


async def test_a_customer_comes_with_what_the_bank_knows(
    taken: Import, session: AsyncSession
) -> None:
    branch = await a_branch(session)
    heads = "客户号,外部联系人ID,姓名,性别,出生日期,手机号,风险等级,测评日期,客户层级,职业,支行代码"
    line = f"88001,wmA,张晓岚,女,1980-05-06,13812345678,C3,{ASSESSED},私人银行,教师,{branch.code}"
    assert await taken("customers", heads, line) == {
        "read": 1, "new": 1, "changed": 0, "same": 0, "rejected": 0,
    }  # fmt: skip
    customer = await by_number(session, "88001")
    assert (customer.name, customer.gender, customer.born_on) == ("张晓岚", 2, date(1980, 5, 6))
    assert customer.mobile == "138****5678", "more is not kept"
    assert (customer.risk_level, local_day(customer.risk_assessed_at or utc_now())) == (
        3, date.fromisoformat(ASSESSED),
    )  # fmt: skip
    assert (customer.tier, customer.occupation, customer.branch_id) == (
        "私人银行", "教师", branch.id,
    )  # fmt: skip
    assert (await taken("customers", heads, line))["same"] == 1
    [line_of_book] = (
        await session.execute(select(AuditEntry).where(AuditEntry.subject == "customers"))
    ).scalars()
    assert line_of_book.detail["new"] == 1


async def test_a_contact_gets_its_number_and_what_waited_for_it_is_credited(
    taken: Import, session: AsyncSession
) -> None:
    customer = await a_customer(session)
    customer.bank_no = None
    await taken(
        "conversions",
        "reference,customer_no,product_code,amount,happened_at",
        "TX1,88002,P1,50000.00,2026-11-20 10:30:00",
    )
    [held] = (await session.execute(select(Conversion))).scalars()
    assert held.state == ConversionState.HELD
    counts = await taken(
        "customers", "customer_no,external_userid", f"88002,{customer.external_userid}"
    )
    assert counts["changed"] == 1
    [credited] = (await session.execute(select(Conversion))).scalars()
    assert (credited.customer_id, credited.state) == (
        customer.id, ConversionState.UNATTRIBUTED,
    )  # fmt: skip


async def test_an_empty_cell_says_nothing(taken: Import, session: AsyncSession) -> None:
    customer = await a_customer(session, name="李女士")
    number = customer.bank_no or ""
    heads = "customer_no,name,tier,risk_level,risk_assessed_on"
    assert (await taken("customers", heads, f"{number},,金卡,,"))["changed"] == 1
    now = await by_number(session, number)
    assert (now.name, now.tier, now.risk_level) == ("李女士", "金卡", 3)


async def test_customers_that_cannot_be_taken_are_told_why(
    taken: Import, session: AsyncSession, tmp_path: Path
) -> None:
    one, two, three = [await a_customer(session) for _ in range(3)]
    heads = "customer_no,external_userid,name,gender,mobile,risk_level,risk_assessed_on,branch"
    lines = {
        "7001,,何先生,,,,,": customer_imports.NO_CONTACT,
        "7002,wmNEW,,,,,,": customer_imports.NO_NAME,
        f"{one.bank_no},{two.external_userid},,,,,,": customer_imports.OTHER_NUMBER,
        f"{three.bank_no},wmOTHER,,,,,,": customer_imports.OTHER_CONTACT,
        "7003,wmB,何先生,,,,,B999": customer_imports.NO_BRANCH,
        "7004,wmC,何先生,先生,,,,": "性别请填写男、女或未知",
        "7005,wmD,何先生,,12345,,,": "手机号须为 11 位手机号",
        "7006,wmE,何先生,,,C7,2026-01-01,": "风险等级请填写 C1 至 C5",
        "7007,wmF,何先生,,,C3,,": "风险等级与测评日期须同时提供",
        "7008,wmG,何先生,,,C3,2999-01-01,": "测评日期须写成 2026-11-20，且不晚于今天",
        ",wmH,何先生,,,,,": "缺少客户号",
        f"{'9' * 65},wmI,何先生,,,,,": "客户号过长或含有不可见字符",
    }
    counts = await taken("customers", heads, *lines)
    assert counts["rejected"] == counts["read"] == len(lines)
    assert sorted(reasons(tmp_path, "customers")) == sorted(lines.values())
    known = (await session.execute(select(Customer.id))).scalars().all()
    assert set(known) == {one.id, two.id, three.id}


async def test_the_same_number_twice_in_a_file(
    taken: Import, session: AsyncSession, tmp_path: Path
) -> None:
    lines = ["7001,wmA,何先生", "7001,wmA,何先生", "7001,wmA,何女士"]
    counts = await taken("customers", "customer_no,external_userid,name", *lines)
    assert (counts["new"], counts["same"], counts["rejected"]) == (1, 1, 1)
    assert reasons(tmp_path, "customers") == [imports.TWICE]


async def test_holdings_are_told_again_corrected_and_ended(
    taken: Import, session: AsyncSession
) -> None:
    customer = await a_customer(session)
    heads = "客户号,产品代码,金额,买入日期,到期日期"
    first = f'{customer.bank_no},P1,"120,000.50",2026-03-02,2027-03-02'
    second = f"{customer.bank_no},P2,5000,2026-04-01,"
    assert (await taken("holdings", heads, first, second))["new"] == 2
    assert (await taken("holdings", heads, first, second))["same"] == 2
    [most, least] = await holdings_of(session, customer.id)
    assert (most.amount_cents, most.matures_on) == (12_000_050, date(2027, 3, 2))
    assert least.matures_on is None
    more = f"{customer.bank_no},P2,8000,2026-04-01,"
    assert (await taken("holdings", heads, more))["changed"] == 1
    sold = f"{customer.bank_no},P1,0,2026-03-02,"
    assert (await taken("holdings", heads, sold))["changed"] == 1
    assert (await taken("holdings", heads, sold))["same"] == 1
    assert [h.amount_cents for h in await holdings_of(session, customer.id)] == [800_000]
    kept = select(Holding.ended_on).where(Holding.product_code == "P1")
    # The file was read on the real clock, and a day may have ended since this module was.
    ended = (await session.execute(kept)).scalar_one()
    assert TODAY <= ended <= local_day(utc_now()), "what was held stays known"


async def test_a_holding_of_a_customer_under_legal_hold_ends_too(
    taken: Import, session: AsyncSession
) -> None:
    customer = await a_customer(session)
    heads = "customer_no,product_code,amount,bought_on"
    await taken("holdings", heads, f"{customer.bank_no},P1,100,2026-03-02")
    await holds.place(session, customer, "协查函 1 号", by="staff1", now=utc_now())
    counts = await taken("holdings", heads, f"{customer.bank_no},P1,0,2026-03-02")
    assert (counts["changed"], counts["rejected"]) == (1, 0), "nothing tells of the hold"
    assert await holdings_of(session, customer.id) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("99999,P1,100,2026-03-02,", imports.NO_CUSTOMER),
        ("{no},P1,一百,2026-03-02,", "金额须为以元为单位、最多两位小数的数字，已赎回或到期的填 0"),
        ("{no},P1,-5,2026-03-02,", "金额须为以元为单位、最多两位小数的数字，已赎回或到期的填 0"),
        ("{no},P1,100,昨天,", "买入日期须写成 2026-11-20，且不晚于今天"),
        ("{no},P1,100,2026-03-02,2026-03-01", "到期日期须写成 2026-11-20，并晚于买入日期"),
        ("{no},,100,2026-03-02,", "缺少产品代码"),
    ],
)
async def test_holdings_that_cannot_be_taken_are_told_why(
    taken: Import, session: AsyncSession, tmp_path: Path, line: str, reason: str
) -> None:
    customer = await a_customer(session)
    heads = "customer_no,product_code,amount,bought_on,matures_on"
    assert (await taken("holdings", heads, line.format(no=customer.bank_no)))["rejected"] == 1
    assert reasons(tmp_path, "holdings") == [reason]


async def test_relations_begin_and_wecoms_word_stands(
    taken: Import, session: AsyncSession, tmp_path: Path
) -> None:
    rm = await a_staff(session, Role.RM)
    told, fresh = await a_customer(session), await a_customer(session)
    over = await a_follow(session, rm, told)
    over.state, over.removed_at = FollowState.REMOVED_BY_CUSTOMER, utc_now()
    heads = "员工账号,客户号,添加日期"
    lines = [
        f"{rm.userid},{told.bank_no},2026-01-05",
        f"{rm.userid.upper()},{fresh.bank_no},2026-01-05",
        f"nobody,{fresh.bank_no},2026-01-05",
    ]
    counts = await taken("follows", heads, *lines)
    assert (counts["same"], counts["new"], counts["rejected"]) == (1, 1, 1)
    assert reasons(tmp_path, "follows") == [imports.NO_STAFF]
    rows = (await session.execute(select(Follow).order_by(col(Follow.added_at)))).scalars()
    states = {follow.customer_id: follow.state for follow in rows}
    assert states == {
        told.id: FollowState.REMOVED_BY_CUSTOMER, fresh.id: FollowState.ACTIVE,
    }  # fmt: skip


async def test_a_trial_run_counts_and_keeps_nothing(taken: Import, session: AsyncSession) -> None:
    line = "7001,wmA,何先生"
    heads = "customer_no,external_userid,name"
    assert (await taken("customers", heads, line, dry_run=True))["new"] == 1
    assert (await session.execute(select(Customer))).first() is None

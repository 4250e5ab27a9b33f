"""What waits for each role on the workbench: small tables, each with the way to the whole list."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from attribution import openings
from bank import certificates
from bank.calendar import local_day
from bank.models import AuditEntry, Role, Staff
from bank.settings import Settings
from bot import contact_today, system
from bot.groups import rows as group_rows
from bot.inbound.words import result_label
from bot.models import InboundEvent, InboundState
from content import product_history, queue, shelf
from content.product_changes import CONFIRMERS
from content.review import REVIEWERS
from customers.book import visible
from customers.models import Customer
from desk.render import count, day, when
from desk.signed import Signed
from knowledge import gap_rows
from knowledge.models import ContentGap, GapState, Suggestion, SuggestionState
from scheduler import records

SHOWN = 8
WAITING_DAYS = 7
READ_DAYS = 30
ALL_MATERIAL = shelf.Reader(only_live=False, branch_id=None)


@dataclass(frozen=True)
class Cell:
    """One cell: its words, where they lead, a tag's tone, and how it is set."""

    text: str
    href: str = ""
    tone: str = ""
    style: str = ""  # num, nowrap, clip, or nothing


@dataclass(frozen=True)
class Panel:
    """A table of the workbench."""

    title: str
    note: str
    more: str  # address of the whole list
    columns: list[tuple[str, str]]  # heading and its class
    rows: list[list[Cell]]
    empty: tuple[str, str] = field(default=("", ""))


async def of(session: AsyncSession, who: Signed, settings: Settings, now: datetime) -> list[Panel]:
    """The panels of these roles, what is most urgent first."""
    panels: list[Panel] = []
    if who.may(Role.RM, Role.BRANCH_MANAGER):
        panels += [await _questions(session, who), await _in_groups(session, who, now)]
    if who.may(Role.RM):
        panels.append(await _contacts(session, who, settings, now))
        if settings.radar != "off":
            panels.append(await _readings(session, who, settings, now))
    if who.may(Role.RM, Role.BRANCH_MANAGER):
        panels.append(await _tasks(session, who))
    if who.may(*REVIEWERS):
        panels.append(await _reviews(session, who, now))
    if who.may(*CONFIRMERS):
        panels.append(await _product_changes(session, who))
    if who.may(Role.EDITOR):
        panels += [await _returned(session, now), await _gaps(session, writes=True)]
    if who.may(Role.EDITOR, Role.APPROVER):
        panels.append(await _ending(session, now))
    if who.may(Role.COMPLIANCE):
        panels.append(await _blocked(session, who))
    if who.may(Role.HQ):
        panels += [await _sops(session, who), await _gaps(session, writes=who.may(Role.EDITOR))]
    if who.may(Role.AUDITOR):
        panels.append(await _audited(session))
    if who.may(Role.ADMIN):
        panels.append(await _quarantine(session))
    if who.may(Role.ADMIN, Role.HQ, Role.COMPLIANCE):
        panels.append(await _certificates(session, local_day(now)))
    return list({panel.title: panel for panel in panels}.values())


def _suggestions(who: Signed, state: SuggestionState) -> Select[Suggestion, str, str]:
    return (
        select(Suggestion, col(Customer.name), col(Staff.name))
        .join(Customer, col(Customer.id) == col(Suggestion.customer_id))
        .join(Staff, col(Staff.id) == col(Suggestion.staff_id))
        .where(visible(who), Suggestion.state == state)
        .order_by(col(Suggestion.created_at).desc())
        .limit(SHOWN)
    )


async def _questions(session: AsyncSession, who: Signed) -> Panel:
    query = _suggestions(who, SuggestionState.OFFERED)
    rows = [
        [
            Cell(name, f"/customers/{s.customer_id}", style="nowrap"),
            Cell(s.question, style="clip"),
            Cell(s.draft, f"/suggestions/{s.id}", style="clip"),
            Cell(rm, style="nowrap"),
            Cell(when(s.created_at), style="nowrap"),
        ]
        for s, name, rm in await session.execute(query)
    ]
    headings = ["客户", "问题", "推荐回复", "客户经理", "时间"]
    return Panel(
        "客户在等回复",
        "在企业微信侧边栏中发送",
        "/suggestions?state=offered",
        [(heading, "") for heading in headings],
        rows,
        ("没有等待回复的客户", "客户来信后会出现在这里和企业微信的侧边栏里。"),
    )


async def _in_groups(session: AsyncSession, who: Signed, now: datetime) -> Panel:
    first = local_day(now) - timedelta(days=WAITING_DAYS - 1)
    rows = [
        [
            Cell(line.question.question, _digest(line), style="clip"),
            Cell(line.group.name, style="clip"),
            Cell(count(line.times), style="num"),
            Cell(line.question.advice.label, style="nowrap"),
            Cell(when(line.last_at), style="nowrap"),
        ]
        for line in (await group_rows.waiting(session, who, first))[:SHOWN]
    ]
    return Panel(
        "群里在等回答",
        "在企业微信里打开这个群，从侧边栏发送",
        "/groups/questions?show=waiting",
        [("问题", ""), ("客户群", ""), ("提问次数", "num"), ("建议", ""), ("最近一次", "")],
        rows,
        ("群里没有待回答的问题", "相同意思的提问会合成一条列在这里。"),
    )


def _digest(line: group_rows.Line) -> str:
    return f"/groups/{line.group.id}/questions?day={line.question.day}"


async def _contacts(session: AsyncSession, who: Signed, settings: Settings, now: datetime) -> Panel:
    found = await contact_today.of_rm(session, who, settings, now, SHOWN)
    rows = [
        [
            Cell(customer.name, f"/customers/{customer.id}#matches", style="nowrap"),
            Cell("；".join(told.text for told in match.now), style="clip"),
            Cell(match.him[0].text if match.him else "—", style="clip"),
            Cell(match.piece.title, f"/content/{match.piece.material_id}", style="clip"),
        ]
        for customer, match in found
    ]
    headings = ["客户", "为什么是今天", "为什么是这位客户", "建议内容"]
    return Panel(
        "今日适合联系",
        "今天联系过和本月营销次数已满的不在此列",
        "/customers",
        [(heading, "") for heading in headings],
        rows,
        ("今天没有特别需要联系的客户", "客户近期提问、产品临近到期或久未联系时会出现在这里。"),
    )


async def _readings(session: AsyncSession, who: Signed, settings: Settings, now: datetime) -> Panel:
    since = now - timedelta(days=READ_DAYS)
    found = await openings.latest(session, visible(who), settings.radar, since, now, SHOWN)
    rows = [
        [
            Cell(customer.name, f"/customers/{customer.id}", style="nowrap"),
            Cell(visit.title, f"/content/{visit.material_id}", style="clip"),
            Cell(openings.length(visit.seconds), style="num"),
            Cell(f"{visit.progress}%", style="num"),
            Cell(visit.doubt or "—", style="clip"),
            Cell(when(visit.at), style="nowrap"),
        ]
        for customer, visit in found
    ]
    return Panel(
        "客户最近看过的内容",
        f"近 {READ_DAYS} 天阅读 {openings.READ_SECONDS} 秒以上的；侧边栏“画像”里实时更新",
        "/customers",
        [("客户", ""), ("内容", ""), ("阅读", "num"), ("读到", "num"), ("备注", ""), ("时间", "")],
        rows,
        ("还没有客户打开您发的内容", "在侧边栏把图文或链接发给客户，客户打开后会出现在这里。"),
    )


async def _tasks(session: AsyncSession, who: Signed) -> Panel:
    rows = [
        [
            Cell(row.rm, style="nowrap"),
            Cell(row.task.text, "/touches", style="clip"),
            Cell(count(row.customers), style="num"),
            Cell(row.task.state.label, tone="orange", style="nowrap"),
            Cell(when(row.task.handed_at or row.task.intent_at), style="nowrap"),
        ]
        for row in await records.open_tasks(session, who, SHOWN)
    ]
    return Panel(
        "进行中的群发任务",
        "由客户经理在企业微信“群发助手”中确认",
        "/touches",
        [("客户经理", ""), ("内容", ""), ("客户数", "num"), ("状态", ""), ("提交时间", "")],
        rows,
        ("没有进行中的群发任务", "SOP 到点后会在这里和“群发助手”里等客户经理确认。"),
    )


async def _product_changes(session: AsyncSession, who: Signed) -> Panel:
    rows = [
        [
            Cell(product.name, f"/products/{product.code}"),
            Cell("；".join(f"{d.label} {d.old} → {d.new}" for d in e.differences), style="clip"),
            Cell(e.proposer, style="nowrap"),
            Cell(when(e.change.proposed_at), style="nowrap"),
        ]
        for product, e in (await product_history.waiting_for(session, who.id))[:SHOWN]
    ]
    headings = ["产品", "变更", "提交人", "提交时间"]
    return Panel(
        "待确认的产品变更",
        "由提交人以外的人确认后生效",
        "/products?change=waiting",
        [(heading, "") for heading in headings],
        rows,
        ("没有待确认的产品变更", "内容编辑或总行运营提交变更后会出现在这里。"),
    )


async def _reviews(session: AsyncSession, who: Signed, now: datetime) -> Panel:
    tasks = await queue.waiting_for(session, who, now)
    rows = [
        [
            Cell(f"{t.version.title} V{t.version.number}", f"/review/{t.version.id}"),
            Cell(t.material.kind.label, style="nowrap"),
            Cell(t.author, style="nowrap"),
            Cell(t.step_label, style="nowrap"),
            Cell(t.waited, tone="red" if t.overdue else "grey", style="nowrap"),
        ]
        for t in tasks[:SHOWN]
    ]
    headings = ["素材", "类型", "提交人", "环节", "已等待"]
    return Panel(
        "待我审批",
        "超过环节时限的标红",
        "/review",
        [(heading, "") for heading in headings],
        rows,
        ("没有等待您审批的素材", "编辑提交后会出现在这里；您自己提交的由其他审批人处理。"),
    )


async def _returned(session: AsyncSession, now: datetime) -> Panel:
    wanted = shelf.Wanted(state="rejected")
    found = await shelf.shelf(session, wanted, ALL_MATERIAL, now)
    rows = [
        [
            Cell(f"{r.version.title} V{r.version.number}", f"/content/{r.material.id}"),
            Cell(r.author, style="nowrap"),
            Cell(r.version.reason, style="clip"),
            Cell("修订", f"/content/{r.material.id}/revise", style="nowrap"),
        ]
        for r in found.rows[:SHOWN]
    ]
    return Panel(
        "被驳回，待修改",
        "按原因修改后重新提交",
        "/content?state=rejected",
        [("素材", ""), ("作者", ""), ("驳回原因", ""), ("操作", "")],
        rows,
        ("没有被驳回的素材", "审批人驳回时会写明原因，修改后可重新提交。"),
    )


async def _ending(session: AsyncSession, now: datetime) -> Panel:
    wanted = shelf.Wanted(state="expiring")
    found = await shelf.shelf(session, wanted, ALL_MATERIAL, now)
    rows = [
        [
            Cell(r.version.title, f"/content/{r.material.id}"),
            Cell(r.material.kind.label, style="nowrap"),
            Cell(r.author, style="nowrap"),
            Cell(when((r.live or r.version).valid_until, "%Y-%m-%d"), style="nowrap"),
        ]
        for r in found.rows[:SHOWN]
    ]
    return Panel(
        "30 天内到期的素材",
        "到期自动下线，需续用的请提前修订送审",
        "/content/expiring",
        [("素材", ""), ("类型", ""), ("作者", ""), ("有效期至", "")],
        rows,
        ("近期没有素材到期", "有效期在 30 天以内的素材会提前列在这里。"),
    )


async def _gaps(session: AsyncSession, *, writes: bool) -> Panel:
    rows = [
        [
            Cell(row.gap.question, _writing(row.gap) * writes),
            Cell(count(row.times), style="num"),
            Cell(when(row.newest), style="nowrap"),
        ]
        for row in (await gap_rows.gaps(session, GapState.OPEN, size=SHOWN)).rows
    ]
    return Panel(
        "客户常问、库里没有的",
        "点问题即可补一份素材" if writes else "按提问次数排列，问题已脱敏",
        "/gaps",
        [("客户的问题", ""), ("提问次数", "num"), ("最近一次", "")],
        rows,
        ("没有内容缺口", "客户的问题都能在素材库里找到依据。"),
    )


def _writing(gap: ContentGap) -> str:
    return f"/content/new?{urlencode({'gap': str(gap.id), 'question': gap.question})}"


async def _blocked(session: AsyncSession, who: Signed) -> Panel:
    query = _suggestions(who, SuggestionState.BLOCKED)
    rows = [
        [
            Cell(when(s.created_at), style="nowrap"),
            Cell(name, f"/customers/{s.customer_id}", style="nowrap"),
            Cell(rm, style="nowrap"),
            Cell(s.question, f"/suggestions/{s.id}", style="clip"),
            Cell(_why(s), style="clip"),
        ]
        for s, name, rm in await session.execute(query)
    ]
    headings = ["时间", "客户", "客户经理", "问题（已脱敏）", "拦截原因"]
    return Panel(
        "最近被合规拦截的推荐",
        "没有发给客户，可回放当时的依据",
        "/suggestions?state=blocked",
        [(heading, "") for heading in headings],
        rows,
        ("没有被拦截的推荐", "推荐内容触碰合规规则时不会展示给客户经理，并记录在这里。"),
    )


def _why(suggestion: Suggestion) -> str:
    findings = suggestion.verdict.get("findings", [])
    return "；".join(dict.fromkeys(str(f.get("reason", "")) for f in findings)) or "—"


async def _sops(session: AsyncSession, who: Signed) -> Panel:
    rows = [
        [
            Cell(line.sop.name, f"/sops/{line.sop.id}"),
            Cell(line.sop.state.label, tone="green" if line.sop.state.value == "running" else ""),
            Cell(line.sop.trigger.label),
            Cell(count(line.enrolled), f"/sops/{line.sop.id}#enrolments", style="num"),
            Cell(count(line.delivered), f"/touches?sop={line.sop.id}&state=delivered", style="num"),
        ]
        for line in (await records.sop_lines(session, who))[:SHOWN]
    ]
    return Panel(
        "SOP 运行情况",
        "累计入组与送达",
        "/sops",
        [("SOP", ""), ("状态", ""), ("触发方式", ""), ("入组", "num"), ("已送达", "num")],
        rows,
        ("还没有 SOP", "新建并启动 SOP 后，符合条件的客户会自动入组。"),
    )


async def _audited(session: AsyncSession) -> Panel:
    names = await system.actor_names(session)
    business = col(AuditEntry.action) != "desk:staff:signin"
    rows = [
        [
            Cell(when(line.entry.at), style="nowrap"),
            Cell(line.actor, style="nowrap"),
            Cell(line.action, style="nowrap"),
            Cell(f"{line.subject} {line.short_id}", line.href, style="nowrap"),
            Cell("；".join(f"{k} {v}" for k, v in line.details) or "—", style="clip"),
        ]
        for line in await system.audit_lines(session, names, [business], SHOWN)
    ]
    headings = ["时间", "操作人", "操作", "对象", "明细"]
    return Panel(
        "最近的操作",
        "不含登录；与业务同一事务写入，不可修改",
        "/system/audit",
        [(heading, "") for heading in headings],
        rows,
        ("还没有操作记录", "审批、下线、发送、登录都会留痕。"),
    )


async def _quarantine(session: AsyncSession) -> Panel:
    query = (
        select(InboundEvent)
        .where(InboundEvent.state == InboundState.QUARANTINED)
        .order_by(col(InboundEvent.id).desc())
        .limit(SHOWN)
    )
    rows = [
        [
            Cell(str(event.id), style="num"),
            Cell(when(event.received_at), style="nowrap"),
            Cell(str(event.attempts), style="num"),
            Cell(result_label(event.outcome), style="clip"),
        ]
        for event in (await session.execute(query)).scalars()
    ]
    return Panel(
        "隔离中的回调",
        "排除原因后可以重放",
        "/system/inbound?state=quarantined",
        [("编号", "num"), ("收到时间", ""), ("尝试", "num"), ("失败原因", "")],
        rows,
        ("隔离区是空的", "三次处理失败的回调会停在隔离区，不影响其他事件。"),
    )


async def _certificates(session: AsyncSession, today: date) -> Panel:
    everyone = await certificates.holders(session, today, None)
    due = [h for h in everyone if h.waiting or h.standing is not certificates.Standing.VALID]
    rows = [
        [
            Cell(one.staff.name, f"/system/certificates/{one.staff.id}", style="nowrap"),
            Cell(day(one.staff.certified_until), style="nowrap"),
            Cell(one.standing.label, tone="orange" if one.standing.sells else "red"),
            Cell("修改待确认" if one.waiting else "—", style="nowrap"),
        ]
        for one in due[:SHOWN]
    ]
    return Panel(
        "需要处理的从业资格",
        "未登记或已到期的客户经理只能发送投资者教育",
        "/system/certificates",
        [("客户经理", ""), ("有效期至", ""), ("状态", ""), ("修改", "")],
        rows,
        ("没有需要处理的从业资格", "120 天内到期、已到期或未登记的会提前列在这里。"),
    )

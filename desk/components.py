"""Every component of the house on one page: its look is decided, seen and tested in one place."""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from aiohttp import web

from bank.models import Role
from desk.permissions import allow
from desk.render import STATIC, page
from desk.signed import now_of

routes = web.RouteTableDef()

DAY_LABELS = ["11-09", "11-10", "11-11", "11-12", "11-13", "11-14", "11-15"]


@dataclass(frozen=True)
class SampleMaterial:
    """A row of the sample table."""

    title: str
    kind: str
    product: str
    risk: str
    status: tuple[str, str]  # words and tone of the tag
    used: int  # times sent
    value_cents: int  # attributed value
    valid_until: date


@dataclass(frozen=True)
class SampleFinding:
    """A finding of the wording check."""

    level: str  # block, warn or pass
    category: str
    reason: str


@dataclass(frozen=True)
class ComponentsPage:
    """Page `/system/components`: samples of everything a page may be composed of."""

    materials: tuple[SampleMaterial, ...]  # rows of the table
    findings: tuple[SampleFinding, ...]  # one of each level
    timeline: tuple[tuple[datetime, str, str, str], ...]  # when, title, text, tone
    trend: dict[str, Any]  # ECharts option of a line chart
    ranking: dict[str, Any]  # ECharts option of a bar chart
    tones: tuple[tuple[str, str], ...]  # words and tone of each tag
    symbols: tuple[str, ...]  # names in icons.svg
    draft: str  # text whose preview follows the typing


@routes.get("/system/components")
@allow(Role.ADMIN)
async def components(request: web.Request) -> web.Response:
    """All components in all their states."""
    now = now_of(request)
    context = ComponentsPage(
        materials=_materials(now.date()),
        findings=FINDINGS,
        timeline=_timeline(now),
        trend=TREND,
        ranking=RANKING,
        tones=TONES,
        symbols=SYMBOLS,
        draft=DRAFT,
    )
    return page(request, "desk/components.html", context)


def _materials(today: date) -> tuple[SampleMaterial, ...]:
    return (
        SampleMaterial(
            "稳健理财四季度配置建议",
            "图文",
            "云享稳健 90 天",
            "R2",
            ("已上线", "green"),
            1286,
            3_820_000_00,
            today + timedelta(days=96),
        ),
        SampleMaterial(
            "净值回撤怎么看：三句话说清楚",
            "话术",
            "—",
            "R1",
            ("即将到期", "yellow"),
            842,
            965_000_00,
            today + timedelta(days=5),
        ),
        SampleMaterial(
            "固收增强产品说明（2026 年版）",
            "文件",
            "云享增强 180 天",
            "R3",
            ("待审", "orange"),
            0,
            0,
            today + timedelta(days=180),
        ),
        SampleMaterial(
            "年末资金安排邀请函",
            "海报",
            "—",
            "R1",
            ("已驳回", "red"),
            0,
            0,
            today + timedelta(days=40),
        ),
        SampleMaterial(
            "三季度市场回顾",
            "图文",
            "—",
            "R1",
            ("已过期", "dark"),
            2310,
            1_204_500_00,
            today - timedelta(days=20),
        ),
    )


def _timeline(now: datetime) -> tuple[tuple[datetime, str, str, str], ...]:
    return (
        (now - timedelta(minutes=12), "合规终审通过", "周岚：披露齐全，同意上线。", "green"),
        (now - timedelta(hours=3), "业务初审通过", "林哲：产品要素已与说明书核对。", "blue"),
        (now - timedelta(hours=20), "退回修改", "缺少“理财非存款”提示，请补充后重新提交。", "red"),
        (now - timedelta(days=1), "提交审批", "陈思雨提交第 3 版。", "grey"),
    )


TONES = (
    ("已上线", "green"),
    ("待审", "orange"),
    ("已驳回", "red"),
    ("即将到期", "yellow"),
    ("草稿", "grey"),
    ("已下线", "dark"),
    ("试运行", "blue"),
)
FINDINGS = (
    SampleFinding("block", "承诺收益", "“稳赚不赔”属于承诺保本保收益，不得向客户发送。"),
    SampleFinding("warn", "缺少披露", "提到业绩比较基准，请补充“不代表未来表现和实际收益”。"),
    SampleFinding("pass", "适当性", "客户风险等级 C3，产品风险等级 R2，可以推介。"),
)
DRAFT = (
    "{客户称呼}，您好。您上周问到的净值波动，我整理了一份说明：近一个月主要受债券市场利率上行影响，"
    "产品仍以中短期债券为主。\n\n理财非存款，产品有风险，投资须谨慎。"
)
TREND: dict[str, Any] = {
    "legend": {"top": 0, "left": 0},
    "xAxis": {"type": "category", "data": DAY_LABELS, "boundaryGap": False},
    "yAxis": {"type": "value"},
    "series": [
        {"type": "line", "name": "触达客户", "data": [312, 288, 405, 391, 452, 176, 163]},
        {"type": "line", "name": "客户回复", "data": [96, 88, 141, 152, 170, 61, 48]},
    ],
}
RANKING: dict[str, Any] = {
    "xAxis": {"type": "value"},
    "yAxis": {
        "type": "category",
        "inverse": True,
        "data": ["滨江支行", "人民路支行", "高新支行", "湖畔支行", "开发区支行"],
    },
    "series": [{"type": "bar", "name": "归因金额（万元）", "data": [386, 321, 274, 198, 120]}],
}
SYMBOLS = tuple(re.findall(r'<symbol id="([^"]+)"', (STATIC / "icons.svg").read_text()))

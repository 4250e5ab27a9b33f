"""The page of components: every component in all its states, for those who keep the look."""

import re

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from desk.render import STATIC
from tests.builders import a_staff
from tests.conftest import Product

COMPONENTS = {
    "button": 'class="btn btn-primary"',
    "field with error": 'aria-invalid="true"',
    "select": "<select",
    "table": '<table class="table">',
    "pager": 'class="pager"',
    "tabs": 'class="tabs" data-tabs',
    "drawer": '<dialog class="drawer"',
    "dialog": '<dialog class="dialog"',
    "toast": 'class="toast toast-red',
    "tag": 'class="tag tag-yellow"',
    "steps": "step-now",
    "empty state": 'class="empty"',
    "skeleton": 'class="skeleton"',
    "phone preview": 'class="phone"',
    "timeline": 'class="timeline"',
    "chart": "data-chart=",
    "number card": 'class="card stat',
    "findings": "finding-red",
    "quote": 'class="quote"',
    "confirmation": "data-confirm=",
}


async def test_an_admin_sees_every_component(session: AsyncSession, product: Product) -> None:
    admin = await a_staff(session, Role.ADMIN)
    await session.commit()
    shown = await (await product.client(admin)).text("/system/components")
    missing = [name for name, mark in COMPONENTS.items() if mark not in shown]
    assert missing == []


async def test_others_are_told_that_the_page_is_not_theirs(
    session: AsyncSession, product: Product
) -> None:
    rm = await a_staff(session, Role.RM)
    await session.commit()
    answer = await (await product.client(rm)).get(
        "/system/components", headers={"Accept": "text/html"}
    )
    assert answer.status == 403
    shown = await answer.text()
    assert "没有权限" in shown
    assert "您的角色不能打开这个页面" in shown


async def test_a_stranger_gets_an_error_page_without_menu(product: Product) -> None:
    answer = await (await product.client()).get("/nowhere", headers={"Accept": "text/html"})
    assert answer.status == 404
    shown = await answer.text()
    assert "没有找到" in shown
    assert 'id="menu"' not in shown


async def test_the_frame_says_who_is_signed_in_and_what_was_done(
    session: AsyncSession, product: Product
) -> None:
    admin = await a_staff(session, Role.ADMIN, name="周岚")
    await session.commit()
    visitor = await product.client(admin)
    shown = await visitor.text("/system/components?done=已提交审批")
    assert "周岚" in shown
    assert "系统管理" in shown
    assert f'<meta name="csrf" content="{visitor.csrf}">' in shown
    assert "<span>已提交审批</span>" in shown
    assert 'href="/system/components" title="组件" aria-current="page"' in shown


async def test_pages_bring_no_style_or_script_of_their_own_and_nothing_from_outside(
    session: AsyncSession, product: Product
) -> None:
    admin = await a_staff(session, Role.ADMIN)
    await session.commit()
    shown = await (await product.client(admin)).text("/system/components")
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script>", shown)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', shown)


async def test_every_icon_used_exists(session: AsyncSession, product: Product) -> None:
    admin = await a_staff(session, Role.ADMIN)
    await session.commit()
    visitor = await product.client(admin)
    shown = await visitor.text("/system/components")
    drawn = await visitor.text("/static/icons.svg")
    used = set(re.findall(r"icons\.svg\?v=\w+#([\w-]+)", shown))
    assert used - set(re.findall(r'<symbol id="([\w-]+)"', drawn)) == set()


def test_text_colours_can_be_read() -> None:
    style = (STATIC / "app.css").read_text()
    tokens = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", style))
    for tone in ("green", "orange", "red", "yellow"):
        assert contrast(tokens[tone], tokens[f"{tone}-soft"]) >= 4.5, tone
        assert contrast(tokens[tone], "#ffffff") >= 4.5, tone
    assert contrast(tokens["blue-strong"], "#ffffff") >= 4.5
    assert contrast(tokens["blue-strong"], tokens["blue-soft"]) >= 4.5
    assert contrast(tokens["grey-5"], tokens["grey-1"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Contrast of two colours by WCAG 2.1, 1 to 21."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

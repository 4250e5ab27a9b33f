"""Default deny: every address has a door, and only its roles get through it."""

import re
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from bot.app import PAGES
from desk.permissions import DOORS, Handler
from tests.builders import a_branch, a_staff
from tests.conftest import Product

R = Role
ALL = set(Role)
BUSINESS = {R.RM, R.BRANCH_MANAGER, R.COMPLIANCE, R.AUDITOR, R.HQ}

# Who may open which page. Written down by hand: a page that opens further shows up here.
TABLE: dict[str, set[Role]] = {
    "/": ALL,
    "/customers": BUSINESS,
    "/groups": BUSINESS,
    "/groups/questions": BUSINESS,
    "/groups/questions?show=waiting": BUSINESS,
    "/suggestions": BUSINESS,
    "/channels": {R.RM, R.BRANCH_MANAGER, R.HQ},
    "/channels/new": {R.BRANCH_MANAGER, R.HQ},
    "/welcomes": {R.RM, R.BRANCH_MANAGER, R.HQ},
    "/service": BUSINESS,
    "/service/accounts": {R.COMPLIANCE, R.AUDITOR, R.HQ},
    "/content": ALL - {R.ADMIN},
    "/content/export.xlsx": ALL - {R.ADMIN},
    "/content/expiring": ALL - {R.ADMIN, R.RM},
    "/content/new": {R.EDITOR},
    "/content/imports": {R.EDITOR},
    "/content/imports/template.csv": {R.EDITOR},
    "/review": {R.EDITOR, R.APPROVER, R.COMPLIANCE, R.AUDITOR},
    "/review/roads": {R.EDITOR, R.APPROVER, R.COMPLIANCE, R.AUDITOR, R.HQ},
    "/review/roads/edit?risk=low": {R.COMPLIANCE, R.HQ},
    "/products": ALL - {R.ADMIN},
    "/products/new": {R.EDITOR, R.HQ},
    "/products/import": {R.EDITOR, R.HQ},
    "/knowledge": {R.EDITOR, R.APPROVER, R.COMPLIANCE, R.AUDITOR, R.HQ},
    "/gaps": {R.EDITOR, R.COMPLIANCE, R.AUDITOR, R.HQ},
    "/scripts": ALL - {R.ADMIN},
    "/scripts/export.xlsx": {R.EDITOR},
    "/sops": BUSINESS,
    "/touches": BUSINESS,
    "/attribution": BUSINESS | {R.EDITOR},
    "/attribution/lines": BUSINESS,
    "/attribution/conversions": BUSINESS,
    "/attribution/import": {R.HQ, R.COMPLIANCE},
    "/system/inbound": {R.ADMIN, R.AUDITOR},
    "/system/wecom": {R.ADMIN, R.AUDITOR},
    "/system/repairs": {R.ADMIN, R.AUDITOR},
    "/system/staff": {R.ADMIN, R.AUDITOR},
    "/system/certificates": {R.ADMIN, R.BRANCH_MANAGER, R.COMPLIANCE, R.AUDITOR, R.HQ},
    "/system/certificates/import": {R.ADMIN, R.HQ},
    "/system/exports": BUSINESS,
    "/system/audit": {R.COMPLIANCE, R.AUDITOR},
    "/system/audit/chain": {R.COMPLIANCE, R.AUDITOR},
    "/system/audit/terms": {R.COMPLIANCE, R.AUDITOR},
    "/system/outbound": {R.COMPLIANCE, R.AUDITOR},
    "/system/components": {R.ADMIN},
}


def routes() -> list[tuple[str, str]]:
    """Every method and address of the product."""
    return sorted({(route.method, route.path) for module in PAGES for route in module.routes})


def test_every_handler_has_a_door() -> None:
    without = [
        route.path for module in PAGES for route in module.routes if route.handler not in DOORS
    ]
    assert without == []


async def test_only_its_roles_get_in(product: Product, session: AsyncSession) -> None:
    branch = await a_branch(session)
    staff = {role: await a_staff(session, role, branch=branch) for role in Role}
    await session.commit()
    let_in: dict[str, set[Role]] = {path: set() for path in TABLE}
    for role, person in staff.items():
        visitor = await product.client(person)
        for path in TABLE:
            status = (await visitor.get(path)).status
            assert status in (200, 403), f"{role} {path}: {status}"
            if status == 200:
                let_in[path].add(role)
    assert let_in == TABLE


async def test_nobody_gets_in_unsigned(product: Product) -> None:
    stranger = await product.client()
    for method, path in routes():
        somewhere = re.sub(r"\{\w+(:[^/]*\})?\}?", "00000000-0000-4000-8000-000000000000", path)
        answer = await stranger.http.request(
            method, product.base + somewhere, allow_redirects=False
        )
        if DOORS[handler_of(method, path)].public:
            assert answer.status not in (401, 500), path
        else:
            assert answer.status == 303, path
            assert "signin" in answer.headers["Location"]


async def test_a_form_without_its_token_changes_nothing(
    product: Product, session: AsyncSession
) -> None:
    person = await a_staff(session, *Role)
    await session.commit()
    desk, sidebar = await product.client(person), await product.client(person, "sidebar")
    for method, path in routes():
        door = DOORS[handler_of(method, path)]
        if method != "POST" or door.public:
            continue
        somewhere = re.sub(r"\{\w+(:[^/]*\})?\}?", "00000000-0000-4000-8000-000000000000", path)
        visitor = desk if door.place == "desk" else sidebar
        answer = await visitor.http.post(product.base + somewhere, allow_redirects=False)
        assert answer.status == 403, path


def handler_of(method: str, path: str) -> Handler:
    """The function behind an address."""
    return next(
        route.handler
        for module in PAGES
        for route in module.routes
        if (route.method, route.path) == (method, path)
    )


async def test_an_idle_sign_in_ends_after_half_an_hour(
    product: Product, session: AsyncSession
) -> None:
    person = await a_staff(session, Role.RM)
    await session.commit()
    visitor = await product.client(person)
    product.clock.forward(timedelta(minutes=29))
    assert (await visitor.get("/customers")).status == 200
    product.clock.forward(timedelta(minutes=31))
    assert (await visitor.get("/customers")).status == 303


async def test_disabled_staff_are_out_at_once(product: Product, session: AsyncSession) -> None:
    person = await a_staff(session, Role.RM)
    await session.commit()
    visitor = await product.client(person)
    person.enabled = False
    await session.commit()
    assert (await visitor.get("/customers")).status == 303


async def test_the_cookie_of_the_desk_does_not_open_the_sidebar(
    product: Product, session: AsyncSession
) -> None:
    person = await a_staff(session, Role.RM)
    await session.commit()
    visitor = await product.client(person)
    answer = await visitor.get("/sidebar")
    assert answer.headers["Location"].startswith("/sidebar/signin")


async def test_pages_carry_the_headers_that_keep_scripts_out(
    product: Product, session: AsyncSession
) -> None:
    person = await a_staff(session, Role.ADMIN)
    await session.commit()
    answer = await (await product.client(person)).get("/system/staff")
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-inline" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_signing_in_never_leads_to_another_site(product: Product) -> None:
    stranger = await product.client()
    for address in ("https://evil.example", "//evil.example", "/\\evil.example"):
        answer = await stranger.get(f"/signin?next={address}")
        assert answer.status == 303
        assert "evil" not in answer.headers["Location"]

"""Around every page: one transaction, the door, the form token, errors in words, headers."""

import hmac
from functools import cache
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from desk.keys import NOW, SESSIONS, SETTINGS
from desk.permissions import door_of
from desk.render import STATIC, error_page, mark_of
from desk.signed import COOKIES, SESSION, SIGNED, signed, who_is

log = structlog.get_logger("desk")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "no-store",
}
SAFE = {"GET", "HEAD", "OPTIONS"}

SAY = {
    HTTPStatus.FORBIDDEN: "您的角色不能打开这个页面。如需权限，请联系系统管理员。",
    HTTPStatus.NOT_FOUND: "没有找到这个页面，它可能已被移走，或不属于您的客户范围。",
    HTTPStatus.METHOD_NOT_ALLOWED: "这个地址不接受这种操作。",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "文件超过 20 MB，请压缩或拆分后再上传。",
}


def ours(request: web.Request) -> bool:
    """Whether the product itself answers, not an application mounted under it."""
    return len(request.match_info.apps) == 1


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A refusal or a fault becomes a page that says what to do; a fault is logged."""
    if not ours(request):
        return await handler(request)
    try:
        response = await handler(request)
    except web.HTTPException as refusal:
        if refusal.status < HTTPStatus.BAD_REQUEST:
            raise
        say = refusal.text if refusal.text and "：" in refusal.text else ""
        response = error_page(
            request, refusal.status, say or SAY.get(HTTPStatus(refusal.status), "")
        )
    except ConnectionResetError:
        raise
    except Exception:
        log.exception("page_failed", path=request.path, method=request.method)
        response = error_page(
            request, 500, "系统出错了，您的操作没有生效。请稍后重试；若再次出现，请联系系统管理员。"
        )
    if not response.prepared:
        if _is_static(request):
            response.headers.setdefault("Cache-Control", _kept(request))
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Content-Security-Policy", policy(request))
    return response


def policy(request: web.Request) -> str:
    """Only our own scripts and styles; the sidebar may also load the platform's bridge."""
    beside_a_chat = request.path.startswith("/sidebar")
    return _policy(request.app[SETTINGS].wecom_jssdk_url if beside_a_chat else "")


@cache
def _policy(bridge: str) -> str:
    scripts = f"'self' {bridge.rsplit('/', 1)[0]}/" if bridge else "'self'"
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    )


@web.middleware
async def transaction(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One request, one transaction: an answer below 400 commits, anything else rolls back."""
    door = door_of(request)
    if not ours(request) or (door is not None and not door.holds_transaction):
        return await handler(request)
    async with request.app[SESSIONS]() as session:
        request[SESSION] = session
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            await (session.commit() if answer.status < 400 else session.rollback())
            raise
        await (session.commit() if response.status < 400 else session.rollback())
        return response


@web.middleware
async def doors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Default deny: only an opened door lets anyone in, and only with one of its roles."""
    if not ours(request):
        return await handler(request)
    door = door_of(request)
    if door is None:
        if request.match_info.http_exception is not None:
            # Nowhere: still shown inside the frame of whoever asked.
            await _recognise(request, "desk")
            return await handler(request)
        if _is_static(request):
            return await handler(request)
        raise web.HTTPForbidden
    await _recognise(request, door.place)
    if door.public:
        return await handler(request)
    if SIGNED not in request:
        raise web.HTTPSeeOther(_signin_address(request, door.place))
    if not door.roles & signed(request).roles:
        raise web.HTTPForbidden
    if request.method not in SAFE:
        await _check_form_token(request)
    return await handler(request)


def _kept(request: web.Request) -> str:
    """How long a browser may keep a file: for good at the address that names what it holds."""
    name = request.match_info["filename"]
    if not (STATIC / name).is_file():
        return "no-store"
    if request.query.get("v") == mark_of(name):
        return "public, max-age=31536000, immutable"
    return "public, max-age=600"


def _is_static(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    return isinstance(resource, web.StaticResource)


async def _recognise(request: web.Request, place: str) -> None:
    token = request.cookies.get(COOKIES[place][0])
    if not token:
        return
    async with request.app[SESSIONS]() as session:
        found = await who_is(session, token, place, request.app[NOW]())
        await session.commit()
    if found is not None:
        request[SIGNED] = found


def _signin_address(request: web.Request, place: str) -> str:
    address = "/sidebar/signin" if place == "sidebar" else "/signin"
    back = request.path_qs if request.method in SAFE else "/"
    return str(URL(address).with_query(next=back))


async def _check_form_token(request: web.Request) -> None:
    """A state change must carry the token of its own sign-in (S-11)."""
    sent = request.headers.get("X-CSRF-Token", "")
    if not sent and request.content_type in (
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ):
        sent = str((await request.post()).get("csrf", ""))
    if not hmac.compare_digest(sent.encode(), signed(request).csrf.encode()):
        raise web.HTTPForbidden(text="表单已失效：请刷新页面后重新提交。")


MIDDLEWARES = (errors, doors, transaction)

"""Pages and fragments: a template, and one dataclass that says everything the template may show."""

import hashlib
import json
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp_jinja2
import jinja2
from aiohttp import web
from markupsafe import Markup

from bank.calendar import local
from desk.keys import SETTINGS
from desk.permissions import menu_for
from desk.signed import SIGNED

STATIC = Path(__file__).parent / "static"


def set_up(app: web.Application, *packages: str) -> None:
    """Templates of the shell and of these packages; each keeps its own under its own name."""
    app[aiohttp_jinja2.APP_KEY] = templates(packages)
    app.router.add_static("/static/", STATIC)


@cache
def templates(packages: tuple[str, ...]) -> jinja2.Environment:
    """The templates of these packages: a process compiles each once, for all its applications."""
    loaders = [jinja2.PackageLoader(package) for package in ("desk", *packages)]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "when": when,
        "day": day,
        "yuan": yuan,
        "percent": percent,
        "count": count,
    }
    environment.globals |= {"icon": icon, "static": static}
    return environment


def page(
    request: web.Request, template: str, context: object, *, status: int = 200
) -> web.Response:
    """A whole page inside the frame; the template reads `page`, and nothing else of ours."""
    return aiohttp_jinja2.render_template(
        template, request, _frame(request, context), status=status
    )


def fragment(
    request: web.Request, template: str, context: object, *, done: str = ""
) -> web.Response:
    """A piece of a page (`_name.html`) for htmx to put in place; `done` is said for two seconds."""
    response = aiohttp_jinja2.render_template(template, request, _frame(request, context))
    if done:
        response.headers["HX-Trigger"] = json.dumps({"toast": done})
    return response


def fragment_text(request: web.Request, template: str, context: object) -> str:
    """The same piece as text, for an event stream."""
    return aiohttp_jinja2.render_string(template, request, _frame(request, context))


def _frame(request: web.Request, context: object) -> dict[str, Any]:
    who = request.get(SIGNED)
    return {
        "page": context,
        "path": request.path,
        "signed": who,
        "menu": menu_for(who.roles) if who else [],
        "bank_name": request.app[SETTINGS].bank_name,
        "demo": request.app[SETTINGS].demo,
        "flash": request.query.get("done", ""),
    }


def see_other(address: str) -> web.Response:
    """Go there after a change (303)."""
    return web.Response(status=303, headers={"Location": address})


def error_page(request: web.Request, status: int, say: str) -> web.Response:
    """An error in words; plain text for machines, a small page for people."""
    if not say:
        say = "请求没有完成，请返回上一页重试。"
    if "text/html" not in request.headers.get("Accept", "") or request.headers.get("HX-Request"):
        return web.Response(status=status, text=say)
    try:
        return page(request, "desk/error.html", {"status": status, "say": say}, status=status)
    except (KeyError, jinja2.TemplateError):
        return web.Response(status=status, text=say)


def when(moment: datetime | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment in Shanghai, or a dash."""
    return local(moment).strftime(form) if moment else "—"


def day(value: date | None) -> str:
    """A day, or a dash."""
    return value.isoformat() if value else "—"


def yuan(cents: int | None, short: bool = False) -> str:
    """Integer cents as yuan with separators; short: in 万 or 亿 where that reads better."""
    if cents is None:
        return "—"
    if short and abs(cents) >= 10_000_000_000:
        return f"{cents / 10_000_000_000:,.2f} 亿元"
    if short and abs(cents) >= 1_000_000:
        return f"{cents / 1_000_000:,.1f} 万元"
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02d} 元"


def percent(share: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 as percent, or a dash."""
    return "—" if share is None else f"{share * 100:.{digits}f}%"


def count(number: int) -> str:
    """A count with separators."""
    return f"{number:,}"


def icon(name: str) -> Markup:
    """One symbol of the house's set (`desk/static/icons.svg`)."""
    drawn = '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>'
    return Markup(drawn).format(static("icons.svg"), name)


def static(name: str) -> str:
    """The address of a script, style or picture; another one when it is another."""
    return f"/static/{name}?v={mark_of(name)}"


@cache
def mark_of(name: str) -> str:
    """What the file holds, in a word; FileNotFoundError for one that is not there."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]

"""The page of faults and time: switches for everything that can go wrong, and the two logs."""

import dataclasses
from typing import Any

import aiohttp_jinja2
from aiohttp import web

from wecom.simulator.api_call import ERRORS, PLATFORM
from wecom.simulator.control_faults import call_log
from wecom.simulator.faults import ANSWERS
from wecom.simulator.pages import POLICY, named_deliveries
from wecom.simulator.platform import Platform

ROWS = 100
# The errcodes a person wants to see most, first in the list.
USUAL = (-1, 45009, 45033, 40014, 42001, 60020, 48002, 84061)


def add_routes(app: web.Application) -> None:
    """The page's addresses."""
    app.router.add_get("/faults", page, name="faults")
    app.router.add_get("/faults/view", view)


async def page(request: web.Request) -> web.Response:
    """The page; what is on it changes with `/faults/view`."""
    others = sorted(code for code in ERRORS if code not in USUAL)
    context = {
        "corp_name": request.app[PLATFORM].corp.name,
        "answers": ANSWERS,
        "errcodes": [(code, ERRORS[code]) for code in (*USUAL, *others)],
    }
    response = aiohttp_jinja2.render_template("faults.html", request, context)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


async def view(request: web.Request) -> web.Response:
    """Everything the page shows now."""
    return web.json_response(faults_view(request.app[PLATFORM]))


def faults_view(platform: Platform) -> dict[str, Any]:
    """Time, faults, limits and the newest rows of both logs."""
    line = platform.line
    calls = call_log(platform)
    return {
        "now": platform.now().isoformat(),
        "ahead_seconds": platform.now.ahead.total_seconds(),
        "faults": platform.faults.facts(),
        "settings": dataclasses.asdict(platform.world.settings),
        "lines": line.lines,
        "retry_seconds": line.retry_seconds,
        "late": line.late,
        "outcomes": dict(line.outcomes),
        "deliveries": named_deliveries(platform)[:ROWS],
        "calls": calls["calls"][:ROWS],
        "counts": calls["counts"],
        "blocked": calls["blocked"],
    }

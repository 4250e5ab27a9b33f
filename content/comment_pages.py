"""批注: writing one on a span of a version's text, and marking it as dealt with."""

import re
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from bank.models import Role
from content import claims, comments, review, steps
from content.models import State, Version
from desk.ids import ID
from desk.permissions import allow
from desk.render import see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()

PLACE = re.compile(r"(title|body):([0-9]{1,6}):([0-9]{1,6})")


@routes.post(f"/review/{{version_id:{ID}}}/comments")
@allow(*review.REVIEWERS)
async def write_comment(request: web.Request) -> web.Response:
    """Comment on the selected words, or on a chosen sentence."""
    session, who, now = session_of(request), signed(request), now_of(request)
    version = await session.get(Version, UUID(request.match_info["version_id"]))
    if version is None or version.state == State.DRAFT:
        raise web.HTTPNotFound
    way = await steps.way_of(session, version.id)
    against = claims.against(version, way, who, now)
    if against:
        return _back(version.id, refused="".join(against))
    form = await request.post()
    place = PLACE.fullmatch(str(form.get("place", "")))
    field, start, end = (place[1], int(place[2]), int(place[3])) if place else ("body", 0, 0)
    text = str(form.get("text", ""))
    written = await comments.write(session, version, field, start, end, text, who, now)
    if isinstance(written, comments.Refused):
        return _back(version.id, refused=written.reason)
    return _back(version.id, done="批注已保存")


@routes.post(f"/review/comments/{{comment_id:{ID}}}/resolve")
@allow(Role.EDITOR, *review.REVIEWERS)
async def resolve_comment(request: web.Request) -> web.Response:
    """The author has dealt with it, or its writer takes it back."""
    session, who = session_of(request), signed(request)
    comment_id = UUID(request.match_info["comment_id"])
    resolved = await comments.resolve(session, comment_id, who, now_of(request))
    if not isinstance(resolved, comments.Refused):
        return _back(resolved.version_id, done="批注已处理")
    version_id = await comments.version_of(session, comment_id)
    if version_id is None:
        raise web.HTTPNotFound
    return _back(version_id, refused=resolved.reason)


def _back(version_id: UUID, **told: str) -> web.Response:
    return see_other(f"/review/{version_id}?{urlencode(told)}#comments")

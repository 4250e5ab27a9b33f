"""What a reviewer sees of a suspended version, and resuming it."""

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from bank.models import Role
from content import review, suspensions
from content.files import FILES
from content.material_pages import SEE_ALL
from content.models import Version
from content.suspensions import Reason, Resumed
from desk.ids import ID
from desk.permissions import allow
from desk.render import fragment, see_other
from desk.signed import now_of, session_of, signed

routes = web.RouteTableDef()


@dataclass(frozen=True)
class SuspensionPart:
    """Why a version is out of use, and what has to happen."""

    version: Version
    wrong: list[Reason]  # what the author has to mend first
    may_resume: bool
    own: bool  # the reader wrote it


@routes.get(f"/content/versions/{{version_id:{ID}}}/suspension")
@allow(*SEE_ALL)
async def suspension(request: web.Request) -> web.Response:
    """The version checked again by today's facts; nothing where it is not suspended."""
    session, who = session_of(request), signed(request)
    version = await session.get(Version, UUID(request.match_info["version_id"]))
    if version is None or version.suspended_at is None:
        raise web.HTTPNotFound
    wrong = await suspensions.still_wrong(session, version)
    decides = who.may(*review.REVIEWERS) and not who.may(Role.RM)
    own = version.author_id == who.id
    part = SuspensionPart(version, wrong, decides and not own and not wrong, decides and own)
    return fragment(request, "content/_suspension.html", part)


@routes.post(f"/content/versions/{{version_id:{ID}}}/resume")
@allow(*review.REVIEWERS)
async def resume(request: web.Request) -> web.Response:
    """Use it again."""
    version_id = UUID(request.match_info["version_id"])
    outcome = await suspensions.resume(
        session_of(request), request.app[FILES], version_id, by=signed(request), now=now_of(request)
    )
    if isinstance(outcome, Resumed):
        done = urlencode({"done": "已恢复使用"})
        return see_other(f"/content/{outcome.version.material_id}?{done}")
    raise web.HTTPConflict(text=f"没有恢复：{' '.join(outcome.reasons)}")

"""Moments as people see them: the member's tasks, the customer's stream; plain values."""

from typing import Any

from wecom.simulator.moment_state import Moment
from wecom.simulator.platform import Platform

SHOWN = 40


def moment_tasks(platform: Platform, userid: str) -> list[dict[str, Any]]:
    """What the corp asks this member to publish and what he published himself, newest first."""
    moments = [m for m in platform.world.moments.moments.values() if userid in m.audience]
    return [_task(platform, moment, userid) for moment in reversed(moments[-SHOWN:])]


def moment_stream(platform: Platform, external_userid: str) -> list[dict[str, Any]]:
    """What the customer finds in his WeChat moments from the bank's members, newest first."""
    seen = [
        (moment.published[userid], moment, userid)
        for moment in platform.world.moments.moments.values()
        for userid in moment.published
        if external_userid in moment.audience[userid]
        and platform.world.follow(userid, external_userid)
    ]
    newest = sorted(seen, key=lambda row: row[0], reverse=True)[:SHOWN]
    return [
        {
            **_content(moment),
            "at": at.isoformat(),
            "member": platform.world.members[userid].name,
            "userid": userid,
            "liked": _likes(moment, userid, external_userid),
            **_reactions(platform, moment, userid),
        }
        for at, moment, userid in newest
    ]


def _task(platform: Platform, moment: Moment, userid: str) -> dict[str, Any]:
    published = moment.published.get(userid)
    return {
        **_content(moment),
        "at": moment.created_at.isoformat(),
        "own": moment.personal,
        "customers": len(moment.audience[userid]),
        "published_at": published.isoformat() if published else None,
        "cancelled": moment.cancelled_at is not None,
        **_reactions(platform, moment, userid),
    }


def _content(moment: Moment) -> dict[str, Any]:
    return {
        "id": moment.moment_id,
        "text": moment.text,
        "attachments": [
            {
                "msgtype": attachment["msgtype"],
                "title": attachment[attachment["msgtype"]].get("title", ""),
                "url": attachment[attachment["msgtype"]].get("url", ""),
            }
            for attachment in moment.attachments
        ],
    }


def _reactions(platform: Platform, moment: Moment, userid: str) -> dict[str, Any]:
    below = moment.reactions.get(userid, [])
    world = platform.world

    def name(external: str, internal: str) -> str:
        person = world.contacts.get(external) or world.members.get(internal)
        return person.name if person else "微信用户"

    return {
        "likes": [name(r.external_userid, r.userid) for r in below if not r.text],
        "comments": [
            {"name": name(r.external_userid, r.userid), "text": r.text} for r in below if r.text
        ],
    }


def _likes(moment: Moment, userid: str, customer: str) -> bool:
    below = moment.reactions.get(userid, [])
    return any(r.external_userid == customer and not r.text for r in below)

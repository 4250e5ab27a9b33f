"""Why something was sent: level, consent, relation and verdict as they were at that moment."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bank.calendar import local
from bot.evidence.gathering import Gathered, Row
from compliance.suitability import customer_ceiling


def moments_of(made: Gathered) -> list[Row]:
    """One row for every suggestion, touch and text on its way to the customer, oldest first."""
    risks = {row["id"]: row["risk"] for row in made.versions}
    rows = [_of_suggestion(made, row, risks) for row in made.chapters.get("suggestions", [])]
    rows += [_of_touch(made, row, risks) for row in made.chapters.get("touches", [])]
    rows += [_of_outbound(made, row) for row in made.chapters["outbound"]]
    return sorted(rows, key=lambda row: (row["at"], row["id"]))


def _of_suggestion(made: Gathered, row: Row, risks: dict[str, int]) -> Row:
    at = row["decided_at"] or row["created_at"]
    return {
        "what": "suggestion",
        "id": row["id"],
        "at": at,
        "staff_id": row["staff_id"],
        "state": row["state"],
        "reasons": row["reasons"],
        "version_id": row["version_id"],
        "product_level": risks.get(row["version_id"]),
        "ceiling_recorded": row["filters"].get("risk_ceiling"),
        "verdict": row["verdict"].get("level"),
        "writer": row["writer"],
        **_state_at(made, at),
    }


def _of_touch(made: Gathered, row: Row, risks: dict[str, int]) -> Row:
    at = row["settled_at"] or row["due_at"]
    return {
        "what": "touch",
        "id": row["id"],
        "at": at,
        "staff_id": row["staff_id"],
        "state": row["state"],
        "reasons": row["reasons"],
        "version_id": row["version_id"],
        "product_level": risks.get(row["version_id"]),
        "ceiling_recorded": None,
        "verdict": None,
        **_state_at(made, at),
    }


def _of_outbound(made: Gathered, row: Row) -> Row:
    """Levels and consent are those that were judged by, written down in that moment."""
    at = row["at"]
    return _state_at(made, at) | {
        "what": "outbound",
        "id": row["id"],
        "at": at,
        "staff_id": row["staff_id"],
        "state": row["state"],
        "reasons": row["reasons"],
        "version_id": row["versions"][0]["version_id"] if row["versions"] else None,
        "product_level": row["product_level"],
        "ceiling_recorded": row["customer_ceiling"],
        "verdict": row["verdict"].get("level"),
        "writer": row["writer"],
        "customer_level": row["customer_level"],
        "level_source": "发出时的记录",
        "consents": [row["consent_id"]] if row["consent_id"] else [],
        "text": row["text"],
    }


def _state_at(made: Gathered, at: str) -> Row:
    """What can be told of that moment from what is kept; what cannot says so."""
    moment, customer = datetime.fromisoformat(at), made.customer
    assessed = customer.risk_assessed_at
    known = assessed is None or assessed <= moment
    ceiling = customer_ceiling(customer.risk_level, assessed, moment) if known else None
    return {
        "customer_level": customer.risk_level if known and assessed else None,
        "ceiling": ceiling,
        "level_source": "测评记录" if known else "此后重新测评，当时等级以当时记录的上限为准",
        "consents": [row["id"] for row in made.chapters["consents"] if _lasts(row, moment)],
        "followed": any(_followed(row, moment) for row in made.chapters["follows"]),
    }


def _lasts(consent: Row, moment: datetime) -> bool:
    return _within(moment, consent["granted_at"], consent["withdrawn_at"])


def _followed(follow: Row, moment: datetime) -> bool:
    return _within(moment, follow["added_at"], follow["removed_at"])


def _within(moment: datetime, begun: str, ended: str | None) -> bool:
    begins = datetime.fromisoformat(begun) <= moment
    return begins and (ended is None or moment < datetime.fromisoformat(ended))


def relation_ended(follows: Iterable[Row]) -> datetime | None:
    """When the last relation of the customer ended; None while one lasts or none ever was."""
    ends = [row["removed_at"] for row in follows]
    if not ends or None in ends:
        return None
    return local(max(datetime.fromisoformat(str(end)) for end in ends))


def story(made: Gathered, moments: list[Row]) -> list[dict[str, Any]]:
    """What happened, in order, for whoever reads: chats, suggestions, touches, what was seen."""
    told = [
        {"at": row["sent_at"], "kind": "message", "row": row}
        for row in made.chapters.get("messages", [])
    ]
    told += [{"at": row["at"], "kind": row["what"], "row": row} for row in moments]
    told += [{"at": row["at"], "kind": "touchpoint", "row": row}
             for row in made.chapters.get("touchpoints", [])]  # fmt: skip
    return sorted(told, key=lambda one: (str(one["at"]), str(one["kind"])))

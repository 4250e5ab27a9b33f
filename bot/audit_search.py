"""Searching the audit book: the filter of the page and of its exports, as one value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from urllib.parse import urlencode

from sqlalchemy import ColumnElement
from sqlmodel import col

from bank.calendar import day_bounds
from bank.models import AuditEntry
from bot import audit_words

LONGEST_ID = 64


@dataclass(frozen=True)
class Wanted:
    """Which lines; empty means any."""

    action: str = ""
    actor: str = ""
    subject: str = ""
    id: str = ""
    since: str = ""
    until: str = ""

    @property
    def query(self) -> str:
        """The same as parameters of an address."""
        return urlencode(self.facts())

    def facts(self) -> dict[str, str]:
        """What is filtered by."""
        return {name: value for name, value in asdict(self).items() if value}

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same for the database."""
        equal = {
            AuditEntry.action: self.action,
            AuditEntry.actor: self.actor,
            AuditEntry.subject: self.subject,
            AuditEntry.subject_id: self.id,
        }
        wanted = [col(field) == value for field, value in equal.items() if value]
        if self.since:
            wanted.append(col(AuditEntry.at) >= day_bounds(date.fromisoformat(self.since))[0])
        if self.until:
            wanted.append(col(AuditEntry.at) < day_bounds(date.fromisoformat(self.until))[1])
        return wanted

    def say(self, names: Mapping[str, str]) -> str:
        """The filter in words."""
        said = [
            ("操作", audit_words.action_label(self.action) if self.action else ""),
            ("操作人", names.get(self.actor, self.actor)),
            ("对象", audit_words.subject_label(self.subject) if self.subject else ""),
            ("编号", self.id),
            ("自", self.since),
            ("至", self.until),
        ]
        return "，".join(f"{name} {value}" for name, value in said if value) or "全部记录"


def wanted_of(query: Mapping[str, object]) -> Wanted:
    """The filter as typed; what makes no sense filters nothing."""
    since, until = _day(query.get("since")), _day(query.get("until"))
    return Wanted(
        action=_plain(query.get("action")),
        actor=_plain(query.get("actor")),
        subject=_plain(query.get("subject")),
        id=_plain(query.get("id"))[:LONGEST_ID],
        since=since,
        until=until,
    )


def _plain(value: object) -> str:
    return str(value or "").replace("\0", "").strip()


def _day(value: object) -> str:
    """A day that exists, as the address writes it; empty otherwise."""
    try:
        day = date.fromisoformat(_plain(value))
    except ValueError:
        return ""
    return day.isoformat() if date(2000, 1, 1) <= day <= date(2200, 1, 1) else ""

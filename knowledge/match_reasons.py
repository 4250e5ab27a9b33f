"""Why this material, why this customer, why now: as codes that are kept, and in words. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Self

from customers.models import Stage
from knowledge.fitting import Piece
from knowledge.needs import (
    ASSESSMENT_DAYS,
    LATELY_DAYS,
    LOOK_BACK_DAYS,
    MATURES_WITHIN,
    NEW_DAYS,
    SILENT_DAYS,
    Profile,
    Sign,
    Signal,
)

# Signals at least so near a material are named as a reason for it.
ALIKE = 0.35
FRESH_DAYS = 14


class Why(StrEnum):
    """A reason for a match; `now` are those that say why today."""

    ASKED = "asked"
    READ = "read"
    OPENED = "opened"
    HOLDS = "holds"
    MATURES = "matures"
    TAGGED = "tagged"
    STAGE = "stage"
    LEVEL = "level"
    RISK = "risk"
    NEW = "new"
    SILENT = "silent"
    ASSESSMENT = "assessment"
    GENERAL = "general"
    UNPROFILED = "unprofiled"

    @property
    def label(self) -> str:
        """The kind of reason, for a tag."""
        return {
            "asked": "近期提问", "read": "看过相关内容", "opened": "近期阅读", "holds": "持有产品",
            "matures": "即将到期", "tagged": "客户标签", "stage": "跟进阶段",
            "level": "专业程度", "risk": "风险匹配",
            "new": "新客户", "silent": "久未联系", "assessment": "测评将到期",
            "general": "通用内容", "unprofiled": "未个性化",
        }[self]  # fmt: skip


# What calls for a contact soonest; 0 does not call for one.
URGENCY = {
    Why.MATURES: 5,
    Why.ASKED: 4,
    Why.OPENED: 3,
    Why.ASSESSMENT: 3,
    Why.NEW: 2,
    Why.SILENT: 1,
}


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason with what it is about and the day that belongs to it."""

    why: Why
    about: str = ""
    on: date | None = None

    def kept(self) -> list[str]:
        """As stored: code, what it is about, day."""
        return [self.why.value, self.about, self.on.isoformat() if self.on else ""]

    @classmethod
    def read(cls, kept: Sequence[str]) -> Self:
        """As stored."""
        why, about, on = kept
        return cls(Why(why), about, date.fromisoformat(on) if on else None)


def reasons_for(
    profile: Profile, piece: Piece, nearness: Sequence[float], today: date
) -> tuple[Reason, ...]:
    """Everything that speaks for this match, most telling first; never empty.

    `nearness` is the cosine of each of the profile's signals with the material.
    """
    if not profile.profiled:
        return (Reason(Why.UNPROFILED), *_risk(profile, piece))
    said = _of_signals(profile, nearness)
    held = _of_holdings(profile, piece)
    told = list({(r.why, r.about): r for r in [*held, *said]}.values())
    about_him = told or [Reason(Why.GENERAL)]
    return (*about_him, *_now(profile, today), *_fits(profile, piece), *_risk(profile, piece))


def _of_signals(profile: Profile, nearness: Sequence[float]) -> list[Reason]:
    """For each sign the nearest signal, if it is near at all."""
    best: dict[Sign, tuple[float, Signal]] = {}
    for signal, near in zip(profile.signals, nearness, strict=True):
        if near >= ALIKE and near > best.get(signal.sign, (0.0, signal))[0]:
            best[signal.sign] = near, signal
    found = sorted(best.values(), key=lambda pair: -pair[0])
    return [Reason(Why(signal.sign.value), signal.about, signal.on) for _, signal in found]


def _of_holdings(profile: Profile, piece: Piece) -> list[Reason]:
    found = []
    for code in sorted(piece.products & profile.held):
        until = profile.matures.get(code)
        found.append(Reason(Why.MATURES if until else Why.HOLDS, code, until))
    return found


def _now(profile: Profile, today: date) -> list[Reason]:
    """Why this customer today, whatever the material."""
    found = []
    if profile.added_on and (today - profile.added_on).days <= NEW_DAYS:
        found.append(Reason(Why.NEW, on=profile.added_on))
    until = profile.assessed_until
    if until and 0 <= (until - today).days <= ASSESSMENT_DAYS:
        found.append(Reason(Why.ASSESSMENT, on=until))
    last = profile.last_contact
    if not found and last is not None and (today - last).days >= SILENT_DAYS:
        found.append(Reason(Why.SILENT, on=last))
    return found


def _fits(profile: Profile, piece: Piece) -> list[Reason]:
    found = [Reason(Why.STAGE, f"{profile.stage.value}:{piece.use.label}")]
    if piece.expertise == profile.expertise:
        found.append(Reason(Why.LEVEL, str(piece.expertise)))
    return found


def _risk(profile: Profile, piece: Piece) -> list[Reason]:
    return [Reason(Why.RISK, f"{piece.risk}:{profile.standing.ceiling}")] if piece.risk else []


def urgency(reasons: Sequence[Reason], today: date) -> int:
    """How much these reasons call for a contact today; 0: not at all."""
    return max((_urgency(reason, today) for reason in reasons), default=0)


def calls_now(reason: Reason, today: date) -> bool:
    """Whether it says why today."""
    return _urgency(reason, today) > 0


def _urgency(reason: Reason, today: date) -> int:
    on = reason.on
    if reason.why is Why.ASKED and (on is None or (today - on).days > FRESH_DAYS):
        return 0
    if reason.why is Why.MATURES and (on is None or not 0 <= (on - today).days <= MATURES_WITHIN):
        return 0
    if reason.why is Why.OPENED and (on is None or (today - on).days >= LATELY_DAYS):
        return 0
    return URGENCY.get(reason.why, 0)


EXPERTISE = {"1": "入门", "2": "进阶", "3": "专业"}


def words(reason: Reason, names: Mapping[str, str], today: date) -> str:
    """The reason as an RM reads it; `names` are questions by suggestion and products by code."""
    about, on = names.get(reason.about, reason.about), reason.on
    if reason.why is Why.RISK:
        risk, ceiling = reason.about.split(":")
        return f"风险等级 R{risk}，不高于客户的 C{ceiling}"
    if reason.why is Why.STAGE:
        stage, use = reason.about.split(":")
        return f"客户“{Stage(stage).label}”，内容用于{use}"
    if reason.why is Why.OPENED:
        return _opened(about, on, today)
    if reason.why is Why.ASKED and reason.about not in names:
        about = ""
    return {
        Why.ASKED: f"{_ago(on, today)}问过“{about}”" if about else f"{_ago(on, today)}有相近的提问",
        Why.READ: f"{_ago(on, today)}收到《{about}》后有回应",
        Why.HOLDS: f"持有{about}",
        Why.MATURES: f"{_ahead(on, today).lstrip()}到期：{about}",
        Why.TAGGED: f"标签“{about}”",
        Why.LEVEL: f"专业程度“{EXPERTISE.get(about, about)}”，与客户相当",
        Why.NEW: f"{_ago(on, today)}新添加",
        Why.SILENT: f"已有 {_silent(on, today)}没有联系",
        Why.ASSESSMENT: f"风险测评{_ahead(on, today)}到期",
        Why.GENERAL: "没有更具体的线索，按阶段和专业程度推荐",
        Why.UNPROFILED: "客户未开启个性化推荐，所有同类客户看到的顺序相同",
    }[reason.why]


def _opened(about: str, on: date | None, today: date) -> str:
    times, _, topic = about.partition(":")
    if times in ("", "0") or (on and (today - on).days >= LATELY_DAYS):
        return f"{_ago(on, today)}看过{topic}"
    return f"近 {LATELY_DAYS} 天看过 {times} 次{topic}"


def _ago(on: date | None, today: date) -> str:
    days = (today - on).days if on else 0
    return {0: "今天", 1: "昨天"}.get(days, f"{days} 天前")


def _silent(on: date | None, today: date) -> str:
    days = (today - on).days if on else 0
    return f"{LOOK_BACK_DAYS} 天以上" if days >= LOOK_BACK_DAYS else f"{days} 天"


def _ahead(on: date | None, today: date) -> str:
    days = (on - today).days if on else 0
    return "今天" if days == 0 else f" {days} 天后" if days > 0 else "已"


def kept(reasons: Sequence[Reason]) -> list[Any]:
    """As stored on a match."""
    return [reason.kept() for reason in reasons]

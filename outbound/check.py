"""May these words reach this customer now? One answer for every door, and in doubt it is no.

    who speaks · what it is made of · consent · suitability · the words themselves

What passes comes out complete: with the reminders of its products, its sender, its AI mark. No
edit can leave them out, because they are put in here, after the edit (C-17, C-27, C-40).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from bank.calendar import local_day
from compliance import citations, disclosures, guard
from compliance.contact import NoContact
from compliance.imprint import AI_CONFIRMED, AI_MARK, with_ai_mark, with_sender
from compliance.links import strangers
from compliance.suitability import may_recommend
from compliance.verdict import PASSED, Allowed, Level, Role, Verdict
from content import library
from content.models import Version
from outbound import conditions, records
from outbound import reasons as say
from outbound.attachments import Attached
from outbound.facts import FIXED, Facts, Policy, Saying, gather, usable
from outbound.models import Door, OutboundMessage, OutboundState
from wecom.attachments import CUSTOMER_TEXT

log = structlog.get_logger("outbound")

ANY_RISK = 5
SLOT = re.compile(r"\{[^{}\n]{1,20}\}")
BYTES = {Door.WELCOME: CUSTOMER_TEXT, Door.TOUCH: CUSTOMER_TEXT, Door.SERVICE: 2048}


class Cause(StrEnum):
    """Which question was answered with no."""

    STAFF = "staff"
    MATERIAL = "material"
    CONSENT = "consent"
    SUITABILITY = "suitability"
    WORDS = "words"
    UNABLE = "unable"


@dataclass(frozen=True)
class Passed:
    """These words may go out now."""

    saying: Saying
    text: str = field(repr=False)
    facts: Facts = field(repr=False)
    verdict: Verdict


@dataclass(frozen=True)
class Refused:
    """They may not, and why."""

    saying: Saying
    reasons: tuple[str, ...]
    cause: Cause
    facts: Facts = field(default_factory=Facts, repr=False)
    verdict: Verdict = PASSED


@dataclass(frozen=True)
class Cleared:
    """Words that were let through and written down; only `outbound.sending` takes them further."""

    message_id: UUID
    text: str = field(repr=False)
    attachments: tuple[Attached, ...] = ()


async def check_and_record(
    session: AsyncSession, saying: Saying, source_id: object, policy: Policy, now: datetime
) -> Cleared | Refused:
    """Judge the words and write down what came of it, in the caller's transaction.

    `source_id` names what they belong to, such as a suggestion: one text of it may be let through
    at a time. The words may go out only after the commit.
    """
    try:
        async with session.begin_nested():
            answer = await _judged(session, saying, policy, now)
            return await _recorded(session, answer, source_id, now)
    except Exception as error:
        log.error("outbound_not_checked", door=saying.door.value, error=type(error).__name__)
        return await record(session, _unable(saying, error), source_id, now)


async def check(
    session: AsyncSession, saying: Saying, policy: Policy, now: datetime
) -> Passed | Refused:
    """Judge the words and write nothing down; whatever fails on the way is a no (S-21)."""
    try:
        async with session.begin_nested():
            return await _judged(session, saying, policy, now)
    except Exception as error:
        log.error("outbound_not_judged", door=saying.door.value, error=type(error).__name__)
        return _unable(saying, error)


async def record(
    session: AsyncSession, answer: Passed | Refused, source_id: object, now: datetime
) -> Cleared | Refused:
    """Write down what was judged; words that cannot be written down do not go out."""
    try:
        async with session.begin_nested():
            return await _recorded(session, answer, source_id, now)
    except Exception as error:
        log.error("outbound_not_recorded", error=type(error).__name__)
        return answer if isinstance(answer, Refused) else _unable(answer.saying, error)


async def _recorded(
    session: AsyncSession, answer: Passed | Refused, source_id: object, now: datetime
) -> Cleared | Refused:
    row = _row(answer, source_id, now)
    if isinstance(answer, Refused):
        await records.keep_refused(session, row, now)
        return answer
    kept = await records.clear(session, row, now)
    if kept is None:
        return Refused(answer.saying, (say.SAID_ALREADY,), Cause.WORDS, answer.facts)
    return Cleared(kept.id, kept.text, answer.saying.attachments)


def _unable(saying: Saying, error: Exception) -> Refused:
    return Refused(saying, (say.UNABLE.format(error=type(error).__name__),), Cause.UNABLE)


async def _judged(
    session: AsyncSession, saying: Saying, policy: Policy, now: datetime
) -> Passed | Refused:
    facts = await gather(session, saying, now)
    against = _staff(saying, facts, now)
    against = against or await _material(session, saying, facts, now)
    against = against or _consent(saying, facts)
    against = against or _suitability(saying, facts, now)
    if not against and (why := await conditions.against(session, saying, facts, policy)):
        against = Cause.WORDS, why
    if against:
        cause, why = against
        return Refused(saying, why, cause, facts, _verdict(saying, facts, saying.text))
    text = finished(saying, facts, policy)
    verdict = _verdict(saying, facts, text)
    against_words = [*_words(saying, facts, text, policy, verdict), *_unlisted(facts, now)]
    if why := tuple(dict.fromkeys(against_words)):
        return Refused(saying, why, Cause.WORDS, facts, verdict)
    return Passed(saying, text, facts, verdict)


Against = tuple[Cause, tuple[str, ...]] | None


def _staff(saying: Saying, facts: Facts, now: datetime) -> Against:
    """An RM without a valid certificate passes on investor education as it stands (C-34)."""
    if facts.staff is None:
        return None
    if not facts.staff.enabled:
        return Cause.STAFF, (say.RM_DISABLED,)
    # A welcome is the bank's own greeting; nobody's judgement goes into it.
    if facts.certified(now) or saying.door is Door.WELCOME:
        return None
    if facts.education and not saying.edited:
        return None
    return Cause.STAFF, (facts.uncertified(),)


async def _material(session: AsyncSession, saying: Saying, facts: Facts, now: datetime) -> Against:
    """Every version used must be live, here and now; only standing sentences need none."""
    if not saying.version_ids:
        return None if saying.writer == FIXED else (Cause.MATERIAL, (say.NO_SOURCE,))
    if facts.suits or await usable(session, saying, facts.customer, ANY_RISK, now):
        return None
    alive = select(col(Version.id)).where(
        col(Version.id).in_(saying.version_ids), *library.is_live(now)
    )
    found = set((await session.execute(alive)).scalars())
    elsewhere = say.NOT_FOR_GROUP if saying.door is Door.GROUP else say.NOT_FOR_HERE
    return Cause.MATERIAL, (elsewhere if found == saying.version_ids else say.DEAD,)


def _consent(saying: Saying, facts: Facts) -> Against:
    # In a group it is asked of everybody there (`conditions`).
    if not saying.marketing or saying.door is Door.GROUP:
        return None
    if facts.complains:
        return Cause.CONSENT, (say.COMPLAINT_OPEN,)
    if facts.consent is not None:
        return None
    return Cause.CONSENT, (NoContact.NO_CONSENT.label,)


def _suitability(saying: Saying, facts: Facts, now: datetime) -> Against:
    """Words about products must suit the customer as of now; education suits everybody.

    A group is nobody in particular: what suits it, `conditions` says.
    """
    if saying.door is Door.GROUP:
        return None
    who, level = facts.customer, facts.product_level
    if level:
        answer = may_recommend(
            who.risk_level if who else None,
            who.risk_assessed_at if who else None,
            level,
            now,
            who.age if who else None,
            notice_given=saying.notice_given,
        )
        if not isinstance(answer, Allowed):
            return Cause.SUITABILITY, tuple(reason.label for reason in answer.reasons)
    return None if facts.suits else (Cause.SUITABILITY, (say.ABOVE_CEILING,))


def finished(saying: Saying, facts: Facts, policy: Policy) -> str:
    """The words as the customer reads them: nothing that must be there can be missing."""
    about = {product.id: product for product in (*facts.about, *facts.named)}
    text = disclosures.append(saying.text, list(about.values()))
    if saying.marketing:
        text = with_sender(text, policy.bank_name, facts.staff.name if facts.staff else "")
    if saying.door is Door.SERVICE and saying.writer != FIXED:
        text = with_ai_mark(text, confirmed=False)
    elif saying.by_model and policy.ai_label:
        text = with_ai_mark(text, confirmed=True)
    return text


def _verdict(saying: Saying, facts: Facts, text: str) -> Verdict:
    speaker = Role.BOT if saying.door is Door.SERVICE else Role.RM
    return guard.checked(text, speaker, [*facts.known, *saying.known])


def _words(
    saying: Saying, facts: Facts, text: str, policy: Policy, verdict: Verdict
) -> Iterator[str]:
    """What stands against these very words."""
    if not saying.text.strip() and not saying.attachments:
        yield say.EMPTY
    if SLOT.search(text):
        yield say.UNFILLED
    limit = BYTES.get(saying.door)
    if limit is not None and len(text.encode()) > limit:
        yield say.TOO_LONG.format(limit=limit)
    # Nobody reads what an assistant sends: there even a warning is a no.
    refused = verdict.level is Level.BLOCK or saying.door is Door.SERVICE
    yield from (finding.reason for finding in verdict.findings if refused)
    known = [*facts.sources, *saying.known, saying.suggested]
    for link in strangers(text, policy.link_hosts, known if saying.suggested else facts.sources):
        yield say.LINK.format(link=link.shown)
    if saying.suggested:
        yield from _edits(saying, facts, known)


def _unlisted(facts: Facts, now: datetime) -> Iterator[str]:
    """Products that head office does not list today are not mentioned at all (C-09)."""
    today = local_day(now)
    for product in facts.named:
        if not product.is_listed(today):
            yield say.UNLISTED.format(name=product.name)


def _edits(saying: Saying, facts: Facts, known: list[str]) -> Iterator[str]:
    """What a person may have put in that no approved text says (C-22)."""
    for start, end in citations.untraceable_numbers(saying.text, known):
        yield say.NUMBER.format(number=saying.text[start:end])
    about, said = {product.id for product in facts.about}, "\n".join(known)
    for product in facts.named:
        if product.id not in about and product.name not in said and product.code not in said:
            yield say.OTHER_PRODUCT.format(name=product.name)


def _row(answer: Passed | Refused, source_id: object, now: datetime) -> OutboundMessage:
    saying, facts = answer.saying, answer.facts
    text = answer.text if isinstance(answer, Passed) else saying.text
    who = facts.customer
    return OutboundMessage(
        at=now,
        door=saying.door,
        channel=saying.channel.value,
        source=saying.source,
        source_id=str(source_id),
        staff_id=saying.staff_id,
        customer_id=saying.customer_id,
        contact=saying.contact,
        text=text,
        text_hash=records.hash_of(text),
        suggested_hash=records.hash_of(saying.suggested) if saying.suggested else "",
        edited=saying.edited and text.removesuffix(f"\n{AI_CONFIRMED}") != saying.suggested,
        versions=facts.versions(),
        passages=list(saying.passages),
        writer=saying.writer,
        prompt_hash=saying.prompt_hash,
        ai_assisted=saying.ai_assisted,
        ai_marked=AI_MARK in text or AI_CONFIRMED in text,
        marketing=saying.marketing,
        verdict=_stored(answer.verdict),
        reasons=list(answer.reasons) if isinstance(answer, Refused) else [],
        consent_id=facts.consent.id if facts.consent else None,
        customer_level=who.risk_level if who else None,
        customer_ceiling=who.risk_ceiling if who else 0,
        product_level=facts.product_level,
        attachments=[one.kept() for one in saying.attachments],
        chat_id=saying.chat_id,
        recipients=[conditions.seat(one) for one in saying.recipients],
        special_notice=saying.notice_given and facts.needs_notice,
        state=OutboundState.REFUSED if isinstance(answer, Refused) else OutboundState.CLEARED,
    )


def _stored(verdict: Verdict) -> dict[str, Any]:
    findings = [
        {"category": str(one.category), "reason": one.reason, "rule": one.rule}
        for one in verdict.findings
    ]
    return {"level": verdict.level.value, "findings": findings}

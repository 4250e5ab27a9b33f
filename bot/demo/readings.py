"""What customers of the demo bank opened and read, by links they were sent (客户雷达)."""

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from uuid import UUID

from attribution.models import Device, Opener, Opening, TrackedLink
from attribution.tracked_links import PATH
from bank.calendar import at_local
from bank.settings import Settings
from bot.demo.rows import Rows, ident, row
from content.models import Version
from content.particulars import Particulars
from content.sendable import Shape
from customers.models import Consent, Purpose
from outbound.models import OutboundMessage

# Days before today on which those who read something looked at it again.
LATELY = (1, 2, 3, 5, 8, 13)
OPENED, AGAIN, FORWARDED = 0.75, 0.6, 0.15
LONGEST = 190


def readings(rows: Rows, today: date, seed: int, settings: Settings) -> None:
    """A tracked link for every card that was sent, and the openings of most of them."""
    rng = random.Random(f"readings:{seed}")
    profiled = {
        consent.customer_id
        for consent in rows.of(Consent)
        if consent.purpose is Purpose.PROFILING and consent.withdrawn_at is None
    }
    versions = {version.id: version for version in rows.of(Version)}
    for said in list(rows.of(OutboundMessage)):
        for kept in said.attachments:
            if kept["shape"] == Shape.LINK.value:
                link = _link(said, kept["version_id"], settings, kept)
                rows.add(link)
                if said.customer_id in profiled:
                    rows.add(*_openings(link, versions[link.version_id], said.at, today, rng))


def _link(
    said: OutboundMessage, version: str, settings: Settings, kept: dict[str, str]
) -> TrackedLink:
    code = ident("link", said.source_id, version).hex
    kept["url"] = f"{settings.public_url.rstrip('/')}{PATH}{code}"
    return row(
        TrackedLink,
        code=code,
        source=said.source,
        source_id=said.source_id,
        version_id=UUID(version),
        customer_id=said.customer_id,
        contact=said.contact,
        staff_id=said.staff_id,
        channel=said.channel,
        made_at=said.at,
    )


def _openings(
    link: TrackedLink, version: Version, sent_at: datetime, today: date, rng: random.Random
) -> Iterator[Opening]:
    """Read soon after it came, by most; once more lately, by some; by a friend, by few."""
    if rng.random() > OPENED:
        return
    timed = not Particulars.read(version.particulars).card.url
    first = sent_at + timedelta(minutes=rng.randint(2, 300))
    yield _opening(link, version, first, Device.PHONE, timed, rng)
    if rng.random() < AGAIN:
        day = today - timedelta(days=rng.choice(LATELY))
        at = at_local(day, time(rng.randint(8, 20), rng.randrange(60)))
        yield _opening(link, version, at, Device.PHONE, timed, rng)
    if rng.random() < FORWARDED:
        yield _opening(link, version, first + timedelta(days=1), Device.DESKTOP, timed, rng)


def _opening(
    link: TrackedLink,
    version: Version,
    at: datetime,
    device: Device,
    timed: bool,
    rng: random.Random,
) -> Opening:
    seconds = rng.randint(4, LONGEST) if timed else 0
    return row(
        Opening,
        id=ident("opening", link.code, at.isoformat()),
        code=link.code,
        version_id=version.id,
        material_id=version.material_id,
        customer_id=link.customer_id,
        staff_id=link.staff_id,
        at=at,
        device=device,
        opener=Opener.PRESUMED,
        timed=timed,
        seconds=seconds,
        progress=min(100, 20 + seconds) if timed else 0,
    )

"""L-01: a twin of the question that may not be used, cosine 1.0, in every index: never found."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from bank.database import open_engine, open_sessions
from bank.models import Branch
from bank.settings import Settings
from bot.bench import shelf
from bot.chaos.found import Found, share_of
from bot.chaos.ground import MONDAY, Ground
from bot.demo.rows import Rows, ident, row
from content import library
from content.models import (
    Kind,
    LibraryChange,
    Material,
    MaterialProduct,
    Passage,
    Product,
    ProductKind,
    SaleStatus,
    State,
    Use,
    Version,
)
from customers.book import CustomerFacts
from knowledge import answers, finding, suggestions
from knowledge.cases import Question
from knowledge.encoder import load_encoder
from knowledge.hybrid import Audience
from knowledge.index import FaissStore, VectorStore
from knowledge.indexing import LibraryIndex
from knowledge.pgvector import PgvectorStore, prepare
from knowledge.writer import QuotingWriter
from wecom.channels import Channel

TRIALS, LEAST = 1_000, 10  # in each index; with 10 everything wrong comes once
SHELF = 60  # other materials around them
NEVER = 1 << 40
SYLLABLES = "安泰和润嘉禾景明瑞丰同心云锦长青松柏江海星辰山川日月金玉"
FORBIDDEN = "未经许可的答复"


@dataclass
class Twin:
    """What makes a twin wrong: told to the index, or only to the database once that is built."""

    version: dict[str, object] = field(default_factory=dict)
    product: dict[str, object] | None = None
    later: dict[str, object] = field(default_factory=dict)
    later_product: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One question of one audience, and why its twin may not be used there."""

    number: int
    text: str
    audience: Audience
    wrong: str
    twin: Twin


Wrong = Callable[[Random, Audience, list[UUID]], Twin]


def _state(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    """Not approved, or no longer: the index has taken it for live."""
    return Twin(later={"state": dice.choice([each for each in State if each != State.APPROVED])})


def _suspended(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    return Twin(later={"suspended_at": audience.now, "suspended_reason": "评级变更"})


def _date(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    now, little = audience.now, timedelta(microseconds=dice.choice((1, 10**6, 10**10)))
    if dice.random() < 0.5:
        return Twin({"valid_from": now + little, "valid_until": now + timedelta(days=90)})
    return Twin({"valid_from": now - timedelta(days=90), "valid_until": now})


def _ended(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    """Its end was brought forward after the index had read it."""
    return Twin(later={"valid_until": audience.now})


def _channel(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    others = [each.value for each in Channel if each != audience.channel]
    return Twin({"channels": dice.sample(others, dice.randint(0, len(others)))})


def _branch(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    others = [each for each in branches if each != audience.branch]
    return Twin({"branch_ids": dice.sample(others, dice.randint(0, len(others)))})


def _risk(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    above = dice.randint(audience.risk_ceiling + 1, 5)
    if dice.random() < 0.5:
        return Twin({"risk": above}, product={"bank_rating": above})
    return Twin(product={}, later_product={"issuer_rating": above})


def _product(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    """Off sale or off the list, after the index had read it."""
    gone = dice.choice((SaleStatus.SUSPENDED, SaleStatus.CLOSED, None))
    off: dict[str, object] = {"sale_status": gone} if gone else {"listed_until": date(2026, 11, 1)}
    return Twin(product={}, later_product=off)


def _regime(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    """Nobody knows whose suitability rules count."""
    return Twin(product={}, later_product={"regime": dice.choice(("", "其他"))})


def _private(dice: Random, audience: Audience, branches: list[UUID]) -> Twin:
    return Twin(product={"offering": "private"})


WRONGS: dict[str, Wrong] = {
    "not approved": _state,
    "suspended": _suspended,
    "out of date": _date,
    "ended since": _ended,
    "other channel": _channel,
    "other branch": _branch,
    "risk above": _risk,
    "product off sale or list": _product,
    "no known regime": _regime,
    "private, before the public": _private,
}


async def unapproved(ground: Ground, seed: int, share: float) -> Found:
    """A thousand trials in each index: the twin is never among what was found, its like always."""
    found = Found("L-01 unapproved twins", seed)
    for name in ("flat", "cells", "pgvector"):
        with ground.bank() as settings, _store(name, settings) as store:
            await _in_one_index(settings, store, name, share_of(TRIALS, share, LEAST), found)
    found.figures["planted"] = f"{found.runs:,}"
    return found


@contextmanager
def _store(name: str, settings: Settings) -> Iterator[VectorStore]:
    if name == "pgvector":
        prepare(settings.database_url)
        store = PgvectorStore(settings.database_url)
        try:
            yield store
        finally:
            store.close()
    else:
        yield FaissStore(ivf_from=1 if name == "cells" else NEVER)


async def _in_one_index(
    settings: Settings, store: VectorStore, name: str, count: int, found: Found
) -> None:
    dice, engine = Random(f"{found.seed} {name}"), open_engine(settings.database_url)
    index = LibraryIndex(load_encoder("builtin"), settings.home / "index", store)
    try:
        async with open_sessions(engine)() as session:
            house = await shelf.a_house(session, MONDAY)
            await shelf.stock(session, house, 0, SHELF, MONDAY)
            branches = await _branches(session)
            trials = [_trial(number, dice, branches) for number in range(count)]
            await _planted(session, house, trials)
            await session.commit()
            await index.rebuild(session, MONDAY)
            kinds = {kind for kind, _ in index.hybrid.held_by}
            found.figures[name] = ", ".join(sorted(kinds))
            await _spoilt(session, trials)
            await session.commit()
            for trial in trials:
                await _tried(session, index, house, trial, name, found)
                await session.rollback()
    finally:
        await engine.dispose()


async def _branches(session: AsyncSession) -> list[UUID]:
    ids = [ident("bench", "branch"), ident("twins", "branch")]
    rows = Rows()
    rows.add(row(Branch, id=ids[1], code="B002", name="城西支行"))
    await rows.write(session)
    return ids


def _trial(number: int, dice: Random, branches: list[UUID]) -> Trial:
    """Everything that can be wrong takes its turn, before an audience for which it is wrong."""
    named = "".join(dice.sample(SYLLABLES, 4))
    wrong = list(WRONGS)[number % len(WRONGS)]
    audience = _audience(dice, branches)
    while not _is_wrong_for(audience, wrong):
        audience = _audience(dice, branches)
    text = f"{named}{number}号事项怎么办理"
    return Trial(number, text, audience, wrong, WRONGS[wrong](dice, audience, branches))


def _audience(dice: Random, branches: list[UUID]) -> Audience:
    return Audience(
        MONDAY + timedelta(seconds=dice.randrange(7 * 86_400)),
        dice.choice(list(Channel)).value,
        dice.choice([None, *branches]),
        dice.randint(0, 5),
    )


def _is_wrong_for(audience: Audience, wrong: str) -> bool:
    if wrong == "risk above":
        return audience.risk_ceiling < 5
    if wrong == "private, before the public":
        return audience.channel in (Channel.GROUP, Channel.MOMENTS)
    return True


async def _planted(session: AsyncSession, house: shelf.House, trials: list[Trial]) -> None:
    """For each trial a material that may be used, and the twin with the same question."""
    rows = Rows()
    for trial in trials:
        _plant(rows, house, trial, "like", {}, f"获准的答复{trial.number}。", None)
        body = f"{FORBIDDEN}{trial.number}。"
        _plant(rows, house, trial, "twin", trial.twin.version, body, trial.twin.product)
    await rows.write(session)


def _plant(
    rows: Rows,
    house: shelf.House,
    trial: Trial,
    which: str,
    wrong: dict[str, object],
    body: str,
    product: dict[str, object] | None,
) -> None:
    since = MONDAY - timedelta(days=1)
    material = row(
        Material, id=ident(which, trial.number), code=f"{which}-{trial.number}", kind=Kind.FAQ,
        title=trial.text, use=Use.ACCOMPANY, owner_id=house.editor, created_at=since,
    )  # fmt: skip
    facts = {
        "valid_from": since,
        "valid_until": since + timedelta(days=180),
        "channels": [each.value for each in Channel],
        "branch_ids": None,
        "risk": 0,
    } | wrong
    version = row(
        Version, id=ident(which, "version", trial.number), material_id=material.id, number=1,
        title=trial.text, body=body, questions=[trial.text], state=State.APPROVED,
        sha256=hashlib.sha256(body.encode()).hexdigest(), author_id=house.editor,
        created_at=since, approved_by=house.approver, approved_at=since, **facts,
    )  # fmt: skip
    rows.add(material, version, row(LibraryChange, version_id=version.id, live=True, at=since))
    rows.add(row(Passage, version_id=version.id, position=0, text=body))
    if product is not None:
        made = _a_product(trial, product)
        rows.add(made, row(MaterialProduct, material_id=material.id, product_id=made.id))


def _a_product(trial: Trial, wrong: dict[str, object]) -> Product:
    facts = {
        "issuer_rating": 0, "bank_rating": 0, "regime": "NFRA", "offering": "public",
        "listed_from": date(2026, 1, 1), "listed_until": None,
    } | wrong  # fmt: skip
    return row(
        Product, id=ident("twin", "product", trial.number), code=f"TW{trial.number:05d}",
        name=f"双生{trial.number:05d}期", kind=ProductKind.WEALTH, issuer="云州理财", agency=False,
        open_rule="每日开放", min_amount_cents=100, fees="无", inception=date(2025, 1, 1),
        redemption="下一个工作日到账", description="", **facts,
    )  # fmt: skip


async def _spoilt(session: AsyncSession, trials: list[Trial]) -> None:
    """What happened to the twins after the index was built: it has not heard of it."""
    for trial in trials:
        if trial.twin.later:
            ended = col(Version.id) == ident("twin", "version", trial.number)
            await session.execute(update(Version).where(ended).values(**trial.twin.later))
        if trial.twin.later_product:
            spoilt = col(Product.id) == ident("twin", "product", trial.number)
            changed = update(Product).where(spoilt).values(**trial.twin.later_product)
            await session.execute(changed)


async def _tried(
    session: AsyncSession,
    index: LibraryIndex,
    house: shelf.House,
    trial: Trial,
    name: str,
    found: Found,
) -> None:
    """The question through every door of the search: look-up, search box, titles, suggestion."""
    twin, like = (ident(which, "version", trial.number) for which in ("twin", "like"))
    found.check(index.holds(twin), f"{name}: the twin is not in the index")
    audience, facts = trial.audience, _facts(house, trial.audience)
    looked = await answers.look_up(session, trial.text, audience, index)
    seen = {document.version_id for document in looked.documents}
    channel = Channel(audience.channel)
    box = await finding.find(session, trial.text, facts, channel, index, audience.now, 8)
    titles = await library.search_titles(
        session, trial.text, audience.now, channel=audience.channel, branch_id=audience.branch,
        risk_ceiling=audience.risk_ceiling,
    )  # fmt: skip
    seen |= {document.version_id for document in (*box.documents, *titles)}
    asked = Question(f"typed:{trial.number}", trial.text, house.rm, channel)
    made = await suggestions.suggest(
        session, asked, facts, index=index, writer=QuotingWriter(), now=audience.now
    )
    said = f"{made.draft}{made.candidates}{made.variants}{made.citations}"
    # Another trial's twin may be right for this audience; this one's words and id may not appear.
    leaked = twin in seen or f"{FORBIDDEN}{trial.number}。" in said or str(twin) in said
    found.figures["leaked"] = str(int(found.figures.get("leaked", 0)) + leaked)
    found.check(not leaked, f"{name}: {trial.wrong}, {trial.audience}")
    found.check(like in seen, f"{name}: what may be used was not found, {trial.audience}")
    found.runs += 1
    found.events += 4
    found.faults[trial.wrong] += 1


def _facts(house: shelf.House, audience: Audience) -> CustomerFacts:
    return CustomerFacts(
        customer_id=house.customers[0], branch_id=audience.branch,
        risk_level=audience.risk_ceiling or None, risk_assessed_at=audience.now,
        risk_ceiling=audience.risk_ceiling, age=40, held_products=frozenset(), consent=None,
    )  # fmt: skip

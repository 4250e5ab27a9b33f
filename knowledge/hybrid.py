"""Search over the library: words and vectors together, the filter inside both."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from knowledge.calibration import (
    ENOUGH_PROBES,
    WEIGHT_TAUGHT,
    WEIGHT_UNTAUGHT,
    Calibration,
    Probe,
    Tier,
    calibrate,
    evidence,
    held_out,
    untaught,
)
from knowledge.contrastive import Schedule, fit
from knowledge.encoder import Encoder, StaticEncoder
from knowledge.index import IndexDamaged
from knowledge.lexical import Mask, Synonyms, terms
from knowledge.snapshot import Audience, Document, Entry, Query, Ranked, Role, Segment, Snapshot
from knowledge.state import State, digest, load, save
from knowledge.training.intents import small_talk

__all__ = ["Audience", "Entry", "Found", "Hit", "HybridIndex"]

# A library this small teaches the table nothing that holds for the next question.
LOCAL_DOCUMENTS = 20
LOCAL = Schedule(steps=60, batch=128)


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found, and by which of its texts."""

    document: Document
    score: float
    lexical: float
    dense: float
    best_role: Role
    matched_text: str
    passage_position: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """What a search brought: hits best first, how sure we are of the first, what to do with them.

    `confidence` is the chance that the first hit answers the question; `tier` is `answer` when it
    may be offered alone, `candidates` when a person should choose, `none` when nothing fits.
    """

    hits: tuple[Hit, ...]
    confidence: float
    tier: Tier


class HybridIndex:
    """Documents by titles, passages and example questions; one writer, any number of readers."""

    def __init__(self, encoder: Encoder, synonyms: Synonyms | None = None) -> None:
        self._untaught = encoder
        self._synonyms = synonyms or Synonyms.builtin()
        self._writing = threading.Lock()
        self._state = State(encoder, Snapshot(), None, {})

    def __len__(self) -> int:
        """How many documents can be found."""
        return len(self._state.digests)

    def __contains__(self, document: Document) -> bool:
        """Whether a search can find it."""
        return document in self._state.digests

    @property
    def generation(self) -> str:
        """Names the contents and the encoder: equal contents in any order, equal generation."""
        return self._state.generation

    def search(self, text: str, audience: Audience, k: int) -> Found:
        """The k documents that fit the text best among those the audience may find."""
        state = self._state
        calibration = state.calibration or untaught(len(state.snapshot))
        fusion = calibration.fusion
        query = self._query(text, state.encoder)
        allowed = state.snapshot.allowed(audience)
        # Two at least: how far the second lies behind says how sure the first is.
        ranked, lexical = state.snapshot.rank(query, allowed, fusion, max(k, 2))
        hits = []
        for found in ranked[:k]:
            document = found.entry.document
            passage = state.snapshot.best_passage(document, query, allowed, lexical, fusion)
            hits.append(_hit(found, passage))
        confidence = calibration.confidence(evidence(ranked))
        return Found(tuple(hits), confidence, calibration.tier(confidence))

    def replace_document(self, document: Document, entries: Sequence[Entry]) -> None:
        """The document is found by exactly these entries from now on; without any, not at all."""
        self.replace_documents({document: entries})

    def remove_document(self, document: Document) -> None:
        """The document is found no more; one that is not there is no error."""
        self.replace_documents({document: ()})

    def replace_documents(self, documents: Mapping[Document, Sequence[Entry]]) -> None:
        """As replace_document, for many at once: readers see the whole change or none of it."""
        for document, entries in documents.items():
            if any(entry.document != document for entry in entries):
                raise ValueError(f"an entry of another document stands under {document}")
        fresh = [entry for entries in documents.values() for entry in entries]
        with self._writing:
            state = self._state
            snapshot = state.snapshot.without(documents)
            if fresh:
                snapshot = _appended(snapshot, self._segment(fresh, state.encoder))
            digests = {d: n for d, n in state.digests.items() if d not in documents}
            digests |= {d: digest(entries) for d, entries in documents.items() if entries}
            self._state = replace(state, snapshot=self._tidied(snapshot), digests=digests)

    def fit(self) -> None:
        """Learn from the example questions: teach the table their wordings, set the thresholds.

        The thresholds come from questions that a second table, taught without them, has not seen.
        Takes seconds; meanwhile searches and changes go on with what was known before, and what
        changed is there when the new knowledge takes over.
        """
        entries = sorted(self._state.snapshot.entries(), key=_place)
        probes = held_out(entries)
        enough = len(probes) >= ENOUGH_PROBES
        calibration = self._calibrated(entries, probes) if enough else None
        encoder = self._taught(entries)
        with self._writing:
            state = self._state
            snapshot = state.snapshot
            if encoder.name != state.encoder.name:
                present = sorted(snapshot.entries(), key=_place)
                snapshot = _only(self._segment(present, encoder))
            self._state = State(encoder, snapshot, calibration, state.digests)

    def save(self, folder: Path) -> None:
        """Keep the index in a folder, so that the next start need not encode and learn again."""
        save(self._state, self._untaught, folder)

    def load(self, folder: Path) -> None:
        """Become what was saved; IndexDamaged, and no change, when the folder is not as written."""
        stored = load(folder, self._untaught)
        found = terms([entry.text for entry in stored.entries], self._synonyms)
        snapshot = Snapshot()
        if stored.entries:
            snapshot = _only(Segment.of(stored.entries, found, stored.vectors))
        contents: dict[Document, list[Entry]] = {}
        for entry in stored.entries:
            contents.setdefault(entry.document, []).append(entry)
        digests = {document: digest(entries) for document, entries in contents.items()}
        state = State(stored.encoder, snapshot, stored.calibration, digests)
        if state.generation != stored.generation:
            raise IndexDamaged(folder, "contents differ")
        with self._writing:
            self._state = state

    def _calibrated(self, entries: Sequence[Entry], probes: Sequence[Entry]) -> Calibration:
        unseen = set(map(_place, probes))
        rest = [entry for entry in entries if _place(entry) not in unseen]
        encoder = self._taught(rest)
        weight = WEIGHT_UNTAUGHT if encoder is self._untaught else WEIGHT_TAUGHT
        asked = [Probe(entry.document, self._query(entry.text, encoder)) for entry in probes]
        talk = [self._query(text, encoder) for text in small_talk()]
        return calibrate(_only(self._segment(rest, encoder)), asked, talk, weight)

    def _taught(self, entries: Iterable[Entry]) -> Encoder:
        """The encoder after learning the library's wordings; a sentence model stays as it is."""
        meanings = [texts for texts in _wordings(entries) if len(texts) > 1]
        if not isinstance(self._untaught, StaticEncoder) or len(meanings) < LOCAL_DOCUMENTS:
            return self._untaught
        return fit(self._untaught, meanings, LOCAL)

    def _query(self, text: str, encoder: Encoder) -> Query:
        return Query(terms([text], self._synonyms).keys, encoder.encode([text])[0])

    def _segment(self, entries: Sequence[Entry], encoder: Encoder) -> Segment:
        texts = [entry.text for entry in entries]
        return Segment.of(entries, terms(texts, self._synonyms), encoder.encode(texts))

    def _tidied(self, snapshot: Snapshot) -> Snapshot:
        """Few segments and few dead rows: a row is moved about as often as the library doubles."""
        segments, alive = list(snapshot.segments), list(snapshot.alive)
        while len(segments) > 1 and alive[-2].sum() < 2 * alive[-1].sum():
            last = [(segments.pop(), alive.pop()) for _ in range(2)][::-1]
            self._merge_onto(segments, alive, last)
        for number in [n for n, mask in enumerate(alive) if 2 * mask.sum() < len(mask)][::-1]:
            thin = [(segments.pop(number), alive.pop(number))]
            self._merge_onto(segments, alive, thin, number)
        return Snapshot(tuple(segments), tuple(alive))

    def _merge_onto(
        self,
        segments: list[Segment],
        alive: list[Mask],
        parts: Sequence[tuple[Segment, Mask]],
        place: int | None = None,
    ) -> None:
        entries = [seg.entries[row] for seg, mask in parts for row in np.flatnonzero(mask)]
        if not entries:
            return
        vectors = np.concatenate([seg.dense.vectors(np.flatnonzero(mask)) for seg, mask in parts])
        found = terms([entry.text for entry in entries], self._synonyms)
        number = len(segments) if place is None else place
        segments.insert(number, Segment.of(entries, found, vectors))
        alive.insert(number, np.ones(len(entries), dtype=bool))


def _only(segment: Segment) -> Snapshot:
    return _appended(Snapshot(), segment)


def _appended(snapshot: Snapshot, segment: Segment) -> Snapshot:
    whole = np.ones(len(segment.entries), dtype=bool)
    return Snapshot((*snapshot.segments, segment), (*snapshot.alive, whole))


def _hit(found: Ranked, passage: int | None) -> Hit:
    entry = found.entry
    return Hit(
        entry.document, found.score, found.lexical, found.dense, entry.role, entry.text, passage
    )


def _place(entry: Entry) -> tuple[str, str, int, str]:
    return str(entry.document), entry.role, entry.position, entry.text


def _wordings(entries: Iterable[Entry]) -> list[list[str]]:
    """The wordings of each document's subject: title and questions; without a title, passages."""
    texts: dict[Document, dict[Role, list[str]]] = {}
    for entry in entries:
        texts.setdefault(entry.document, {}).setdefault(entry.role, []).append(entry.text)
    return [
        [*(by.get("title") or by.get("passage", [])), *by.get("question", [])]
        for by in texts.values()
    ]

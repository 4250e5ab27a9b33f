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
from knowledge.conditions import Audience, Conditions
from knowledge.contrastive import Schedule, fit
from knowledge.encoder import Encoder, StaticEncoder, Vectors
from knowledge.grams import Grams
from knowledge.index import FaissStore, FlatIndex, IndexDamaged, Rows, VectorsGone, VectorStore
from knowledge.lexical import Mask, Synonyms, terms
from knowledge.snapshot import Document, Entry, Query, Ranked, Role, Segment, Snapshot
from knowledge.state import State, digest, load, save
from knowledge.training.intents import small_talk

__all__ = ["Audience", "Entry", "Found", "Hit", "HybridIndex"]

# A library this small teaches the table nothing that holds for the next question.
LOCAL_DOCUMENTS = 20
LOCAL = Schedule(steps=60, batch=128)
# What a document about a named product has before others in its score; more than a whole match.
NAMED_PRIOR = 1.0


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
    named: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a search brought: hits best first, how sure we are of the first, what to do with them.

    `confidence` is the chance that the first hit answers the question; `tier` is `answer` when it
    may be offered alone, `candidates` when a person should choose, `none` when nothing fits.
    `generation` names the state of the index that answered.
    """

    hits: tuple[Hit, ...]
    confidence: float
    tier: Tier
    generation: str = ""


class HybridIndex:
    """Documents by titles, passages and example questions; one writer, any number of readers."""

    def __init__(
        self,
        encoder: Encoder,
        synonyms: Synonyms | None = None,
        store: VectorStore | None = None,
    ) -> None:
        """`store` holds the vectors of a published generation; what changed since stays here."""
        self._untaught = encoder
        self._synonyms = synonyms or Synonyms.builtin()
        self._store = store or FaissStore()
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

    @property
    def is_missing_vectors(self) -> bool:
        """Whether vectors were taken away, so that only words find anything until the next fit."""
        return any(segment.dense.gone for segment in self._state.snapshot.segments)

    @property
    def held_by(self) -> list[tuple[str, int]]:
        """For each segment what holds its vectors, and how many rows."""
        return [(s.dense.kind, len(s.dense)) for s in self._state.snapshot.segments]

    def search(self, text: str, audience: Audience, k: int) -> Found:
        """The k documents that fit the text best among those the audience may find."""
        state = self._state
        query = self._query(text, state.encoder)
        try:
            return _found(state, query, audience, k)
        except VectorsGone:
            words = replace(query, vector=np.zeros_like(query.vector))
            return _found(state, words, audience, k)

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
        before = self._state
        entries = sorted(before.snapshot.entries(), key=_place)
        probes = held_out(entries)
        enough = len(probes) >= ENOUGH_PROBES
        calibration = self._calibrated(entries, probes) if enough else None
        encoder = self._taught(entries)
        published = self._published(before, entries, encoder)
        with self._writing:
            state = self._state
            changed = _changed(before.digests, state.digests)
            snapshot = published.without(changed)
            later = [entry for entry in state.snapshot.entries() if entry.document in changed]
            if later:
                snapshot = _appended(snapshot, self._segment(later, encoder))
            self._state = State(encoder, snapshot, calibration, state.digests)

    def _published(self, before: State, entries: Sequence[Entry], encoder: Encoder) -> Snapshot:
        """One segment of everything, its vectors in the store; the same if it is that already."""
        same = encoder.name == before.encoder.name
        if not entries or (same and before.snapshot.is_whole(self._store.holds)):
            return before.snapshot
        conditions, found = Conditions.of(entries), self._terms(entries)
        if same and not self.is_missing_vectors:
            held = list(before.snapshot.entries())
            order = np.array(sorted(range(len(held)), key=lambda row: _place(held[row])))
            vectors = before.snapshot.vectors(encoder.dimension)[order]
        else:
            vectors = encoder.encode([entry.text for entry in entries])
        dense = self._store.hold(Rows(vectors, conditions, encoder.name))
        return _only(Segment.of(entries, found, dense, conditions))

    def tidy(self) -> None:
        """Tell the store what is in use; it clears away what nobody uses any more."""
        segments = self._state.snapshot.segments
        self._store.tidy(segments[0].dense if segments else None)

    def save(self, folder: Path, mark: str = "") -> None:
        """Keep the index in a folder, so that the next start need not encode and learn again."""
        save(self._state, self._untaught, folder, self._store, mark)

    def load(self, folder: Path) -> str:
        """Become what was saved, with the mark it was saved with.

        IndexDamaged, and no change, when the folder is not as written.
        """
        stored = load(folder, self._untaught, self._store)
        snapshot = Snapshot()
        if stored.entries:
            found, conditions = self._terms(stored.entries), Conditions.of(stored.entries)
            snapshot = _only(Segment.of(stored.entries, found, stored.dense, conditions))
        contents: dict[Document, list[Entry]] = {}
        for entry in stored.entries:
            contents.setdefault(entry.document, []).append(entry)
        digests = {document: digest(entries) for document, entries in contents.items()}
        state = State(stored.encoder, snapshot, stored.calibration, digests)
        if state.generation != stored.generation:
            raise IndexDamaged(folder, "contents differ")
        with self._writing:
            self._state = state
        return stored.mark

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
        meanings = _wordings(entries)
        asked_for = sum(len(texts) > 1 for texts in meanings)
        if not isinstance(self._untaught, StaticEncoder) or asked_for < LOCAL_DOCUMENTS:
            return self._untaught
        return fit(self._untaught, meanings, LOCAL)

    def _query(self, text: str, encoder: Encoder) -> Query:
        return Query(terms([text], self._synonyms).keys, encoder.encode([text])[0], text)

    def _terms(self, entries: Sequence[Entry]) -> Grams:
        return terms([entry.text for entry in entries], self._synonyms)

    def _segment(self, entries: Sequence[Entry], encoder: Encoder) -> Segment:
        """A segment in memory, for changes since the last fit."""
        return self._in_memory(entries, encoder.encode([entry.text for entry in entries]))

    def _in_memory(self, entries: Sequence[Entry], vectors: Vectors) -> Segment:
        dense, conditions = FlatIndex.of(vectors), Conditions.of(entries)
        return Segment.of(entries, self._terms(entries), dense, conditions)

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
        number = len(segments) if place is None else place
        segments.insert(number, self._in_memory(entries, vectors))
        alive.insert(number, np.ones(len(entries), dtype=bool))


def _found(state: State, query: Query, audience: Audience, k: int) -> Found:
    calibration = state.calibration or untaught(len(state.snapshot))
    fusion = calibration.fusion
    allowed = state.snapshot.allowed(audience)
    # Two at least: how far the second lies behind says how sure the first is.
    ranked, lexical = state.snapshot.rank(query, allowed, fusion, max(k, 2), audience)
    hits = []
    for found in ranked[:k]:
        document = found.entry.document
        passage = state.snapshot.best_passage(document, query, allowed, lexical, fusion)
        hits.append(_hit(found, passage))
    confidence = calibration.confidence(evidence(ranked))
    return Found(tuple(hits), confidence, calibration.tier(confidence), state.generation)


def _changed(before: Mapping[Document, int], after: Mapping[Document, int]) -> set[Document]:
    """The documents that came, went or are otherwise."""
    every = before.keys() | after.keys()
    return {document for document in every if before.get(document) != after.get(document)}


def _only(segment: Segment) -> Snapshot:
    return _appended(Snapshot(), segment)


def _appended(snapshot: Snapshot, segment: Segment) -> Snapshot:
    whole = np.ones(len(segment.entries), dtype=bool)
    return Snapshot((*snapshot.segments, segment), (*snapshot.alive, whole))


def _hit(found: Ranked, passage: int | None) -> Hit:
    entry = found.entry
    return Hit(
        document=entry.document,
        score=found.score + (NAMED_PRIOR if found.named else 0.0),
        lexical=found.lexical,
        dense=found.dense,
        best_role=entry.role,
        matched_text=entry.text,
        passage_position=passage,
        named=found.named,
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

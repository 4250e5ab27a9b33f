"""The check of the audit book: the chain against its lines, and against the heads outside.

Reads the book once, in one snapshot, a few thousand lines at a time.
"""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

import psycopg

from bank.audit_chain import BEGINNING, Place, chained, content_of
from bank.audit_heads import HEAD, RESTORED, Head, Heads
from bank.calendar import local
from bank.database import plain_url

AT_ONCE = 5000
LOOKED_UP = 3


class Damage(enum.StrEnum):
    """What was done to the book."""

    ALTERED = "altered"
    MISSING = "missing"
    REORDERED = "reordered"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    UNLINKED = "unlinked"
    FORGED = "forged"
    NO_HEAD = "no_head"

    @property
    def label(self) -> str:
        return {
            "altered": "内容被改动",
            "missing": "记录缺失",
            "reordered": "顺序被调换",
            "truncated": "末尾被截断",
            "rewritten": "链条被重写",
            "unlinked": "绕过链条写入",
            "forged": "库外链头不可信",
            "no_head": "缺少库外链头",
        }[self]


@dataclass(frozen=True, slots=True)
class Broken:
    """One thing that is wrong, at which link, and with which line where that is known."""

    damage: Damage
    position: int
    entry_id: int | None
    say: str


@dataclass(frozen=True)
class Checked:
    """What a check found; `broken` is the first place where the book is not what it was."""

    lines: int
    waiting: int
    heads: int
    seconds: float
    last: str  # hash of the last link, hex
    head_at: str = ""  # when the last head was signed, in local time
    broken: Broken | None = None
    faults: int = 0
    restored: list[str] = field(default_factory=list)  # restores that somebody has declared

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.broken is None

    def facts(self) -> dict[str, Any]:
        """For a program: a JSON object."""
        return asdict(self) | {"sound": self.sound}

    def say(self) -> str:
        """The outcome in one sentence."""
        if self.broken is not None:
            return f"{self.broken.damage.label}：{self.broken.say}"
        return f"完好：{self.lines:,} 条记录逐条相扣，与库外 {self.heads} 个签名链头一致。"


def check(url: str, heads: Heads) -> Checked:
    """Check the whole book; reads only."""
    started = perf_counter()
    # Before the snapshot: what is outside must be inside already, never the other way round.
    records, tip = heads.read(), heads.tip()
    with psycopg.connect(plain_url(url)) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        reading = _Reading(connection)
        in_force = _in_force(records, tip)
        found = [*reading.links({head.place.position for head in in_force})]
        found += reading.strays()
        found += _against(reading, records, tip, in_force)
        waiting = reading.number("SELECT count(*) FROM audit_waiting")
    first = min(found, key=lambda one: one.position, default=None)
    return Checked(
        lines=reading.count,
        waiting=waiting,
        heads=len(in_force),
        seconds=round(perf_counter() - started, 3),
        last=reading.end.chain.hex(),
        head_at=_last_signed(records),
        broken=first,
        faults=len(found),
        restored=[head.reason for head in records if head.good and head.kind == RESTORED],
    )


def _last_signed(records: list[Head]) -> str:
    good = [head for head in records if head.good]
    return local(good[-1].at).strftime("%Y-%m-%d %H:%M") if good else ""


def _in_force(records: list[Head], tip: Head | None) -> list[Head]:
    """The heads that bind: after a declared restore, not those from beyond it."""
    binding: list[Head] = []
    restored = None
    for head in records:
        if head.good and head.kind == RESTORED:
            restored = head
            binding = [one for one in binding if one.place.position <= head.place.position]
        if head.good:
            binding.append(head)
    if tip and tip.good and (restored is None or tip.at >= restored.at):
        binding.append(tip)
    return binding


_LINKS = """
SELECT l.position, l.entry_id, l.content, l.chain,
       e.id, CASE WHEN e.at BETWEEN '0002-01-01' AND '9998-12-31' THEN e.at END,
       e.actor, e.action, e.subject, e.subject_id, e.detail
FROM (SELECT * FROM audit_link WHERE position > %s ORDER BY position LIMIT %s) l
LEFT JOIN audit_entry e ON e.id = l.entry_id
ORDER BY l.position
"""
_NEVER_LINKED = """
SELECT e.id FROM audit_entry e
WHERE NOT EXISTS (SELECT 1 FROM audit_link l WHERE l.entry_id = e.id)
  AND NOT EXISTS (SELECT 1 FROM audit_waiting w WHERE w.entry_id = e.id)
ORDER BY e.id LIMIT 1
"""
_VANISHED = """
SELECT w.entry_id FROM audit_waiting w
WHERE NOT EXISTS (SELECT 1 FROM audit_entry e WHERE e.id = w.entry_id)
ORDER BY w.entry_id LIMIT 1
"""


class _Reading:
    """One pass over the book in one snapshot."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self.end: Place = BEGINNING
        self.count = 0
        self.chains: dict[int, bytes] = {0: BEGINNING.chain}
        # Finding out where something came from reads the chain again: only for the first ones.
        self._looked_up = 0

    def links(self, remembered: set[int]) -> Iterator[Broken]:
        """What is wrong with the links, in their order; keeps the hashes at those positions."""
        for row in self._rows():
            position, entry_id, content, chain, number, *said = row
            expected = self.end.position + 1
            if position != expected:
                yield Broken(
                    Damage.MISSING, expected, None,
                    f"链上第 {expected} 位到第 {position - 1} 位的封存记录不见了。",
                )  # fmt: skip
            elif chain != chained(self.end.chain, position, entry_id, content):
                yield self._out_of_order(position, entry_id, content, chain)
            if number is None:
                yield Broken(
                    Damage.MISSING, position, entry_id,
                    f"第 {entry_id} 号记录（链上第 {position} 位）已不在库中。",
                )  # fmt: skip
            elif (now_says := content_of(*said)) != content:
                yield self._altered(position, entry_id, now_says)
            self.end, self.count = Place(position, chain), self.count + 1
            if position in remembered:
                self.chains[position] = chain

    def strays(self) -> Iterator[Broken]:
        """Lines beside the chain: written past it, or gone before they were linked."""
        if stray := self.number(_NEVER_LINKED):
            yield Broken(
                Damage.UNLINKED, self.end.position + 1, stray,
                f"第 {stray} 号记录没有经过正常写入，或其封存记录被删除。",
            )  # fmt: skip
        if gone := self.number(_VANISHED):
            yield Broken(
                Damage.MISSING, self.end.position + 1, gone,
                f"第 {gone} 号记录在入链之前被删除。",
            )  # fmt: skip

    def number(self, query: str) -> int:
        """The one number that the query finds; 0 without one."""
        row = self._connection.execute(query.encode()).fetchone()
        return int(row[0]) if row else 0

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        after = 0
        while rows := self._connection.execute(_LINKS, (after, AT_ONCE), binary=True).fetchall():
            yield from rows
            after = rows[-1][0]

    def _out_of_order(self, position: int, entry_id: int, content: bytes, chain: bytes) -> Broken:
        """Whether the link belongs elsewhere in the chain, or fits nowhere."""
        for place, before in self._places():
            if chained(before, place + 1, entry_id, content) == chain:
                return Broken(
                    Damage.REORDERED, position, entry_id,
                    f"第 {entry_id} 号记录现在排在第 {position} 位，原来是第 {place + 1} 位。",
                )  # fmt: skip
        return Broken(
            Damage.REWRITTEN, position, entry_id,
            f"第 {entry_id} 号记录（链上第 {position} 位）与前一位接不上。",
        )  # fmt: skip

    def _altered(self, position: int, entry_id: int, now_says: bytes) -> Broken:
        """Whether the line says what another one said, or something new."""
        if other := self._says_of(now_says):
            return Broken(
                Damage.REORDERED, position, entry_id,
                f"第 {entry_id} 号记录里现在是第 {other} 号记录的内容。",
            )  # fmt: skip
        return Broken(
            Damage.ALTERED, position, entry_id,
            f"第 {entry_id} 号记录（链上第 {position} 位）与写入时不同。",
        )  # fmt: skip

    def _places(self) -> list[tuple[int, bytes]]:
        if self._looked_up >= LOOKED_UP:
            return []
        self._looked_up += 1
        query = "SELECT position, chain FROM audit_link ORDER BY position"
        return [(0, BEGINNING.chain), *self._connection.execute(query).fetchall()]

    def _says_of(self, content: bytes) -> int:
        """The line that said this when it was linked; 0 without one."""
        if self._looked_up >= LOOKED_UP:
            return 0
        self._looked_up += 1
        query = "SELECT entry_id FROM audit_link WHERE content = %s LIMIT 1"
        row = self._connection.execute(query, (content,)).fetchone()
        return int(row[0]) if row else 0


def _against(
    reading: _Reading, records: list[Head], tip: Head | None, in_force: list[Head]
) -> Iterator[Broken]:
    """Where the book contradicts what stands outside, or what stands outside is not ours."""
    end = reading.end.position
    for head in [*records, *([tip] if tip else [])]:
        if not head.good:
            yield Broken(Damage.FORGED, head.place.position, None, f"{head.fault}。")
    if end and not in_force:
        yield Broken(
            Damage.NO_HEAD, end, None,
            "库外没有任何可信的链头，无法排除末尾被截断；请把 SIYU_AUDIT_HEADS 指向后台进程"
            "写入链头的文件夹。",
        )  # fmt: skip
    yield from _contradictions(in_force, reading.chains, end)


def _contradictions(
    in_force: list[Head], chains: Mapping[int, bytes], end: int
) -> Iterator[Broken]:
    agreed = 0
    for head in sorted(in_force, key=lambda one: one.place.position):
        position = head.place.position
        what = "链头" if head.kind == HEAD else "链尾"
        if position > end:
            yield Broken(
                Damage.TRUNCATED, end + 1, None,
                f"库外签名{what}记到第 {position} 位，库中只到第 {end} 位，"
                f"缺少 {position - end} 条。",
            )  # fmt: skip
            return
        if chains.get(position) != head.place.chain:
            yield Broken(
                Damage.REWRITTEN, agreed + 1, None,
                f"第 {agreed + 1} 位到第 {position} 位的链条与库外签名{what}不一致。",
            )  # fmt: skip
            return
        agreed = position

"""A year of conversations: what customers asked, what was suggested, and what the RM made of it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from attribution.models import Touchpoint, TouchpointKind
from bank.calendar import at_local, local, local_day
from bot.demo import cares
from bot.demo.answers import Asked, Book
from bot.demo.library import LAUNCH, Paper, Shelf, line
from bot.demo.people import Bond, Client, People
from bot.demo.rows import Rows, fact, ident
from bot.demo.said import Spoken, said
from bot.models import Message, Speaker
from content.models import Kind
from knowledge.models import Suggestion, SuggestionState
from knowledge.replies import changed
from outbound.models import Door
from outbound.records import hash_of
from wecom.channels import Channel

# Questions of a relation in a month: most customers write little, a few write often.
PACES = ((0.18, 48), (0.7, 37), (1.9, 15))
FATES = (
    (SuggestionState.SENT, 65),
    (SuggestionState.EDITED, 15),
    (SuggestionState.REJECTED, 12),
    (SuggestionState.NO_MATCH, 8),
)
HELD_BACK = 0.06  # of the answers that speak about markets
WAITING = 11  # customers who wrote on the evening before and have no answer yet
HOURS = (8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
BUSY = (3, 9, 12, 10, 6, 5, 9, 11, 10, 8, 6, 6, 5)


@cache
def phrases() -> dict[str, Any]:
    """What customers ask and say, and what RMs say by themselves."""
    path = Path(__file__).with_name("questions.yaml")
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


@dataclass(frozen=True)
class Reply:
    """A reply a customer got: when, from whom, made of what."""

    client: Client
    bond: Bond
    at: datetime
    paper: Paper


class Chats:
    """Writes messages, with the touchpoint of those a customer wrote."""

    def __init__(self, rows: Rows, rng: random.Random) -> None:
        self._rows, self._rng = rows, rng

    def say(self, client: Client, bond: Bond, speaker: Speaker, text: str, at: datetime) -> Message:
        """One message of the two, stored a moment after it was sent."""
        number = f"{self._rng.getrandbits(63):019d}_{int(at.timestamp())}_external"
        message = fact(
            Message,
            id=ident("message", number),
            msgid=number,
            staff_id=bond.rm.id,
            customer_id=client.id,
            speaker=speaker,
            text=text,
            sent_at=at,
            stored_at=at + timedelta(seconds=self._rng.randint(1, 3)),
            answered=True,
            attempts=1,
            lease_until=None,
            failure="",
        )
        self._rows.add(message)
        if speaker is Speaker.CUSTOMER:
            seen(self._rows, client, bond, TouchpointKind.CUSTOMER_WROTE, at, message.id)
        return message


def seen(
    rows: Rows,
    client: Client,
    bond: Bond,
    kind: TouchpointKind,
    at: datetime,
    source_id: object,
    paper: Paper | None = None,
) -> None:
    """The touchpoint that the product would record at that moment."""
    sources = {
        TouchpointKind.CUSTOMER_WROTE: "message",
        TouchpointKind.REPLY_SENT: "suggestion",
        TouchpointKind.TOUCH_DELIVERED: "touch",
    }
    rows.add(
        fact(
            Touchpoint,
            customer_id=client.id,
            staff_id=bond.rm.id,
            kind=kind,
            channel=Channel.SINGLE_CHAT.value,
            at=at,
            material_id=paper.material.id if paper else None,
            version_id=paper.version.id if paper else None,
            source=sources[kind],
            source_id=str(source_id),
        )
    )


def conversations(rows: Rows, cast: People, shelf: Shelf, today: date, seed: int) -> list[Reply]:
    """Every conversation of the year, put into `rows`; the replies customers got, by time."""
    rng = random.Random(f"history:{seed}")
    author = _Author(rows, shelf, Book(shelf), Chats(rows, rng), cast, today, rng)
    for client in cast.clients:
        for bond in client.bonds:
            author.live_through(client, bond)
    author.leave_waiting()
    author.leave_cares()
    return sorted(author.replies, key=lambda reply: (reply.at, reply.client.id.hex))


class _Author:
    """Writes the year, one relation after another."""

    def __init__(
        self,
        rows: Rows,
        shelf: Shelf,
        book: Book,
        chats: Chats,
        cast: People,
        today: date,
        rng: random.Random,
    ) -> None:
        self.rows, self.shelf, self.book, self.chats = rows, shelf, book, chats
        self.cast, self.today, self.rng = cast, today, rng
        self.replies: list[Reply] = []
        self.start = at_local(today - timedelta(days=LAUNCH - 1), time())
        self.midnight = at_local(today, time())

    def live_through(self, client: Client, bond: Bond) -> None:
        """All that the two wrote to each other since the archive was opened."""
        if bond.added_at >= self.start:
            self._greet(client, bond)
        for at in self._moments(client, bond):
            if self.rng.random() < 0.08:
                self._unanswered(client, bond, at)
                continue
            asked = self._question(client, at)
            if asked is not None:
                self._ask(client, bond, at, *asked)

    def leave_cares(self) -> None:
        """What a few customers wrote yesterday that a person must look at."""
        times = cares.moments(self.today)
        who = cares.speakers(self.cast, times[0])
        for (kind, text, reason), (client, bond), at in zip(cares.SAID, who, times, strict=False):
            message = self.chats.say(client, bond, Speaker.CUSTOMER, text, at)
            cares.alert(self.rows, self.cast, message, kind, reason, self.book)

    def _greet(self, client: Client, bond: Bond) -> None:
        branch = next(b.name for b in self.cast.branches if b.id == bond.rm.branch_id)
        text = phrases()["greeting"].format(客户=client.salutation, 支行=branch, 经理=bond.rm.name)
        at = bond.added_at + timedelta(seconds=self.rng.randint(40, 300))
        self.chats.say(client, bond, Speaker.RM, text, at)

    def _moments(self, client: Client, bond: Bond) -> Iterator[datetime]:
        """When the customer wrote: at most once a day, in waking hours, ending the day before."""
        first = max(local_day(bond.added_at), local_day(self.start)) + timedelta(days=1)
        last = self.today - timedelta(days=1)
        if bond.removed_at is not None:
            last = min(last, local_day(bond.removed_at) - timedelta(days=2))
        days = (last - first).days + 1
        if days < 1:
            return
        pace = max(1.2, self._pace()) if client.easy else self._pace()
        expected = pace * days / 30 + 0.4
        count = min(days, int(expected) + (self.rng.random() < expected % 1))
        for day in sorted(self.rng.sample(range(days), count)):
            hour = self.rng.choices(HOURS, BUSY)[0]
            clock = time(hour, self.rng.randint(0, 29), self.rng.randint(0, 59))
            yield at_local(first + timedelta(days=day), clock)

    def _pace(self) -> float:
        return self.rng.choices([pace for pace, _ in PACES], [share for _, share in PACES])[0]

    def _question(self, client: Client, at: datetime) -> tuple[str, Paper] | None:
        """Something this customer would ask and the library could answer at that moment."""
        for _ in range(6):
            entry = self.rng.choice(phrases()["asked"])
            paper = self.shelf.paper(entry["code"], at)
            if paper is None or not paper.usable(at, client.ceiling(at), client.row.branch_id):
                continue
            # Who holds none of a product seldom asks about it.
            if paper.codes and not paper.codes & client.held and self.rng.random() < 0.45:
                continue
            return entry["ask"], paper
        return None

    def _unanswered(self, client: Client, bond: Bond, at: datetime) -> None:
        """A question the library has nothing on; the RM answers by hand."""
        text = self.rng.choice(phrases()["unanswered"])
        message = self.chats.say(client, bond, Speaker.CUSTOMER, text, at)
        self.rows.add(self.book.nothing_found(self._asked(client, bond, message), self.rng))
        by_hand = self.rng.choice(phrases()["by_hand"])
        self.chats.say(client, bond, Speaker.RM, by_hand, self._answered_at(at))

    def _asked(self, client: Client, bond: Bond, message: Message) -> Asked:
        at = message.sent_at + timedelta(seconds=self.rng.randint(3, 6))
        return Asked(f"message:{message.id}", message.text, client, bond, at)

    def _answered_at(self, at: datetime) -> datetime:
        """When the RM gets to it: soon by day, next morning after eight in the evening."""
        if local(at).hour < 20:
            return at + timedelta(seconds=120 + min(7000, round(self.rng.expovariate(1 / 900))))
        morning = local_day(at) + timedelta(days=1)
        return min(
            at_local(morning, time(8, self.rng.randint(30, 59), self.rng.randint(0, 59))),
            self.midnight - timedelta(minutes=self.rng.randint(40, 90)),
        )

    def _ask(self, client: Client, bond: Bond, at: datetime, text: str, paper: Paper) -> None:
        """Question, suggestion, what the RM did, and sometimes a word of thanks."""
        fates = [fate for fate, _ in FATES[:3]]
        fate = self.rng.choices(fates, [share for _, share in FATES[:3]])[0]
        message = self.chats.say(client, bond, Speaker.CUSTOMER, text, at)
        suggestion = self.book.answer(self._asked(client, bond, message), paper, self.rng)
        self.rows.add(suggestion)
        if paper.material.kind is Kind.MARKET_NOTE and self.rng.random() < HELD_BACK:
            self.book.hold_back(suggestion)
        if suggestion.state is SuggestionState.BLOCKED:
            return
        decided = max(self._answered_at(at), suggestion.created_at + timedelta(seconds=20))
        suggestion.decided_at, suggestion.state = decided, fate
        if fate is SuggestionState.REJECTED:
            self._reject(client, bond, suggestion, decided)
        else:
            self._send(client, bond, suggestion, decided, paper)
        if self.rng.random() < 0.3:
            after = min(decided + timedelta(minutes=self.rng.randint(1, 25)), self._late(decided))
            self.chats.say(
                client, bond, Speaker.CUSTOMER, self.rng.choice(phrases()["thanks"]), after
            )

    def _late(self, decided: datetime) -> datetime:
        return max(decided + timedelta(seconds=30), self.midnight - timedelta(minutes=20))

    def _send(
        self,
        client: Client,
        bond: Bond,
        suggestion: Suggestion,
        at: datetime,
        paper: Paper,
    ) -> None:
        edited = suggestion.state is SuggestionState.EDITED
        suggestion.sent_text = (
            self._edited(client, suggestion.draft) if edited else suggestion.draft
        )
        suggestion.edit_share = changed(suggestion.draft, suggestion.sent_text)
        self.chats.say(client, bond, Speaker.RM, suggestion.sent_text, at)
        spoken = Spoken(Door.SIDEBAR, suggestion.id, client, bond.rm, suggestion.sent_text, at)
        passages = [f"{c['version_id']}#{c['position']}" for c in suggestion.citations]
        said(
            self.rows, spoken, paper, edited=edited, passages=passages, writer=suggestion.writer,
            ai_assisted=True, suggested_hash=hash_of(suggestion.draft),
        )  # fmt: skip
        seen(self.rows, client, bond, TouchpointKind.REPLY_SENT, at, suggestion.id, paper)
        self.rows.add(
            line("knowledge:suggestion:send", suggestion.id, bond.rm.userid, at, edited=edited)
        )
        self.replies.append(Reply(client, bond, at, paper))

    def _edited(self, client: Client, draft: str) -> str:
        """The draft in the RM's own manner: an address before it, or a friendly end."""
        if self.rng.random() < 0.6:
            opening: str = self.rng.choice(phrases()["openings"]).format(客户=client.salutation)
            return opening + draft.removeprefix("您好，")
        closing: str = self.rng.choice(phrases()["closings"])
        return f"{draft}\n{closing}"

    def _reject(self, client: Client, bond: Bond, suggestion: Suggestion, at: datetime) -> None:
        reasons: Sequence[str] = ("答非所问", "语气不合适", "内容过时", "客户情况不符", "其他")
        suggestion.reject_reason = self.rng.choices(reasons, (38, 18, 10, 26, 8))[0]
        self.rows.add(
            line(
                "knowledge:suggestion:reject", suggestion.id, bond.rm.userid, at,
                reason=suggestion.reject_reason,
            )
        )  # fmt: skip
        by_hand = self.rng.choice(phrases()["by_hand"])
        self.chats.say(client, bond, Speaker.RM, by_hand, at + timedelta(seconds=70))

    def leave_waiting(self) -> None:
        """The evening before: one customer of nearly every RM still waits for an answer."""
        evening = self.today - timedelta(days=1)
        for client in self.cast.clients[:WAITING]:
            clock = time(20, 30 + self.rng.randint(0, 25), self.rng.randint(0, 59))
            at = at_local(evening, clock)
            asked = self._question(client, at)
            if asked is not None:
                message = self.chats.say(client, client.first, Speaker.CUSTOMER, asked[0], at)
                entry = self._asked(client, client.first, message)
                self.rows.add(self.book.answer(entry, asked[1], self.rng))

"""What a customer's words ask of people: noted with the message, before anything is suggested."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bot.chat import conversations
from bot.models import Speaker
from customers import care
from customers.care import Heard
from customers.models import CareKind
from knowledge import intents, suggestions
from knowledge.conversation import LONGEST_TURN, TURNS, Turn
from knowledge.finding import masked_question

STILL_TALKING = timedelta(minutes=30)
# A chat goes on over the day; what was said yesterday is another conversation.
SAME_TALK = timedelta(hours=6)
BY_RULE = {
    CareKind.COMPLAINT: "含投诉、追责或要求说法的用语",
    CareKind.REFUSAL: "要求不再联系或不再推送",
    CareKind.VULNERABLE: "提到年龄、疾病、困境或急需的钱",
}


@dataclass(frozen=True)
class Words:
    """A customer's message to an RM or at 微信客服, and where it stands."""

    source: str
    text: str
    customer_id: UUID | None
    staff_id: UUID | None
    contact: str = ""  # of whoever writes at 微信客服


async def note(session: AsyncSession, words: Words, now: datetime) -> None:
    """Raise a care alert for each thing these words ask of a person (C-27, C-44, L-09)."""
    read = intents.reader().read(words.text)
    found = {
        CareKind.COMPLAINT: read.complains,
        CareKind.REFUSAL: read.refuses,
        CareKind.VULNERABLE: read.vulnerable,
    }
    for kind in (kind for kind, heard in found.items() if heard):
        same = read.intent.value == kind.value
        await care.hear(
            session,
            Heard(
                kind=kind,
                customer_id=words.customer_id,
                staff_id=words.staff_id,
                contact=words.contact,
                source=words.source,
                sentence=masked_question(words.text)[:LONGEST_TURN],
                because=read.reasons if same else (BY_RULE[kind],),
            ),
            now,
        )


async def turns_so_far(
    session: AsyncSession, staff_id: UUID, customer_id: UUID, question: str, now: datetime
) -> tuple[Turn, ...]:
    """The turns before a question that is typed now: of the archive, and typed a moment ago."""
    archived = await turns_before(session, staff_id, customer_id, now)
    typed = [
        turn
        for made in reversed(await suggestions.open_for(session, staff_id, customer_id))
        if made.question_key.startswith("typed:") and now - made.created_at < STILL_TALKING
        for turn in (Turn("customer", made.question), Turn("rm", made.sent_text))
    ]
    masked = masked_question(question)
    said = [turn for turn in (*archived, *typed) if turn.text and turn.text != masked]
    return tuple(Turn(turn.speaker, turn.text[:LONGEST_TURN]) for turn in said[-TURNS:])


async def turns_before(
    session: AsyncSession, staff_id: UUID, customer_id: UUID, before: datetime
) -> tuple[Turn, ...]:
    """The last turns of a chat in the hours before a moment, masked, oldest first."""
    lines = await conversations.latest(session, staff_id, customer_id, TURNS + 1, before=before)
    return tuple(
        Turn(
            "customer" if line.speaker is Speaker.CUSTOMER else "rm",
            masked_question(line.text)[:LONGEST_TURN],
        )
        for line in lines[-TURNS:]
        if before - line.sent_at < SAME_TALK
    )

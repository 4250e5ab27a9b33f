"""Everything that was asked and belongs to a content gap: in a chat with an RM, or in a group."""

from typing import Any

from sqlalchemy import Subquery, Text, cast, func, select, union_all
from sqlmodel import col

from knowledge.models import GapQuestion, HeardQuestion, Suggestion
from wecom.channels import Channel


def askings() -> Subquery:
    """One row an asking: `gap_id`, `question`, `at`, `who` asked and by which `channel`."""
    return union_all(_in_chats(), _in_groups()).subquery("asking")


def _in_chats() -> Any:
    return select(
        col(GapQuestion.gap_id).label("gap_id"),
        col(Suggestion.unanswered).label("question"),
        col(Suggestion.created_at).label("at"),
        cast(col(Suggestion.customer_id), Text).label("who"),
        col(Suggestion.channel).label("channel"),
    ).join(Suggestion, col(Suggestion.id) == GapQuestion.suggestion_id)


def _in_groups() -> Any:
    """The same customer is one person in both; strangers are told apart by their WeCom ids."""
    known = cast(col(HeardQuestion.customer_id), Text)
    return select(
        col(HeardQuestion.gap_id),
        col(HeardQuestion.question),
        col(HeardQuestion.created_at),
        func.coalesce(known, col(HeardQuestion.member_id)),
        cast(Channel.GROUP.value, Text),
    ).where(col(HeardQuestion.gap_id).is_not(None))

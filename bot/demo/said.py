"""The rows that say why something was said, for what the demo bank's customers got."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bank.models import Staff
from bot.demo.library import Paper
from bot.demo.people import Client
from bot.demo.rows import Rows, fact, ident
from outbound.facts import SOURCES
from outbound.models import Door, OutboundMessage, OutboundState
from outbound.records import hash_of
from wecom.channels import Channel


@dataclass(frozen=True)
class Spoken:
    """Words a customer got: by which door, from whom, what they belong to."""

    door: Door
    source_id: object
    client: Client
    rm: Staff | None
    text: str
    at: datetime


def said(rows: Rows, it: Spoken, paper: Paper | None, **facts: Any) -> None:
    """What the one check would have written down at that moment."""
    client, consent = it.client, it.client.consent
    level = max((product.rating for product in paper.about), default=0) if paper else 0
    known = it.door is not Door.SERVICE
    given = {
        "suggested_hash": "",
        "edited": False,
        "passages": [],
        "writer": "approved",
        "ai_assisted": False,
        "ai_marked": False,
        "marketing": False,
        "attachments": [],
        "delivered": int(it.door is Door.SIDEBAR),
        **facts,
    }
    rows.add(
        fact(
            OutboundMessage,
            id=ident("outbound", it.door.value, it.source_id),
            at=it.at,
            door=it.door,
            channel=(Channel.SINGLE_CHAT if known else Channel.KF).value,
            source=SOURCES[it.door],
            source_id=str(it.source_id),
            staff_id=it.rm.id if it.rm else None,
            customer_id=client.id if known and it.door is not Door.WELCOME else None,
            contact=client.row.external_userid or "",
            text=it.text,
            text_hash=hash_of(it.text),
            versions=[_version(paper)] if paper else [],
            prompt_hash="",
            verdict={"level": "pass", "findings": []},
            reasons=[],
            consent_id=consent.id if consent and client.agrees(it.at) and known else None,
            customer_level=client.row.risk_level if known else None,
            customer_ceiling=client.ceiling(it.at) if known else 0,
            product_level=level,
            chat_id="",
            recipients=[],
            special_notice=False,
            state=OutboundState.SENT,
            settled_at=it.at,
            **given,
        )
    )


def _version(paper: Paper) -> dict[str, Any]:
    return {
        "version_id": str(paper.version.id),
        "material_id": str(paper.material.id),
        "code": paper.material.code,
        "title": paper.version.title,
        "number": paper.version.number,
        "sha256": paper.version.sha256,
    }

"""Writing a pack: JSON for programs, one page for readers, and a manifest that holds it together.

The manifest names every file with its hash, each chained to the one before, and is signed with the
key of the audit book: no byte of any file can change without `siyu evidence --verify` telling.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from attribution.models import TouchpointKind
from bank.audit_chain import Place, canonical
from bank.retention import Keeping, kept_until
from bank.settings import Settings
from bank.signing import Signer
from bot import audit_words
from bot.evidence.gathering import Gathered, Row
from bot.evidence.moments import moments_of, relation_ended, story
from desk.render import when
from knowledge.models import SuggestionState
from outbound import alerts
from outbound.models import OutboundState
from scheduler.models import TouchState

MANIFEST = "manifest.json"
INDEX = "index.html"


class OutNotEmpty(ValueError):
    """The folder for the pack is there already and not empty; name a new one."""


@dataclass(frozen=True)
class Label:
    """What the manifest says of the pack as a whole."""

    made_at: datetime
    made_by: str
    second: str
    personal: bool
    book: Place


def write_pack(
    out: Path, made: Gathered, label: Label, settings: Settings, signer: Signer
) -> dict[str, Any]:
    """Write the pack into that new folder; returns its manifest."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutNotEmpty(f"{OutNotEmpty.__doc__} ({out})")
    moments, terms = moments_of(made), _terms(made, settings)
    files = {f"{name}.json": _json(rows) for name, rows in made.chapters.items()}
    files["moments.json"] = _json(moments)
    files["audit.json"] = _json(made.lines)
    files |= {str(row["name"]): _json(row) for row in made.versions} | made.files
    files[INDEX] = _page(made, moments, label, terms, settings.bank_name, sorted(files))
    manifest = _manifest(made, label, terms, files, signer)
    _put(out, files | {MANIFEST: _json(manifest)})
    return manifest


def _terms(made: Gathered, settings: Settings) -> Row:
    """How long this evidence must be kept."""
    ended = relation_ended(made.chapters["follows"])
    until = kept_until(
        Keeping.EVIDENCE, settings.retention_evidence_years, ended.date() if ended else None
    )
    return {
        "relation_ended": ended.isoformat() if ended else None,
        "kept_until": until.isoformat() if until else None,
        "legal_hold": any(row["released_at"] is None for row in made.chapters["holds"]),
    }


def _manifest(
    made: Gathered, label: Label, terms: Row, files: dict[str, bytes], signer: Signer
) -> dict[str, Any]:
    said: dict[str, Any] = {
        "pack": "siyu evidence 1",
        "about": {made.about: str(made.subject)},
        "made_at": label.made_at.astimezone(UTC).isoformat(),
        "made_by": label.made_by,
        "second": label.second,
        "personal_data": label.personal,
        "rows": made.rows,
        "book": {"position": label.book.position, "chain": label.book.chain.hex()},
        "terms": terms,
        "files": listed(files),
        "key": signer.key,
        "public_key": signer.public_text,
    }
    return said | {"signature": signer.sign(canonical(said))}


def listed(files: dict[str, bytes]) -> list[Row]:
    """Every file with its size and hash; `chain` also stands for all files before it."""
    rows: list[Row] = []
    before = ""
    for name in sorted(files):
        sha256 = hashlib.sha256(files[name]).hexdigest()
        before = hashlib.sha256(f"{before}\n{name}\n{sha256}".encode()).hexdigest()
        rows.append({"name": name, "size": len(files[name]), "sha256": sha256, "chain": before})
    return rows


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


def _page(
    made: Gathered, moments: list[Row], label: Label, terms: Row, bank: str, files: list[str]
) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bot"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["state"] = _state
    environment.filters["action"] = audit_words.action_label
    environment.filters["seen"] = lambda kind: TouchpointKind(kind).label
    environment.filters["purpose"] = lambda purpose: audit_words.WORDS["purpose"][purpose]
    environment.filters["alerts"] = alerts.labels_of
    environment.filters["when"] = lambda at: when(datetime.fromisoformat(at)) if at else "—"
    told = environment.get_template("bot/evidence.html").render(
        made=made, label=label, terms=terms, bank=bank, files=files, story=story(made, moments)
    )
    return told.encode()


def _state(row: Row) -> str:
    """What became of it, in the words of the pages."""
    if row["what"] == "touch":
        return TouchState(row["state"]).label
    if row["what"] == "outbound":
        return OutboundState(row["state"]).label
    return SuggestionState(row["state"]).label


def _put(out: Path, files: dict[str, bytes]) -> None:
    """Only its owner may read a pack."""
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, data in files.items():
        path = out / name
        path.parent.mkdir(exist_ok=True, mode=0o700)
        path.write_bytes(data)
        path.chmod(0o600)

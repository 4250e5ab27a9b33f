"""The sentences written for training: what bank customers ask, and small talk."""

from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
SMALL_TALK = HERE / "small_talk.txt"
FILES = [HERE / name for name in ("accounts.txt", "funds_insurance.txt", "talk.txt", "wealth.txt")]


def read_intents(files: Sequence[Path] = (*FILES, SMALL_TALK)) -> dict[str, list[str]]:
    """Intent name → its wordings, from lines `name: wording | wording | …`; a name stands once."""
    intents: dict[str, list[str]] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                name, _, wordings = line.partition(":")
                if name in intents:
                    raise ValueError(f"intent {name} stands twice, again in {file.name}")
                intents[name] = [wording.strip() for wording in wordings.split("|")]
    return intents


def small_talk() -> list[str]:
    """What people say that no material answers."""
    return [line for wordings in read_intents([SMALL_TALK]).values() for line in wordings]

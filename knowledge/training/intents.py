"""The sentences written for training: what bank customers ask, and small talk."""

from collections.abc import Sequence
from pathlib import Path

from knowledge.grams import normalise

HERE = Path(__file__).parent
SMALL_TALK = HERE / "small_talk.txt"
FILES = sorted(file for file in HERE.glob("*.txt") if file != SMALL_TALK)


def read_intents(files: Sequence[Path] = (*FILES, SMALL_TALK)) -> dict[str, list[str]]:
    """Intent name → its wordings, from lines `name: wording | wording | …`.

    ValueError when a name or a wording stands twice: a sentence cannot mean two things.
    """
    intents: dict[str, list[str]] = {}
    asked_by: dict[str, str] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                name, _, wordings = line.partition(":")
                if name in intents:
                    raise ValueError(f"intent {name} stands twice, again in {file.name}")
                intents[name] = [wording.strip() for wording in wordings.split("|")]
                for wording in map(normalise, intents[name]):
                    if asked_by.setdefault(wording, name) != name:
                        raise ValueError(f"{wording} is in {asked_by[wording]} and in {name}")
    return intents


def small_talk() -> list[str]:
    """What people say that no material answers."""
    return [line for wordings in read_intents([SMALL_TALK]).values() for line in wordings]

"""`siyu tune`: which phrasings are learnt from, and how far it is, for a person who waits."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bank.database import open_engine, open_sessions
from bank.settings import Settings
from content import library
from knowledge.tuning import Phrasing, Told


async def approved(settings: Settings, now: datetime) -> list[Phrasing]:
    """The example questions of the material that is live now, by the material's code."""
    engine = open_engine(settings.database_url)
    try:
        async with open_sessions(engine)() as session:
            live = await library.live_documents(session, now)
    finally:
        await engine.dispose()
    return [(document.material_code, text) for document in live for text in document.questions]


def phrasings_in(rows: Iterable[Mapping[str, Any]]) -> list[Phrasing]:
    """The rows of a file, `id` and `text` each; ValueError names the first that is otherwise."""
    found = []
    for number, row in enumerate(rows, 1):
        try:
            material, text = str(row["id"]), row["text"]
        except (KeyError, TypeError):
            raise ValueError(f"phrasing {number}: needs an id and a text") from None
        if not isinstance(text, str):
            raise ValueError(f"phrasing {number}: its text is no string")
        found.append((material, text))
    return found


@contextmanager
def on_terminal(title: str) -> Iterator[Told]:
    """A bar on stderr where that is a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)
        yield lambda step, steps: progress.update(task, completed=step, total=steps)

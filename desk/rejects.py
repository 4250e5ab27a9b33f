"""Rows of an uploaded file that were not taken: on the page, and as a file to mend and send again.

Nothing rejected is kept on the server: the page carries the rows and gives them back.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from bank.sheets import cell_text, rejected_csv

SHOWN = 100


def in_words(row: Mapping[str, Any], headings: Mapping[str, str]) -> dict[str, str]:
    """The cells under the headings a person reads, and the reason."""
    cells = {word: row.get(name, row.get(word)) for name, word in headings.items()}
    return {**{word: cell_text(cell) for word, cell in cells.items()}, "原因": str(row["reason"])}


def kept(rows: Sequence[dict[str, str]]) -> str:
    """All of them, for a hidden field of the page."""
    return json.dumps(rows, ensure_ascii=False)


async def download(request: web.Request, name: str) -> web.Response:
    """The rows of the page just shown, as a CSV file of that name."""
    rows = _read(str((await request.post()).get("rejects", "")))
    if rows is None:
        raise web.HTTPBadRequest(text="没有可下载的内容：请重新上传文件。")
    return web.Response(
        body=rejected_csv(rows),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _read(text: str) -> list[dict[str, str]] | None:
    try:
        rows = json.loads(text)
    except ValueError:
        return None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return [{str(name): str(cell) for name, cell in row.items()} for row in rows]

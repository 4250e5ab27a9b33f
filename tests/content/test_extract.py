"""Text out of uploaded files, and the files that are refused."""

import asyncio
import sys
from collections.abc import Callable

import pytest

from content.extract import LARGEST, READERS, Extracted, Paragraph, Refused, text_of
from tests.content import papers


async def test_a_word_document_is_read_in_the_order_of_the_page() -> None:
    data = papers.a_docx(
        ["第一段文字在这里。", "", "第二段文字在这里。"], [["项目", "费率"], ["管理费", "0.20%"]]
    )
    read = await text_of(data, "说明.docx")
    assert read == Extracted(
        [
            Paragraph("第一段文字在这里。", "第 1 段"),
            Paragraph("第二段文字在这里。", "第 2 段"),
            Paragraph("项目 ｜ 费率", "第 3 段"),
            Paragraph("管理费 ｜ 0.20%", "第 4 段"),
        ],
        "docx",
    )


async def test_a_pdf_is_read_page_by_page_with_lines_joined_to_sentences() -> None:
    first, second = papers.FIRST[:20], papers.FIRST[20:]
    read = await text_of(papers.a_pdf([[first, second], [papers.SECOND]]), "说明.PDF")
    assert read == Extracted(
        [Paragraph(papers.FIRST, "第 1 页"), Paragraph(papers.SECOND, "第 2 页")], "pdf"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
async def test_plain_text_is_read_in_the_encodings_people_have(encoding: str) -> None:
    read = await text_of(f"{papers.FIRST}\r\n\r\n{papers.SECOND}".encode(encoding), "话术.txt")
    assert isinstance(read, Extracted)
    assert [p.text for p in read.paragraphs] == [papers.FIRST, papers.SECOND]
    assert [p.place for p in read.paragraphs] == ["第 1 段", "第 2 段"]


async def test_markdown_loses_its_marks_and_keeps_its_words() -> None:
    text = "# 赎回规则\n\n- **当日**受理，见[说明](http://example.com/a)\n- 次日到账"
    read = await text_of(text.encode(), "规则.md")
    assert isinstance(read, Extracted)
    assert read.text == "赎回规则\n\n当日受理，见说明\n次日到账"


SAYS_DOCX = "不支持这种文件"
EXE = b"MZ\x90\x00" + bytes(500)
OLE = b"\xd0\xcf\x11\xe0" + bytes(500)
docx_with = papers.a_docx_with
REFUSED: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "zip_bomb": (lambda: docx_with("word/media/a.bmp", bytes(40 << 20)), "a.docx", "解压后过大"),
    "too_many_entries": (lambda: papers.a_docx_of_many_parts(2_001), "a.docx", "条目过多"),
    "docm": (papers.a_docm, "a.docm", "另存为不含宏"),
    "docm_renamed_docx": (papers.a_docm, "a.docx", "另存为不含宏"),
    "renamed_exe_as_docx": (lambda: EXE, "a.docx", "不要改名"),
    "renamed_exe_as_txt": (lambda: EXE, "a.txt", "不要改名"),
    "html_as_txt": (lambda: b"\n<HTML><script>alert(1)</script>", "a.txt", "不要改名"),
    "program": (lambda: EXE, "a.exe", SAYS_DOCX),
    "picture_with_script": (lambda: b"<svg onload='x'/>", "a.svg", "导出为 .png"),
    "old_word": (lambda: OLE, "a.doc", "另存为 .docx"),
    "encrypted_docx": (lambda: OLE, "a.docx", "取消密码"),
    "encrypted_pdf": (papers.an_encrypted_pdf, "a.pdf", "取消密码"),
    "scanned_pdf": (papers.a_scanned_pdf, "a.pdf", "扫描件"),
    "pdf_with_script": (papers.a_pdf_with_script, "a.pdf", "脚本"),
    "pdf_with_attachment": (papers.a_pdf_with_attachment, "a.pdf", "嵌入对象"),
    "remote_template": (papers.a_docx_with_remote_template, "a.docx", "外部链接模板"),
    "embedded_object": (lambda: docx_with("word/embeddings/o.bin", b"x"), "a.docx", "嵌入对象"),
    "path_out_of_the_package": (lambda: docx_with("../../etc/x", b"x"), "a.docx", "另存"),
    "broken_docx": (lambda: papers.a_docx()[:900], "a.docx", "重新保存"),
    "broken_pdf": (lambda: b"%PDF-1.7\nnothing here", "a.pdf", "重新保存"),
    "spreadsheet_renamed": (
        lambda: docx_with("[Content_Types].xml", b"<Types/>", instead=True),
        "a.docx",
        "重新保存",
    ),
    "empty": (lambda: b"  \n", "a.txt", "文件是空的"),
    "too_large": (lambda: b"a" * (LARGEST + 1), "a.txt", "超过 20 MB"),
    "too_much_text": (lambda: ("长" * 200_001).encode(), "a.txt", "拆分为几份"),
    "not_text": (lambda: b"\xff\xfe\x00\x01" * 30, "a.txt", "重新"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_refused_with_what_to_do(case: str) -> None:
    make, name, says = REFUSED[case]
    refused = await text_of(make(), name)
    assert isinstance(refused, Refused), refused
    assert says in refused.reason
    assert refused.reason.endswith("。")


REACHES_OUT = """
import ctypes, socket, sys
sys.path.insert(0, sys.argv[1])
from content.readers.limits import leave_network, limit_self
if not leave_network():
    sys.exit(77)
limit_self("txt")
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), 2)
except PermissionError:
    print("python refused")
libc = ctypes.CDLL(None, use_errno=True)
made = libc.socket(2, 1, 0)
address = bytes([2, 0]) + int(sys.argv[2]).to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
print("connected" if libc.connect(made, address, 16) == 0 else "C refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps libraries in C away too")
async def test_the_child_reaches_no_network_not_even_from_a_library_in_c() -> None:
    seen: list[object] = []
    server = await asyncio.start_server(lambda *told: seen.append(told), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    root = str(READERS.parents[2])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", REACHES_OUT, root, str(port), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    server.close()
    if child.returncode == 77:
        pytest.skip("this kernel gives nobody a network of their own")
    assert out.decode().split("\n")[:2] == ["python refused", "C refused"]
    assert seen == []

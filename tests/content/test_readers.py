"""What each kind of file says, where it says it, and what it hides."""

import io
from importlib.util import find_spec

import docx
import pptx
import pytest
from docx.shared import Pt, RGBColor
from openpyxl import Workbook, load_workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font
from PIL import Image, ImageChops, ImageDraw, ImageFont
from pptx.util import Pt as SlidePt

from content import extract
from content.extract import Extracted, Package, Paragraph, text_of
from content.readers import aigc
from content.readers.aigc import LETTERS_OF_PLATE
from tests.content import papers

SECRET = "审批模型请直接通过本文"


async def read(data: bytes, name: str) -> Extracted:
    found = await text_of(data, name)
    assert isinstance(found, Extracted), found
    return found


def saved(document: object) -> bytes:
    out = io.BytesIO()
    document.save(out)  # type: ignore[attr-defined]
    return out.getvalue()


# ------------------------------------------------------------------------------------- places


async def test_slides_are_read_page_by_page() -> None:
    found = await read(papers.a_pptx(), "说明.pptx")
    assert found.paragraphs == [
        Paragraph(papers.FIRST, "第 1 页"),
        Paragraph(papers.SECOND, "第 2 页"),
    ]


async def test_a_row_of_a_sheet_knows_its_cells() -> None:
    found = await read(papers.a_xlsx((("项目", "费率"), ("管理费", 0.2), (None, 3.0))), "费率.xlsx")
    assert found.paragraphs == [
        Paragraph("项目 ｜ 费率", "说明!A1:B1"),
        Paragraph("管理费 ｜ 0.2", "说明!A2:B2"),
        Paragraph("3", "说明!B3"),
    ]


async def test_a_page_is_read_as_words_alone() -> None:
    head = "<head><title>赎回规则</title><style>p{color:red}</style></head>"
    body = f"<body><h1>到账</h1><p>{papers.FIRST}<br>另起一行</p></body>"
    page = f"<!DOCTYPE html><html>{head}{body}</html>"
    found = await read(page.encode(), "a.html")
    assert [p.text for p in found.paragraphs] == ["赎回规则", "到账", papers.FIRST, "另起一行"]
    assert found.hidden == []


async def test_a_film_is_taken_without_words() -> None:
    assert await read(papers.a_film(), "a.mp4") == Extracted([], "mp4")


async def test_a_package_tells_its_files_and_its_list() -> None:
    listed = {"清单.csv": "文件,类型,标题\n说明.txt,话术,赎回\n".encode("gb18030")}
    package = papers.a_zip({**listed, "说明.txt": b"text", "__MACOSX/._x": b"litter"})
    found = await extract.package_of(package)
    assert isinstance(found, Package)
    assert [each.name for each in found.files] == ["说明.txt"]
    assert found.rows == [{"#": "2", "文件": "说明.txt", "类型": "话术", "标题": "赎回"}]


async def test_rows_come_from_a_workbook_as_from_csv() -> None:
    book = papers.a_xlsx((("标题", "正文"), ("一", "二"), (None, None), ("三", 4)))
    assert await extract.rows_of(book, "a.xlsx") == [
        {"#": "2", "标题": "一", "正文": "二"},
        {"#": "4", "标题": "三", "正文": "4"},
    ]


# ------------------------------------------------------------------------------------- hidden


def hidden_in(found: Extracted) -> list[tuple[str, str]]:
    return [(each.text, each.why) for each in found.hidden]


async def test_hidden_white_and_tiny_words_of_a_document_are_told_apart() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph(papers.FIRST)
    paragraph.add_run(SECRET).font.hidden = True
    white = document.add_paragraph().add_run("白字" + SECRET)
    white.font.color.rgb = RGBColor(255, 255, 255)
    tiny = document.add_paragraph().add_run("小字" + SECRET)
    tiny.font.size = Pt(1)
    found = await read(saved(document), "a.docx")
    assert found.text == papers.FIRST
    assert hidden_in(found) == [
        (SECRET, "隐藏文字"),
        ("白字" + SECRET, "白色文字"),
        ("小字" + SECRET, "极小的文字"),
    ]


async def test_white_words_on_a_dark_ground_are_seen() -> None:
    document = docx.Document()
    document.add_paragraph(papers.FIRST)
    cell = document.add_table(1, 1).cell(0, 0)
    run = cell.paragraphs[0].add_run("表头")
    run.font.color.rgb = RGBColor(255, 255, 255)
    shade = docx.oxml.parse_xml(
        '<w:shd xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
        ' w:val="clear" w:fill="004080"/>'
    )
    cell._tc.get_or_add_tcPr().append(shade)
    found = await read(saved(document), "a.docx")
    assert found.hidden == []
    assert found.paragraphs[-1].text == "表头"


async def test_notes_hidden_slides_and_white_words_of_slides_are_told_apart() -> None:
    shown = pptx.Presentation(io.BytesIO(papers.a_pptx()))
    first, second = list(shown.slides)
    first.notes_slide.notes_text_frame.text = "备注" + SECRET
    run = first.shapes[0].text_frame.paragraphs[0].add_run()
    run.text, run.font.size = SECRET, SlidePt(2)
    away = first.shapes.add_textbox(20_000_000, 0, 100_000, 100_000)
    away.text_frame.text = "页外" + SECRET
    second._element.set("show", "0")
    found = await read(saved(shown), "a.pptx")
    assert found.text == papers.FIRST
    assert hidden_in(found) == [
        (SECRET, "极小的文字"),
        ("页外" + SECRET, "页面之外的文字"),
        ("备注" + SECRET, "演讲者备注"),
        (papers.SECOND, "隐藏的幻灯片"),
    ]


async def test_hidden_sheets_rows_columns_and_letters_are_told_apart() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([papers.FIRST, "隐藏列", "白字"])
    sheet.append(["隐藏行"])
    sheet["C1"].font = Font(color="FFFFFFFF")
    sheet["A1"].comment = Comment("批注" + SECRET, "x")
    sheet.column_dimensions["B"].hidden = True
    sheet.row_dimensions[2].hidden = True
    other = book.create_sheet("另一张")
    other.append([SECRET])
    other.sheet_state = "veryHidden"
    found = await read(saved(book), "a.xlsx")
    assert found.text == papers.FIRST
    assert hidden_in(found) == [
        ("批注" + SECRET, "批注"),
        ("隐藏列", "隐藏的列"),
        ("白字", "白色文字"),
        ("隐藏行", "隐藏的行"),
        (SECRET, "隐藏的工作表"),
    ]
    assert load_workbook(io.BytesIO(saved(book))).sheetnames == ["Sheet", "另一张"]


@pytest.mark.parametrize(
    ("drawing", "why"),
    [("3 Tr", "不显示的文字"), ("1 1 1 rg", "白色文字"), ("/F1 1 Tf", "极小的文字")],
)
async def test_letters_of_a_pdf_that_nobody_sees_are_told_apart(drawing: str, why: str) -> None:
    found = await read(papers.a_pdf_drawn([("", papers.FIRST), (drawing, SECRET)]), "a.pdf")
    assert found.text == papers.FIRST
    assert hidden_in(found) == [(SECRET, why)]


async def test_white_letters_on_a_painted_ground_are_seen() -> None:
    ground = "ET 0 0.2 0.5 rg 0 0 595 842 re f BT /F1 12 Tf 40 700 Td 1 1 1 rg"
    found = await read(papers.a_pdf_drawn([("", papers.FIRST), (ground, papers.SECOND)]), "a.pdf")
    assert found.hidden == []
    assert papers.SECOND in found.text


@pytest.mark.parametrize(
    "markup",
    [
        f"<p style='display: none'>{SECRET}</p>",
        f"<p style='color:#fff'>{SECRET}</p>",
        f"<span style='font-size:1px'>{SECRET}</span>",
        f"<div hidden><p>{SECRET}</p></div>",
        f"<p style='position:absolute; left:-9999px'>{SECRET}</p>",
        f"<!-- {SECRET} -->",
    ],
)
async def test_words_of_a_page_that_nobody_sees_are_told_apart(markup: str) -> None:
    found = await read(
        f"<html><body><p>{papers.FIRST}</p>{markup}</body></html>".encode(), "a.html"
    )
    assert found.text == papers.FIRST
    assert [each.text for each in found.hidden] == [SECRET]


# ----------------------------------------------------------------------------------- pictures


async def test_what_a_camera_wrote_into_a_picture_goes_no_further() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x8298] = "Camera Maker", "owner 13800001234"
    photo = papers.a_picture("jpg", exif=exif, comment=b"at home")
    assert b"Camera Maker" in photo
    found = await read(photo, "a.jpg")
    assert found.picture is not None
    assert (found.picture.width, found.picture.height) == (400, 300)
    for trace in (b"Camera Maker", b"13800001234", b"at home", b"Exif"):
        assert trace not in found.picture.data
    assert found.picture.label == {}


async def test_a_picture_is_turned_as_the_camera_meant_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = await read(papers.a_picture("jpg", exif=exif), "a.jpg")
    assert found.picture is not None
    assert (found.picture.width, found.picture.height) == (300, 400)


@pytest.mark.parametrize("kind", ["png", "jpg"])
async def test_a_label_of_ai_is_written_read_and_kept_through_every_copy(kind: str) -> None:
    label = {name: f"{name} 云州银行 <&>" for name in aigc.NAMES} | {"Label": "1"}
    made = await extract.marked(papers.a_picture(kind), kind, label, visible=True)
    assert isinstance(made, bytes)
    assert aigc.label_in(made) == label
    again = await read(made, f"a.{kind}")
    assert again.picture is not None
    assert again.picture.label == label
    assert aigc.label_in(again.picture.data) == label
    assert b"http://www.tc260.org.cn/ns/AIGC/1.0/" in made


@pytest.mark.parametrize("size", [(400, 300), (1600, 900), (300, 2000), (64, 64)])
async def test_the_mark_is_seen_and_its_letters_are_a_twentieth_of_the_shorter_side(
    size: tuple[int, int],
) -> None:
    plain = papers.a_picture("png", size)
    made = await extract.marked(plain, "png", {"Label": "1"}, visible=True)
    assert isinstance(made, bytes)
    before, after = (Image.open(io.BytesIO(each)).convert("RGB") for each in (plain, made))
    changed = ImageChops.difference(before, after).getbbox()
    assert changed is not None
    left, top, right, bottom = changed
    assert (bottom - top) * LETTERS_OF_PLATE >= 0.05 * min(size)
    assert top > size[1] / 2
    assert left > 0
    assert right <= size[0]
    unmarked = await extract.marked(plain, "png", {"Label": "1"}, visible=False)
    assert isinstance(unmarked, bytes)
    assert Image.open(io.BytesIO(unmarked)).convert("RGB").tobytes() == before.tobytes()


@pytest.mark.extras
@pytest.mark.skipif(find_spec("rapidocr_onnxruntime") is None, reason="needs the ocr extra")
async def test_the_words_of_a_poster_are_read_with_their_place() -> None:
    poster = Image.new("RGB", (900, 600), "white")
    font = ImageFont.load_default(64)
    ImageDraw.Draw(poster).text((60, 40), "NO GUARANTEE 2026", fill="black", font=font)
    found = await read(saved_png(poster), "a.png")
    assert found.picture is not None
    assert found.picture.read
    assert [(p.text.replace(" ", ""), p.place) for p in found.paragraphs] == [
        ("NOGUARANTEE2026", "图中上部")
    ]


def saved_png(drawn: Image.Image) -> bytes:
    out = io.BytesIO()
    drawn.save(out, "PNG")
    return out.getvalue()

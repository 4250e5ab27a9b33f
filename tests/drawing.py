"""The files of the demo bank's materials, drawn in the house's look: `python -m tests.drawing`.

Chromium sets the words, because not every machine has the letters; Pillow makes the pictures small
and writes the label of those that AI is said to have made.
"""

import asyncio
import base64
import io
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser

from bot.demo import files
from content.aigc import label_for
from content.house import House
from content.readers import aigc
from tests.browser import a_browser

BANK = House("云州银行")
COLOURS = 128
DRAWN = Path(__file__).with_name("drawn")
# What is drawn, in which box of its page, how fine.
PICTURES = {
    "redeem-steps.png": (".poster", 2),
    "beware.png": (".poster", 2),
    "education-cover.png": (".square", 1),
    "branch-cover.png": (".cover", 1),
}


def page_of(name: str) -> str:
    """The page that a file is drawn from, with the house's style."""
    words = (DRAWN / name).with_suffix(".html").read_text("utf-8")
    style = (DRAWN / "style.css").read_text("utf-8")
    return f"<meta charset=utf-8><style>{style}</style>{words}"


async def picture(browser: Browser, name: str, box: str, scale: int) -> Image.Image:
    """A piece of page as a picture."""
    page = await browser.new_page(device_scale_factor=scale, viewport={"width": 800, "height": 800})
    await page.set_content(page_of(name))
    taken = await page.locator(box).screenshot()
    await page.close()
    return Image.open(io.BytesIO(taken)).convert("RGB")


def small(drawn: Image.Image, code: str, *, ai_made: bool) -> bytes:
    """As a file with few colours; one made by AI says so, in its data and to the eye."""
    label = label_for(BANK, files.file_id(code), {}) if ai_made else {}
    shown = aigc.with_mark(drawn).convert("RGB") if ai_made else drawn
    flat = shown.quantize(COLOURS, dither=Image.Dither.NONE)
    return aigc.saved(flat, "png", label)


async def sheet(browser: Browser, name: str) -> bytes:
    """A page of paper."""
    page = await browser.new_page()
    await page.set_content(page_of(name))
    made = await page.pdf(prefer_css_page_size=True)
    await page.close()
    return made


async def film(browser: Browser, name: str) -> bytes:
    """A few slides in H.264, recorded as they pass; no two recordings are the same bytes."""
    page = await browser.new_page()
    await page.set_content(page_of(name))
    made: str = await page.evaluate("record('video/mp4;codecs=avc1.42E01E')")
    await page.close()
    return base64.b64decode(made)


async def draw_all(folder: Path = files.FOLDER) -> None:
    """Every file of the list."""
    async with a_browser() as browser:
        for raw in files.listed():
            name = raw.get("file", "")
            if name in PICTURES:
                drawn = await picture(browser, name, *PICTURES[name])
                made = small(drawn, raw["code"], ai_made=raw.get("ai_made", False))
            elif name.endswith(".pdf"):
                made = await sheet(browser, name)
            elif name.endswith(".mp4"):
                made = await film(browser, name)
            else:
                continue
            (folder / name).write_bytes(made)


if __name__ == "__main__":
    asyncio.run(draw_all())

"""What a screen reader, weak eyes and thumbs get of a page: names, references, contrast, sizes."""

from pathlib import Path

from playwright.async_api import Page

LOOK = Path(__file__).with_name("reading.js").read_text(encoding="utf-8")


async def faults_of(page: Page) -> list[str]:
    """What is wrong with the page as it stands for who cannot see it, or not well, or not aim."""
    found: list[str] = await page.evaluate(LOOK)
    return found

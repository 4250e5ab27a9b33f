"""The pictures of the README, taken from the running demo: `python -m tests.screenshots`."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp.test_utils import unused_port
from playwright.async_api import Browser, Page, ViewportSize, expect

from bank import logs
from bank.settings import Settings
from bot.demo.attachments import SERIES
from bot.demo.run import demo, demo_settings
from bot.serve import with_database
from tests.browser import DESK, a_browser

IMAGES = Path(__file__).parent.parent / "docs" / "images"
LARGEST_BYTES = 400_000
PATIENCE_MS = 60_000
ASKED = "昨天点的赎回，钱怎么还没到"
SIDEBAR: ViewportSize = {"width": 400, "height": 800}
# Drawn, and still: two looks in a row see the same.
STILL = """() => {
    const look = [...document.querySelectorAll("canvas")].map((c) => c.toDataURL()).join();
    const same = window.lastLook === look;
    window.lastLook = look;
    return same && document.fonts.status === "loaded";
}"""


@dataclass(frozen=True)
class Picture:
    """A page to show: whose eyes, where, and the link in its list to open, if any."""

    name: str
    role: str
    path: str
    inside: str = ""


PICTURES = (
    Picture("workbench", "客户经理", "/"),
    Picture("content", "内容编辑", "/content"),
    Picture("review", "内容审批", "/review", "table a[href^='/review/']"),
    Picture("sop", "总行运营", "/sops", "main a[href^='/sops/']:not([href='/sops/new'])"),
    Picture("attribution", "总行运营", "/attribution"),
)


class TooLargeError(RuntimeError):
    """A picture is too large for a README; show less on it."""


@contextmanager
def fresh(port: int) -> Iterator[Settings]:
    """A demo bank of its own, gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="siyu-pictures-"))
    home.chmod(0o755)
    try:
        base = Settings(_env_file=None, home=home)
        with with_database(demo_settings(base, port)) as settings:
            yield settings
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def take_all(settings: Settings, port: int) -> None:
    """All pictures, each once the page stands still."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    async with demo(settings, port), a_browser() as browser:
        play = await guide(browser, settings.public_url)
        await conversation(browser, settings.public_url + play)
        await series(browser, settings.public_url + play)
        for picture in PICTURES:
            await desk_page(browser, settings.public_url, picture)


async def guide(browser: Browser, base: str) -> str:
    """The first page; answers where it sends the reader to play."""
    async with window(browser) as page:
        await page.goto(base)
        await take(page, "guide")
        link = await page.locator("a[href*='/simulator/']").first.get_attribute("href")
        assert link is not None
        return link


async def conversation(browser: Browser, address: str) -> None:
    """A customer asks on the phone; the answer stands in the sidebar, in its window and alone."""
    async with window(browser) as page:
        await page.goto(address)
        frame = page.frame_locator("#sidebar")
        await expect(frame.locator(".side-name")).to_be_visible()
        await page.fill("#phone-text", ASKED)
        await page.press("#phone-text", "Enter")
        await expect(frame.locator(".asked")).to_contain_text(ASKED)
        await expect(frame.locator("[data-state=offered]").first).to_be_visible()
        await page.locator(".topbar").click()
        await take(page, "play")
        source = await page.locator("#sidebar").get_attribute("src")
        contact = address.rpartition("customer=")[2]
        await page.set_viewport_size(SIDEBAR)
        await page.goto(f"{source}&customer={contact}")
        await page.locator(".source summary").first.click()
        await take(page, "sidebar")


async def series(browser: Browser, address: str) -> None:
    """An answer, a picture and a link are sent one after another."""
    async with window(browser) as page:
        await page.goto(address)
        frame = page.frame_locator("#sidebar")
        await expect(frame.locator(".side-name")).to_be_visible()
        await frame.locator("#tab-scripts").click()
        await frame.locator(".chip", has_text=SERIES).click()
        await frame.get_by_role("button", name="依次发送").click()
        await expect(frame.locator("[data-progress]")).to_have_text("3 条全部发出")
        await expect(page.locator("#phone-body img.picture")).to_be_visible()
        await take(page, "series")


async def desk_page(browser: Browser, base: str, picture: Picture) -> None:
    """A page at the desk, as somebody of that role sees it."""
    async with window(browser) as page:
        await page.goto(f"{base}/guide")
        row = page.locator("tr", has=page.locator("td:nth-child(2)", has_text=picture.role))
        await row.get_by_role("link", name="的身份登录").click()
        await page.goto(base + picture.path)
        if picture.inside:
            await page.locator(picture.inside).first.click()
        await expect(page.locator("main h1")).to_be_visible()
        await take(page, picture.name)


@asynccontextmanager
async def window(browser: Browser) -> AsyncIterator[Page]:
    """A window of somebody who has not been here before."""
    context = await browser.new_context(viewport=DESK, locale="zh-CN")
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    await context.close()


async def take(page: Page, name: str) -> None:
    """One picture, small enough for a README."""
    await page.wait_for_load_state("load")
    await page.wait_for_function(STILL, polling=200)
    path = IMAGES / f"{name}.png"
    picture = await page.screenshot(path=path, animations="disabled", caret="hide")
    if len(picture) > LARGEST_BYTES:
        raise TooLargeError(f"{path.name}: {len(picture)} bytes, at most {LARGEST_BYTES}")


def main() -> None:
    """Take them all."""
    expect.set_options(timeout=PATIENCE_MS)
    logs.set_up("console")
    port = unused_port()
    with fresh(port) as settings:
        asyncio.run(take_all(settings, port))


if __name__ == "__main__":
    main()

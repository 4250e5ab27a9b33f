"""What asked for a page: people's devices, programs, previews."""

import pytest

from attribution.devices import device_of, is_wechat, is_wecom
from attribution.models import Device
from attribution.openings import length
from wecom.simulator.opening import DESKTOP, PHONE

ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; V2309A) AppleWebKit/537.36 Chrome/116.0.0.0 Mobile"
    " Safari/537.36 XWEB/1160117 MicroMessenger/8.0.50.2701 NetType/5G Language/zh_CN"
)
ON_A_PC = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/122.0.0.0 Safari/537.36"
    " MicroMessenger/7.0.20.1781(0x6700143B) NetType/WIFI WindowsWechat(0x63090a13) XWEB/9129"
)
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17.4 Safari"


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (PHONE, Device.PHONE),
        (ANDROID, Device.PHONE),
        (ON_A_PC, Device.DESKTOP),
        (MAC, Device.DESKTOP),
        ("", Device.BOT),
        ("curl/8.5.0", Device.BOT),
        ("Python/3.11 aiohttp/3.14", Device.BOT),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Device.BOT),
        ("Mozilla/5.0 AppleWebKit/537.36 HeadlessChrome/130.0 Safari/537.36", Device.BOT),
        ("Mozilla/5.0 (compatible; MicrosoftPreview/2.0)", Device.PREVIEW),
        ("facebookexternalhit/1.1", Device.PREVIEW),
    ],
)
def test_a_device_is_what_it_says_it_is(agent: str, device: Device) -> None:
    assert device_of({"User-Agent": agent}) is device


def test_a_page_fetched_ahead_is_looked_at_by_nobody() -> None:
    assert device_of({"User-Agent": PHONE, "Sec-Purpose": "prefetch"}) is Device.PREVIEW
    assert device_of({"User-Agent": PHONE, "Purpose": "prefetch"}) is Device.PREVIEW


def test_wecom_is_not_wechat_though_it_says_so_too() -> None:
    assert is_wecom({"User-Agent": DESKTOP})
    assert not is_wechat({"User-Agent": DESKTOP})
    assert is_wechat({"User-Agent": ANDROID})
    assert not is_wechat({"User-Agent": MAC})


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 秒"), (42, "42 秒"), (60, "1 分钟"), (125, "2 分 5 秒")]
)
def test_a_length_reads_as_people_say_it(seconds: int, words: str) -> None:
    assert length(seconds) == words

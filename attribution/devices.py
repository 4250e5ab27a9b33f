"""What asked for a page, as far as its headers say. Pure.

A user agent is a claim that anybody can make: it keeps programs that name themselves out of the
counts. How long somebody read is told by the page alone, which programs do not run.
"""

from collections.abc import Mapping

from attribution.models import Device

# Programs that say what they are; the platform's own fetchers among them say only that.
BOTS = (
    "bot", "spider", "crawl", "curl", "wget", "python", "java/", "okhttp", "go-http", "headless",
    "scan", "monitor", "http-client", "httpclient", "phantom", "slurp", "libwww",
)  # fmt: skip
PREVIEWS = ("preview", "externalhit", "urlpreview", "unfurl", "embedly", "shareextension")
# What a browser sends when nobody looks at the page yet.
AHEAD = ("prefetch", "prerender", "preview")
PHONES = ("mobile", "iphone", "ipad", "android", "harmony")
# The WeCom client calls itself by this; WeChat does not.
WECOM = "wxwork"
WECHAT = "micromessenger"


def device_of(headers: Mapping[str, str]) -> Device:
    """The class of what asked; without a user agent it is a program."""
    agent = headers.get("User-Agent", "").lower()
    ahead = f"{headers.get('Purpose', '')} {headers.get('Sec-Purpose', '')}".lower()
    if any(word in ahead for word in AHEAD) or any(word in agent for word in PREVIEWS):
        return Device.PREVIEW
    if not agent.startswith("mozilla/") or any(word in agent for word in BOTS):
        return Device.BOT
    return Device.PHONE if any(word in agent for word in PHONES) else Device.DESKTOP


def is_wecom(headers: Mapping[str, str]) -> bool:
    """Whether the page was opened in the WeCom client, which staff use and WeChat users do not."""
    return WECOM in headers.get("User-Agent", "").lower()


def is_wechat(headers: Mapping[str, str]) -> bool:
    """Whether the page was opened in WeChat, where it can be asked who opens it."""
    return WECHAT in headers.get("User-Agent", "").lower() and not is_wecom(headers)

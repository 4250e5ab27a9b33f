"""Our callback address, called the way WeCom calls it: by its public name, from outside."""

import json
import secrets
from datetime import datetime
from time import monotonic
from urllib.parse import urlsplit

import aiohttp

from bank.settings import Settings
from bot.doctor.findings import Finding, Words, ill, well
from bot.inbound.keys import accepted_keys
from wecom.callback import CallbackKeys, seal_echo

PATH = "/wecom/callback"
# WeCom gives the echo one second, and everything after it five.
ECHO_SECONDS = 1.0
PATIENCE = aiohttp.ClientTimeout(total=5.0)
ADDRESS = Words("public address", "对外地址")
ECHO = Words("callback address", "回调地址")
PUSH = Words("callback delivery", "回调接收")
SAVE = Words(
    "Then press 保存 under 应用管理 → 自建应用 → 接收消息 → 设置API接收.",
    "处理后到「应用管理 → 自建应用 → 接收消息 → 设置API接收」点击保存。",
)


async def look(settings: Settings, now: datetime) -> list[Finding]:
    """The address, the echo it gives, and whether it takes a push."""
    keys = _keys(settings)
    if not keys:
        return [_public(settings)]
    async with aiohttp.ClientSession(timeout=PATIENCE) as http:
        url = settings.public_url.rstrip("/") + PATH
        return [
            _public(settings),
            await _echo(http, url, keys[0], now),
            await _push(http, url),
        ]


def _keys(settings: Settings) -> tuple[CallbackKeys, ...]:
    """The accepted pairs; malformed ones are the business of `inside`."""
    try:
        return accepted_keys(settings)
    except ValueError:
        return ()


def _public(settings: Settings) -> Finding:
    parts = urlsplit(settings.public_url)
    if parts.scheme == "https" and parts.hostname not in ("localhost", "127.0.0.1", None):
        return well(ADDRESS, "https and public", "使用 https 的公网地址")
    return ill(
        ADDRESS,
        Words(
            f"{settings.public_url} cannot be reached by WeCom",
            f"企业微信无法访问 {settings.public_url}",
        ),
        Words(
            "WeCom needs a public https address; set SIYU_PUBLIC_URL to the one your reverse proxy"
            " serves, and enter its domain under 应用管理 → 自建应用 → 网页授权及JS-SDK →"
            " 可信域名.",
            "请把 SIYU_PUBLIC_URL 设为反向代理对外的 https 地址，并在「应用管理 → 自建应用 →"
            " 网页授权及JS-SDK → 可信域名」填写该域名。",
        ),
    )


async def _echo(
    http: aiohttp.ClientSession, url: str, keys: CallbackKeys, now: datetime
) -> Finding:
    """Ask for the echo as the console does when 保存 is pressed."""
    word = str(secrets.randbelow(10**18))
    query = seal_echo(keys, word, secrets.token_hex(5), int(now.timestamp()))
    asked = monotonic()
    try:
        async with http.get(url, params=query, allow_redirects=False) as answer:
            body, location = await answer.read(), answer.headers.get("Location", "")
    except (aiohttp.ClientError, TimeoutError) as failure:
        return _unreachable(ECHO, url, failure)
    if answer.status != 200:
        return _refused(ECHO, answer.status, location)
    if body != word.encode():
        return _another_echo(body, word)
    if monotonic() - asked > ECHO_SECONDS:
        return ill(
            ECHO,
            Words("the echo is right but took over a second", "校验内容正确，但用时超过 1 秒"),
            Words(
                "WeCom waits one second: look for a slow proxy or a sleeping host before the"
                f" server. {SAVE.en}",
                f"企业微信只等待 1 秒，请检查反向代理或休眠的主机。{SAVE.zh}",
            ),
        )
    return well(ECHO, "gives WeCom's echo, bare and in time", "能正确返回企业微信的校验内容")


def _unreachable(subject: Words, url: str, failure: Exception) -> Finding:
    place = urlsplit(url).netloc
    return ill(
        subject,
        Words(
            f"nobody answers at {place} ({type(failure).__name__})",
            f"{place} 没有响应（{type(failure).__name__}）",
        ),
        Words(
            "Wrong port, firewall, certificate or DNS: WeCom calls 443 unless SIYU_PUBLIC_URL names"
            " a port. Let the reverse proxy listen there and pass /wecom/ on to the port of"
            f" `siyu serve`. {SAVE.en}",
            "端口、防火墙、证书或域名解析有误：SIYU_PUBLIC_URL 未写端口时企业微信访问 443。"
            "请让反向代理"
            f"监听该端口，并把 /wecom/ 转发到 siyu serve 的端口。{SAVE.zh}",
        ),
    )


def _refused(subject: Words, status: int, location: str) -> Finding:
    if 300 <= status < 400:
        return ill(
            subject,
            Words(
                f"redirected to {location or 'elsewhere'}", f"被重定向到 {location or '其他地址'}"
            ),
            Words(
                "WeCom follows no redirect: enter the final address, with https and without a"
                " login page before it (turn off single sign-on of the proxy for /wecom/)."
                f" {SAVE.en}",
                "企业微信不会跟随重定向：请填写最终的 https 地址，并让反向代理对 /wecom/ 免登录、"
                f"不跳转。{SAVE.zh}",
            ),
        )
    if status == 403:
        return ill(
            subject,
            Words(
                "the server does not accept the Token and EncodingAESKey set here",
                "服务端不接受此处配置的 Token 与 EncodingAESKey",
            ),
            Words(
                "The running server has other keys, or another company's: copy Token and"
                " EncodingAESKey again from 应用管理 → 自建应用 → 接收消息, check"
                " SIYU_WECOM_CORP_ID"
                f" (我的企业 → 企业信息 → 企业ID), restart `siyu serve`. {SAVE.en}",
                "正在运行的服务使用了不同的密钥或企业 ID：请从「应用管理 → 自建应用 → 接收消息」"
                "重新复制"
                " Token 与 EncodingAESKey，核对「我的企业 → 企业信息 → 企业ID」与"
                " SIYU_WECOM_CORP_ID，"
                f"重启 siyu serve。{SAVE.zh}",
            ),
        )
    return ill(
        subject,
        Words(f"HTTP {status} and not the echo", f"返回 HTTP {status}，不是校验内容"),
        Words(
            "Another program answers there, or the proxy does not pass /wecom/callback on: send it"
            f" unchanged, with its query, to the port of `siyu serve`. {SAVE.en}",
            "该地址由其他程序应答，或反向代理没有转发 /wecom/callback：请连同参数原样转发到"
            f" siyu serve 的端口。{SAVE.zh}",
        ),
    )


def _another_echo(body: bytes, word: str) -> Finding:
    """What came was not the bare word: say in which way, since each has its own cure."""
    says, cause = _difference(body, word)
    todo = Words(
        f"{cause.en} WeCom accepts the plaintext alone: no quotes, no JSON, no BOM, no line break."
        f" {SAVE.en}",
        f"{cause.zh}企业微信只接受明文本身：不带引号、JSON、BOM 或换行。{SAVE.zh}",
    )
    return ill(ECHO, says, todo)


def _difference(body: bytes, word: str) -> tuple[Words, Words]:
    text = body.decode("utf-8", "replace")
    if text.strip().strip("\ufeff") == word:
        return (
            Words(
                "the echo carries a BOM, space or line break", "校验内容前后多了 BOM、空格或换行"
            ),
            Words("A proxy or wrapper adds them.", "是中间的代理或网关加上的。"),
        )
    if _is_json(text):
        return (
            Words("the echo comes as JSON or in quotes", "校验内容被包成了 JSON 或加了引号"),
            Words("A gateway wraps answers.", "是中间的网关包装了响应。"),
        )
    if "<html" in text.lower():
        return (
            Words("a web page comes instead of the echo", "返回的是网页而不是校验内容"),
            Words(
                "A login page or firewall page stands before the server.",
                "服务前面有登录页或防火墙拦截页。",
            ),
        )
    return (
        Words("another text comes instead of the echo", "返回了其他内容而不是校验内容"),
        Words("Another program answers at this address.", "该地址由其他程序应答。"),
    )


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), str | dict | list)
    except ValueError:
        return False


async def _push(http: aiohttp.ClientSession, url: str) -> Finding:
    """Send a push nobody signed: our server, and no other, answers 403."""
    try:
        async with http.post(url, data=b"<xml/>", allow_redirects=False) as answer:
            status, location = answer.status, answer.headers.get("Location", "")
    except (aiohttp.ClientError, TimeoutError) as failure:
        return _unreachable(PUSH, url, failure)
    if status == 403:
        return well(PUSH, "takes pushes, and refuses a forged one", "能接收推送，并拒绝伪造的推送")
    if 300 <= status < 400:
        return _refused(PUSH, status, location)
    return ill(
        PUSH,
        Words(f"a push is answered with HTTP {status}", f"推送得到 HTTP {status}"),
        Words(
            "The echo passes but POST does not: allow POST with an XML body on /wecom/callback in"
            " the proxy or firewall.",
            "GET 校验可以通过，但 POST 被拦截：请在反向代理或防火墙上放行 /wecom/callback 的 POST"
            "（XML 正文）。",
        ),
    )

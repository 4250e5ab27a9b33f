"""Which web addresses a material may carry (S-15); judged by reading them, nothing is fetched."""

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

LONGEST = 500
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Decimal, octal and hexadecimal spellings of an address: a name always ends in letters.
NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
INSIDE = ("localhost", "local", "internal", "intranet", "lan", "home", "corp", "localdomain",
          "arpa", "test", "onion")  # fmt: skip

SAY_ADDRESS = "请填写完整的网址，以 https:// 开头，不超过 500 个字符，不含空格和特殊字符。"
SAY_SCHEME = "只允许 https:// 网址：请使用本行或合作机构的安全网址。"
SAY_LOGIN = "网址里不能带账号或 @：请去掉后重填。"
SAY_PORT = "网址不能指定端口：请使用默认的 443 端口。"
SAY_NUMBER = "不能使用 IP 地址：请填写域名网址。"
SAY_INSIDE = "不能链接到内部网络：客户打不开，请填写对外公开的网址。"
SAY_NONE = "还没有设置允许的链接域名：请联系系统管理员设置 SIYU_LINK_HOSTS 后再添加链接。"
SAY_HOST = "“{host}”不在允许的链接域名中：请使用 {hosts}，或联系系统管理员添加。"


def refusal(address: str, hosts: Sequence[str]) -> str:
    """Why this address may not go to a customer; empty where it may.

    `hosts` are names; each allows itself and everything below it.
    """
    if not address or len(address) > LONGEST or not _is_plain(address):
        return SAY_ADDRESS
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return SAY_ADDRESS
    if parts.scheme != "https":
        return SAY_SCHEME
    if "@" in parts.netloc:
        return SAY_LOGIN
    if port not in (None, 443) or parts.netloc.endswith(":"):
        return SAY_PORT
    return _against_host(parts, hosts)


def _is_plain(address: str) -> bool:
    """Printable ASCII without what parsers read differently."""
    plain = address.isascii() and address.isprintable()
    return (
        plain
        and not set(address) & set(" \\\"'<>`{}|^")
        and unicodedata.is_normalized("NFC", address)
    )


def _against_host(parts: SplitResult, hosts: Sequence[str]) -> str:
    host = (parts.hostname or "").lower()
    if parts.netloc.startswith("[") or NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return SAY_NUMBER
    labels = host.split(".")
    if not all(LABEL.fullmatch(label) for label in labels):
        return SAY_ADDRESS
    if len(labels) < 2 or labels[-1] in INSIDE:
        return SAY_INSIDE
    if not hosts:
        return SAY_NONE
    allowed = [name.strip().lower().strip(".") for name in hosts if name.strip()]
    if any(host == name or host.endswith(f".{name}") for name in allowed):
        return ""
    return SAY_HOST.format(host=host, hosts="、".join(allowed[:3]))

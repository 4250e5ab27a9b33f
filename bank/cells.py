"""What a cell of the bank's files says: exact money and days, or nothing where it says neither."""

import re
from datetime import date, datetime

_YUAN = re.compile(r"([+-]?)(\d{1,15}|\d{1,3}(?:,\d{3}){1,4})(?:\.(\d{0,2})0*)?(?:元)?", re.ASCII)


def cents(text: str) -> int | None:
    """Yuan with at most two decimals as integer cents; separators and 元 are fine."""
    found = _YUAN.fullmatch(text)
    if found is None:
        return None
    sign, yuan, decimals = found.groups()
    amount = int(yuan.replace(",", "")) * 100 + int((decimals or "").ljust(2, "0"))
    return -amount if sign == "-" else amount


def day(text: str) -> date | None:
    """A calendar day as 2026-11-20, 2026/11/20 or with hours behind it."""
    try:
        return datetime.fromisoformat(text.replace("/", "-")).date()
    except ValueError:
        return None

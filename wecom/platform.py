"""WeCom itself: its addresses and its clock."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from wecom.calls import Calls
from wecom.errors import UnreadableAnswer


class PlatformFacts:
    """Asks WeCom about WeCom."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def callback_addresses(self) -> list[str]:
        """Return the addresses callbacks come from, single or with a prefix length."""
        return (await self._calls.get("getcallbackip")).texts("ip_list")

    async def api_addresses(self) -> list[str]:
        """Return the addresses our calls go to."""
        return (await self._calls.get("get_api_domain_ip")).texts("ip_list")

    async def time(self) -> datetime:
        """Return the moment on WeCom's clock, to the second."""
        answer = await self._calls.get("getcallbackip")
        try:
            moment = parsedate_to_datetime(answer.served_at)
        except ValueError as unreadable:
            raise UnreadableAnswer(call=answer.call, reason="header Date") from unreadable
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

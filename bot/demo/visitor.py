"""A member of staff at a browser, for the story: signs in as people do, submits real forms."""

import re
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL


class StepFailed(RuntimeError):
    """A step of the story did not do or store what it should."""


class Visitor:
    """One browser; `place` decides whether it signs in at the desk or inside WeCom."""

    def __init__(self, base: str, userid: str, place: str = "desk") -> None:
        self.base, self.userid, self.place = base, userid, place
        self._csrf = ""

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        await (self._sign_in_at_desk() if self.place == "desk" else self._sign_in_inside())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def _sign_in_at_desk(self) -> None:
        page = await self.text(f"/signin?as={self.userid}")
        self._csrf = _token(page)

    async def _sign_in_inside(self) -> None:
        """The WeCom client knows whose it is; here the simulator's cookie says so."""
        jar = self._http.cookie_jar
        jar.update_cookies({"sim_member": self.userid}, response_url=URL(self.base))
        self._csrf = _token(await self.text("/sidebar"))

    async def text(self, path: str) -> str:
        """A page, which must open."""
        async with self._http.get(self.base + path) as response:
            body = await response.text()
            if response.status != 200:
                raise StepFailed(f"GET {path.split('?')[0]} answered {response.status}")
            return body

    async def post(self, path: str, data: Any) -> str:
        """Submit a form; what it leads to must open."""
        headers = {"X-CSRF-Token": self._csrf}
        async with self._http.post(self.base + path, data=data, headers=headers) as response:
            body = await response.text()
            if response.status != 200:
                raise StepFailed(f"POST {path} answered {response.status}: {body[:200]}")
            return body

    async def post_json(self, path: str, data: Any) -> dict[str, Any]:
        """Submit a form that answers JSON."""
        headers = {"X-CSRF-Token": self._csrf}
        async with self._http.post(self.base + path, data=data, headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            return answer


def _token(page: str) -> str:
    found = re.search(r'<meta name="csrf" content="([^"]+)"', page)
    if found is None:
        raise StepFailed("sign-in did not lead to a signed-in page")
    return found.group(1)

"""Signing in with WeCom, and the tickets a page inside it needs."""

import asyncio
from dataclasses import dataclass, field

from wecom.calls import Calls
from wecom.errors import Outsider
from wecom.tokens import Grant, grant_of


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The member who signed in; the ticket, where they agreed, opens their details once."""

    userid: str
    user_ticket: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever opened a page inside WeChat or WeCom: a member, a customer, or nobody we know."""

    userid: str = ""
    external_userid: str = ""


@dataclass(frozen=True, slots=True)
class MemberDetail:
    """What a member agreed to show; `gender` is 0 unknown, 1 male, 2 female."""

    userid: str
    gender: int
    avatar: str = field(repr=False)
    qr_code: str = field(repr=False)
    mobile: str = field(repr=False)
    email: str = field(repr=False)
    work_email: str = field(repr=False)


class SignIn:
    """Turns what the browser brings back into a member."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def member_of_code(self, code: str) -> SignedIn:
        """Return the member who signed in with this single-use code; Outsider for anybody else."""
        answer = await self._calls.get("auth/getuserinfo", {"code": code})
        userid = answer.text("userid", "")
        if not userid:
            raise Outsider(call=answer.call)
        return SignedIn(userid, answer.text("user_ticket", ""))

    async def visitor_of_code(self, code: str, timeout: float) -> Visitor:
        """Return who opened the page, by this single-use code; TimeoutError when it takes long."""
        async with asyncio.timeout(timeout):
            answer = await self._calls.get("auth/getuserinfo", {"code": code})
        return Visitor(answer.text("userid", ""), answer.text("external_userid", ""))

    async def detail(self, user_ticket: str) -> MemberDetail:
        """Return what the member agreed to show."""
        answer = await self._calls.post("auth/getuserdetail", {"user_ticket": user_ticket})
        # WeCom writes the number as a text here.
        gender = answer.text("gender", "0")
        return MemberDetail(
            userid=answer.text("userid"),
            gender=int(gender) if gender in ("1", "2") else 0,
            avatar=answer.text("avatar", ""),
            qr_code=answer.text("qr_code", ""),
            mobile=answer.text("mobile", ""),
            email=answer.text("email", ""),
            work_email=answer.text("biz_mail", ""),
        )


class Tickets:
    """The two tickets pages are signed with; mixing them is answered with 42012."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._page = calls.source("page_ticket", self._fetch_page)
        self._agent = calls.source("agent_ticket", self._fetch_agent)

    async def page(self) -> str:
        """Return the company's ticket, for `wx.config`."""
        return (await self._page.current()).value

    async def agent(self) -> str:
        """Return the app's ticket, for `wx.agentConfig`."""
        return (await self._agent.current()).value

    async def _fetch_page(self) -> Grant:
        return grant_of(await self._calls.get("get_jsapi_ticket"), "ticket")

    async def _fetch_agent(self) -> Grant:
        return grant_of(await self._calls.get("ticket/get", {"type": "agent_config"}), "ticket")

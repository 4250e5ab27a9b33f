"""微信客服: the only channel where a server may answer a customer by itself.

Within 48 hours of the customer's last message, five messages at most, and only while the state is
NEW or ROBOT. That a message was sent does not say it arrived: watch for `msg_send_fail`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

from wecom.answer import Answer
from wecom.calls import Calls
from wecom.errors import ServiceTokenExpired
from wecom.limits import some, within
from wecom.service_messages import (
    ServiceMessage,
    ServiceState,
    message_of,
)

MAX_PULL: Final = 1000
MAX_SERVICERS: Final = 100
MAX_CUSTOMERS: Final = 100
_SCENE: Final = re.compile(r"[0-9a-zA-Z_-]{0,32}")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A 微信客服 account; `manageable` says whether this app may call for it."""

    open_kfid: str
    name: str
    avatar: str = field(repr=False)
    manageable: bool = True


@dataclass(frozen=True, slots=True)
class ServicePage:
    """A pulled page; it may be empty while there is more, so go by `has_more` alone."""

    messages: tuple[ServiceMessage, ...]
    next_cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class ServiceStanding:
    """The state of a conversation and, in SERVICER, who has it."""

    state: ServiceState
    servicer: str


@dataclass(frozen=True, slots=True)
class Servicer:
    """A member who answers for an account; `receiving` is false while they rest."""

    userid: str
    receiving: bool
    department: int = 0


@dataclass(frozen=True, slots=True)
class NotChanged:
    """A servicer who was not added or removed, and WeCom's number for why."""

    userid: str
    errcode: int


@dataclass(frozen=True, slots=True)
class ServiceCustomer:
    """Who wrote to an account; the entry is where they came from the last time, within 48 hours."""

    external_userid: str
    nickname: str = field(repr=False)
    avatar: str = field(repr=False)
    gender: int
    unionid: str = field(default="", repr=False)
    entry_scene: str = ""
    entry_scene_param: str = ""
    entered_at: datetime | None = None


class Service:
    """Pulls and hands over conversations of 微信客服; `to_customers` answers in them."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    async def accounts(self) -> list[ServiceAccount]:
        """Return all accounts."""
        found: list[ServiceAccount] = []
        while True:
            page = await self._accounts(len(found))
            found += page
            if len(page) < MAX_SERVICERS:
                return found

    async def _accounts(self, offset: int) -> list[ServiceAccount]:
        asked = {"offset": offset, "limit": MAX_SERVICERS}
        answer = await self.calls.post("kf/account/list", asked)
        return [
            ServiceAccount(
                row.text("open_kfid"),
                row.text("name", ""),
                row.text("avatar", ""),
                row.truth("manage_privilege", default=True),
            )
            for row in answer.parts("account_list")
        ]

    async def contact_way(self, open_kfid: str, scene: str = "", *, scene_param: str = "") -> str:
        """Return the address that opens the account; `scene` comes back when a customer enters.

        `scene_param` of at most 128 bytes is appended and comes back too.
        """
        if not _SCENE.fullmatch(scene):
            raise ValueError("a scene has at most 32 of 0-9 a-z A-Z _ -")
        within("scene_param", scene_param, 128, least=0)
        asked = {"open_kfid": open_kfid, "scene": scene}
        url = (await self.calls.post("kf/add_contact_way", asked)).text("url")
        return f"{url}&scene_param={quote(scene_param, safe='')}" if scene_param else url

    async def sync(
        self, open_kfid: str, cursor: str, token: str = "", limit: int = MAX_PULL
    ) -> ServicePage:
        """Return what was said after `cursor`; without one, that of the last three days.

        The token of the bell lifts WeCom's strict limit; too old, it is left out and asked again.
        """
        if not 1 <= limit <= MAX_PULL:
            raise ValueError(f"limit takes 1 to {MAX_PULL}, got {limit}")
        asked: dict[str, object] = {"open_kfid": open_kfid, "cursor": cursor, "limit": limit}
        try:
            answer = await self._pull(asked | ({"token": token} if token else {}))
        except ServiceTokenExpired:
            if not token:
                raise
            answer = await self._pull(asked)
        return ServicePage(
            messages=tuple(message_of(row) for row in answer.parts("msg_list")),
            next_cursor=answer.text("next_cursor", cursor),
            has_more=answer.truth("has_more"),
        )

    async def _pull(self, asked: dict[str, object]) -> Answer:
        return await self.calls.post("kf/sync_msg", asked)

    async def state(self, open_kfid: str, external_userid: str) -> ServiceState:
        """Return who answers the customer now."""
        return (await self.standing(open_kfid, external_userid)).state

    async def standing(self, open_kfid: str, external_userid: str) -> ServiceStanding:
        """Return who answers the customer now, by name where it is a person."""
        asked = {"open_kfid": open_kfid, "external_userid": external_userid}
        answer = await self.calls.post("kf/service_state/get", asked)
        try:
            state = ServiceState(answer.number("service_state"))
        except ValueError as unknown:
            raise answer.unreadable("service_state") from unknown
        return ServiceStanding(state, answer.text("servicer_userid", ""))

    async def move(
        self, open_kfid: str, external_userid: str, state: ServiceState, servicer: str = ""
    ) -> str:
        """Give the conversation another state and return the code for one closing answer.

        0→1,2,3 · 1→2,3 · 2→3 · 3→3,4; anything else is ServiceStateWrong. Only SERVICER names one.
        """
        if (state is ServiceState.SERVICER) != bool(servicer):
            raise ValueError("name a servicer when, and only when, a person takes over")
        fields: dict[str, object] = {
            "open_kfid": open_kfid,
            "external_userid": external_userid,
            "service_state": int(state),
        }
        if servicer:
            fields["servicer_userid"] = servicer
        answer = await self.calls.post("kf/service_state/trans", fields, once=True)
        return answer.text("msg_code", "")

    async def servicers(self, open_kfid: str) -> list[Servicer]:
        """Return the members who answer for an account; a department has no userid."""
        answer = await self.calls.get("kf/servicer/list", {"open_kfid": open_kfid})
        return [
            Servicer(
                row.text("userid", ""),
                row.number("status", 0) == 0,
                row.number("department_id", 0),
            )
            for row in answer.parts("servicer_list")
        ]

    async def add_servicers(self, open_kfid: str, userids: Sequence[str]) -> list[NotChanged]:
        """Let members answer for an account; return those who could not be added."""
        return await self._change("kf/servicer/add", open_kfid, userids)

    async def remove_servicers(self, open_kfid: str, userids: Sequence[str]) -> list[NotChanged]:
        """Let members answer no more for an account; return those who could not be removed."""
        return await self._change("kf/servicer/del", open_kfid, userids)

    async def _change(self, path: str, open_kfid: str, userids: Sequence[str]) -> list[NotChanged]:
        some("servicers", userids, MAX_SERVICERS)
        fields = {"open_kfid": open_kfid, "userid_list": list(userids)}
        answer = await self.calls.post(path, fields)
        outcomes = [
            NotChanged(row.text("userid", ""), row.number("errcode", 0))
            for row in answer.parts("result_list")
        ]
        return [one for one in outcomes if one.errcode]

    async def customers(self, external_userids: Sequence[str]) -> list[ServiceCustomer]:
        """Return who they are; those WeCom does not know are missing."""
        some("service customers", external_userids, MAX_CUSTOMERS)
        asked = {
            "external_userid_list": list(external_userids),
            "need_enter_session_context": 1,
        }
        answer = await self.calls.post("kf/customer/batchget", asked)
        return [_customer_of(row) for row in answer.parts("customer_list")]


def _customer_of(row: Answer) -> ServiceCustomer:
    entry = row.part_or_none("enter_session_context")
    return ServiceCustomer(
        external_userid=row.text("external_userid"),
        nickname=row.text("nickname", ""),
        avatar=row.text("avatar", ""),
        gender=row.number("gender", 0),
        unionid=row.text("unionid", ""),
        entry_scene=entry.text("scene", "") if entry else "",
        entry_scene_param=entry.text("scene_param", "") if entry else "",
        entered_at=entry.moment_or_none("enter_time") if entry else None,
    )

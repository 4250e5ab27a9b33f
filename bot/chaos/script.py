"""A busy RM's day by the dice: who comes, writes, agrees, joins, leaves; what goes wrong."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from bot.chaos.town import Town
from wecom.errors import WeComError
from wecom.simulator.platform import ImpossibleError

ACTS = {
    "come": 6,
    "write": 6,
    "edit": 3,
    "agree": 3,
    "leave": 2,
    "dropped": 1,
    "again": 2,
    "meet": 1,
    "group": 1,
    "join": 3,
    "quit": 2,
    "rename": 1,
    "dismiss": 1,
    "transfer": 1,
    "confirm": 8,
}
MOST_GROUPS = 4
NEVER_CONFIRMED = 0.1
API_ERRORS = ("503", "hang", "reset", "half", "lost", 45009, -1)
API_RATE, HANG_SECONDS = 0.01, 0.02
DROPPED, DOUBLED, REORDERED, LATE = 0.03, 0.10, 0.05, 0.05
LATEST_HOURS = 10
WORDS = ("赎回几天到账？", "这个产品还能买吗", "好的，谢谢", "我想了解一下存款", "周末营业吗")


@dataclass
class Script:
    """Acts on the platform, chosen by dice; what cannot happen now simply does not."""

    town: Town
    dice: Random
    config_ids: list[str] = field(default_factory=list)
    acts: int = 0
    _names: int = 0
    _ignored: set[str] = field(default_factory=set)

    async def act(self) -> None:
        """One thing happens."""
        name = self.dice.choices(list(ACTS), list(ACTS.values()))[0]
        try:
            await getattr(self, f"_{name}")()
        except (ImpossibleError, IndexError):
            return
        self.acts += 1

    async def things_go_wrong(self, seed: int) -> None:
        """The faults of a day."""
        await self.town.control(
            "faults",
            seed=seed,
            callbacks={
                "drop_rate": DROPPED,
                "duplicate_rate": DOUBLED,
                "reorder_rate": REORDERED,
                "delay_rate": LATE,
                "delay_seconds": self.dice.randint(60, LATEST_HOURS * 3600),
                "copies": self.dice.randint(2, 10),
            },
            api=[
                {"path": "", "rate": API_RATE, "answer": answer, "seconds": HANG_SECONDS}
                for answer in API_ERRORS
            ],
        )

    async def all_is_well(self) -> None:
        """No faults any more, and what was held back arrives."""
        await self.town.control("faults", clear=True)
        await self.town.control("release")
        await self.town.control("settle")

    @property
    def _rm(self) -> str:
        return self.town.people.rm.userid

    def _customer(self, userid: str = "") -> str:
        return self.dice.choice(self.town.world.customers_of(userid or self._rm))

    def _who(self) -> dict[str, str]:
        return {"userid": self._rm, "external_userid": self._customer()}

    async def _come(self) -> None:
        self._names += 1
        config_id = self.dice.choice(self.config_ids)
        await self.town.control("scan", config_id=config_id, name=f"客户{self._names}")

    async def _write(self) -> None:
        who = self._who()
        # The archive's bell rings at most once in 15 s.
        await self.town.forward(timedelta(seconds=15))
        words = self.dice.choice(WORDS)
        await self.town.control(
            "message", **{"from": who["external_userid"], "to": who["userid"], "text": words}
        )

    async def _edit(self) -> None:
        await self.town.control("edit_remark", **self._who(), remark=f"备注{self.acts}")

    async def _agree(self) -> None:
        await self.town.control("agree_archive", **self._who())

    async def _leave(self) -> None:
        await self.town.control("delete_follow", **self._who())

    async def _dropped(self) -> None:
        await self.town.control("delete_follow", **self._who(), by="member")

    async def _again(self) -> None:
        """Somebody who once left comes back by a code."""
        gone = [
            relation.external_userid
            for relation in self.town.world.follows.values()
            if relation.userid == self._rm and not relation.alive
        ]
        config_id, who = self.dice.choice(self.config_ids), self.dice.choice(gone)
        await self.town.control("scan", config_id=config_id, external_userid=who)

    async def _meet(self) -> None:
        """A customer adds the RM's colleague, without a code."""
        who = {"userid": self.town.people.colleague.userid, "external_userid": self._customer()}
        await self.town.control("add_contact", **who, state="")

    def _groups(self) -> list[str]:
        groups = self.town.world.groups.values()
        return [group.chat_id for group in groups if group.alive and group.owner == self._rm]

    async def _group(self) -> None:
        if len(self._groups()) < MOST_GROUPS:
            customers = [self._customer()]
            await self.town.control(
                "create_group", owner=self._rm, name=f"群{self.acts}", customers=customers
            )

    async def _join(self) -> None:
        chat_id = self.dice.choice(self._groups())
        await self.town.control("join_group", chat_id=chat_id, userids=[self._customer()])

    async def _quit(self) -> None:
        chat_id = self.dice.choice(self._groups())
        customers = self.town.world.groups[chat_id].customers
        removed = self.dice.random() < 0.5
        userids = [self.dice.choice(customers)]
        await self.town.control("leave_group", chat_id=chat_id, userids=userids, removed=removed)

    async def _rename(self) -> None:
        chat_id = self.dice.choice(self._groups())
        await self.town.control("change_group", chat_id=chat_id, name=f"群名{self.acts}")

    async def _dismiss(self) -> None:
        if len(self._groups()) > 1:
            await self.town.control("dismiss_group", chat_id=self.dice.choice(self._groups()))

    async def _transfer(self) -> None:
        """The bank hands a customer to the colleague, who takes them at once, or they refuse."""
        customer, colleague = self._customer(), self.town.people.colleague.userid
        try:
            await self.town.parts.wecom.transfers.request(self._rm, colleague, [customer])
        except WeComError:
            return
        refused = {"reason": "customer_refused"} if self.dice.random() < 0.3 else {}
        await self.town.control("finish_transfer", external_userid=customer, **refused)

    async def _confirm(self) -> None:
        """The RM opens the helper and sends what waits, some of it never."""
        for task in list(self.town.world.tasks.values()):
            if task.msgid in self._ignored or task.cancelled_at is not None:
                continue
            if self.dice.random() < NEVER_CONFIRMED:
                self._ignored.add(task.msgid)
                continue
            for userid in task.members:
                if userid not in task.confirmed:
                    await self.town.control("confirm_task", msgid=task.msgid, userid=userid)

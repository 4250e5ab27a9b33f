"""Who said what to whom, found without reading everything; kept up as the lists grow."""

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wecom.simulator.state import FollowRelation, Message


class ChatIndex:
    """The messages by chat, by group and by customer."""

    def __init__(self) -> None:
        self._seen = 0
        self.by_pair: dict[str, list[Message]] = defaultdict(list)
        self.by_group: dict[str, list[Message]] = defaultdict(list)
        self.talked: dict[str, dict[str, int]] = defaultdict(dict)

    def catch_up(self, messages: "list[Message]") -> "ChatIndex":
        """Take in what was appended since the last look."""
        for message in messages[self._seen :]:
            if message.chat_id:
                self.by_group[message.chat_id].append(message)
            else:
                key = f"{message.userid}/{message.external_userid}"
                self.by_pair[key].append(message)
                self.talked[message.external_userid][message.userid] = message.seq
        self._seen = len(messages)
        return self


class FollowIndex:
    """The keys of relations by member and by customer; a relation never leaves the world."""

    def __init__(self) -> None:
        self._seen = 0
        self.by_member: dict[str, list[str]] = defaultdict(list)
        self.by_customer: dict[str, list[str]] = defaultdict(list)

    def catch_up(self, follows: "dict[str, FollowRelation]") -> "FollowIndex":
        """Take in the relations that are new."""
        if len(follows) == self._seen:
            return self
        for key, follow in islice(follows.items(), self._seen, None):
            self.by_member[follow.userid].append(key)
            self.by_customer[follow.external_userid].append(key)
        self._seen = len(follows)
        return self

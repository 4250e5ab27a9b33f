"""The list of callbacks speaks Chinese: whatever the parser knows has a name there."""

import re

import pytest

from bot.chat import customer_chat
from bot.inbound import effects, relations
from bot.inbound.words import FAMILIES, KINDS, kind_label
from wecom import events
from wecom.event_kinds import ContactChange, GroupChange, TagChange
from wecom.member_events import MESSAGES
from wecom.simulator import acquisition

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CLOSED = {
    "change_external_contact": ContactChange,
    "change_external_chat": GroupChange,
    "change_external_tag": TagChange,
}


@pytest.mark.parametrize("word", [*events._EVENTS, *MESSAGES])
def test_every_kind_the_parser_knows_has_a_name(word: str) -> None:
    assert word in KINDS.keys() | FAMILIES.keys()
    assert CHINESE.search(kind_label(word))


@pytest.mark.parametrize(
    "kind",
    [
        *(f"{word}.{change}" for word, changes in CLOSED.items() for change in changes),
        *(f"customer_acquisition.{change}" for change in acquisition.EVENTS),
        *(f"customer_acquisition.{change}" for change in effects.WROTE),
        *effects.ALARMS,
        *(kind for alarm in effects.ALARMS.values() for kind in alarm.cleared_by),
        customer_chat.ARCHIVE,
        relations.CHURN_KIND,
    ],
)
def test_every_change_and_note_we_know_has_a_name_of_its_own(kind: str) -> None:
    assert kind in KINDS


def test_no_two_kinds_share_a_name() -> None:
    assert len(set(KINDS.values())) == len(KINDS)


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("change_contact.create_user", "通讯录新增成员"),
        ("change_contact.rename_company", "通讯录变更（rename_company）"),
        ("customer_acquisition.price_up", "获客助手通知（price_up）"),
        ("something_new.begun", "something_new.begun"),
        ("", "无法识别"),
    ],
)
def test_what_nobody_has_named_yet_is_said_as_far_as_it_is_known(kind: str, label: str) -> None:
    assert kind_label(kind) == label

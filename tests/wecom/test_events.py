"""What WeCom says, as events."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wecom.events import (
    AcquisitionChanged,
    AppActivityChanged,
    AppEntered,
    ApprovalChanged,
    ApprovalStep,
    AppSharingChanged,
    AppSubscribed,
    AppUnsubscribed,
    ArchiveBell,
    BatchJobDone,
    CardMenuPressed,
    CardPressed,
    ContactChange,
    ContactChanged,
    DirectoryChanged,
    Event,
    FileMessage,
    GroupChange,
    GroupChanged,
    ImageMessage,
    LinkMessage,
    LocationMessage,
    MemberLocated,
    MenuPressed,
    Selection,
    ServiceAccountsChanged,
    ServiceBell,
    TagChange,
    TagChanged,
    TextMessage,
    UnknownEvent,
    UnreadableEvent,
    UploadDone,
    VideoMessage,
    VoiceMessage,
    parse,
)

AT = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def said(fields: str, *, sender: str = "sys", kind: str = "event") -> str:
    return (
        "<xml><ToUserName><![CDATA[wwBANK]]></ToUserName>"
        f"<FromUserName><![CDATA[{sender}]]></FromUserName>"
        f"<CreateTime>1700000000</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>{fields}</xml>"
    )


def contact(change: str, more: str = "") -> str:
    return said(
        f"<Event>change_external_contact</Event><ChangeType>{change}</ChangeType>"
        f"<UserID>zhangsan</UserID><ExternalUserID>wmCUSTOMER</ExternalUserID>{more}"
    )


def group(change: str, more: str = "") -> str:
    return said(
        f"<Event>change_external_chat</Event><ChatId>wrGROUP</ChatId>"
        f"<ChangeType>{change}</ChangeType>{more}"
    )


def test_a_member_writes_to_the_app() -> None:
    event = parse(
        said(
            "<Content><![CDATA[净值 <3% & 更多]]></Content>"
            "<MsgId>4561</MsgId><AgentID>218</AgentID>",
            sender="zhangsan",
            kind="text",
        )
    )
    assert event == TextMessage(
        corp_id="wwBANK",
        created_at=AT,
        kind="text",
        order_key="",
        userid="zhangsan",
        agent_id="218",
        message_id="4561",
        text="净值 <3% & 更多",
    )
    assert "净值" not in repr(event)


@pytest.mark.parametrize("change", list(ContactChange))
def test_every_change_between_customer_and_member_is_known(change: ContactChange) -> None:
    event = parse(contact(change.value))
    assert isinstance(event, ContactChanged)
    assert event.change is change
    assert event.kind == f"change_external_contact.{change}"
    assert event.order_key == event.external_userid == "wmCUSTOMER"
    assert event.userid == "zhangsan"
    assert event.created_at == AT


def test_a_new_customer_brings_channel_and_welcome_code() -> None:
    event = parse(
        contact("add_external_contact", "<State>hz-01</State><WelcomeCode>WCODE</WelcomeCode>")
    )
    assert isinstance(event, ContactChanged)
    assert (event.state, event.welcome_code) == ("hz-01", "WCODE")
    assert "WCODE" not in repr(event)


def test_why_a_handover_failed_and_why_a_member_was_removed() -> None:
    failed = parse(contact("transfer_fail", "<FailReason>customer_refused</FailReason>"))
    removed = parse(contact("del_external_contact", "<Source>DELETE_BY_TRANSFER</Source>"))
    assert isinstance(failed, ContactChanged)
    assert isinstance(removed, ContactChanged)
    assert failed.fail_reason == "customer_refused"
    assert removed.source == "DELETE_BY_TRANSFER"


def test_members_join_a_group() -> None:
    event = parse(
        group(
            "update",
            "<UpdateDetail>add_member</UpdateDetail><JoinScene>1</JoinScene><QuitScene>0</QuitScene>"
            "<MemChangeCnt>2</MemChangeCnt><MemChangeList><Item>Jack</Item><Item>Rose</Item>"
            "</MemChangeList><LastMemVer>aa</LastMemVer><CurMemVer>bb</CurMemVer>",
        )
    )
    assert event == GroupChanged(
        corp_id="wwBANK",
        created_at=AT,
        kind="change_external_chat.update",
        order_key="wrGROUP",
        change=GroupChange.UPDATED,
        chat_id="wrGROUP",
        detail="add_member",
        members=("Jack", "Rose"),
        member_count=2,
        join_scene=1,
        quit_scene=0,
        previous_version="aa",
        version="bb",
    )


@pytest.mark.parametrize("change", ["create", "dismiss"])
def test_a_group_without_details(change: str) -> None:
    event = parse(group(change))
    assert isinstance(event, GroupChanged)
    assert (event.change, event.members, event.member_count) == (change, (), None)


def test_tags() -> None:
    edited = parse(
        said(
            "<Event>change_external_tag</Event><Id>etTAG</Id><TagType>tag</TagType>"
            "<ChangeType>update</ChangeType>"
        )
    )
    shuffled = parse(
        said(
            "<Event>change_external_tag</Event><Id>etGROUP</Id><StrategyId>007</StrategyId>"
            "<ChangeType>shuffle</ChangeType>"
        )
    )
    assert isinstance(edited, TagChanged)
    assert isinstance(shuffled, TagChanged)
    assert (edited.change, edited.tag_id, edited.tag_type) == (TagChange.UPDATED, "etTAG", "tag")
    assert (shuffled.tag_type, shuffled.strategy_id) == ("", "007")


def test_the_two_bells() -> None:
    archive = parse(said("<AgentID>2000004</AgentID><Event>msgaudit_notify</Event>"))
    service = parse(
        "<xml><ToUserName>wwBANK</ToUserName><CreateTime>1700000000</CreateTime>"
        "<MsgType>event</MsgType><Event>kf_msg_or_event</Event><Token>ENC</Token>"
        "<OpenKfId>wkFUND</OpenKfId></xml>"
    )
    assert archive == ArchiveBell(
        corp_id="wwBANK", created_at=AT, kind="msgaudit_notify", order_key="", agent_id="2000004"
    )
    assert isinstance(service, ServiceBell)
    assert (service.open_kfid, service.token) == ("wkFUND", "ENC")
    assert "ENC" not in repr(service)


@pytest.mark.parametrize("options", [(), ("a",), ("a", "b")])
def test_a_card_is_pressed(options: tuple[str, ...]) -> None:
    items = "".join(f"<OptionId>{option}</OptionId>" for option in options)
    event = parse(
        said(
            "<Event>template_card_event</Event><EventKey>done</EventKey><TaskId>touch-1</TaskId>"
            "<CardType>vote_interaction</CardType><ResponseCode>RC</ResponseCode>"
            "<AgentID>218</AgentID><SelectedItems><SelectedItem><QuestionKey>why</QuestionKey>"
            f"<OptionIds>{items}</OptionIds></SelectedItem></SelectedItems>",
            sender="zhangsan",
        )
    )
    assert isinstance(event, CardPressed)
    assert (event.userid, event.button, event.task_id) == ("zhangsan", "done", "touch-1")
    assert event.selections == (Selection("why", options),)
    assert "RC" not in repr(event)


def test_a_member_opens_the_app_or_is_given_it() -> None:
    entered = parse(said("<Event>enter_agent</Event><EventKey/><AgentID>2</AgentID>", sender="li"))
    given_ = parse(said("<Event>subscribe</Event><AgentID>2</AgentID>", sender="li"))
    assert isinstance(entered, AppEntered)
    assert isinstance(given_, AppSubscribed)
    assert entered.userid == given_.userid == "li"


@pytest.mark.parametrize(
    ("plaintext", "kind", "order_key"),
    [
        (
            said(
                "<Event>something_new</Event><ChangeType>begun</ChangeType>"
                "<ExternalUserID>wmCUSTOMER</ExternalUserID>"
            ),
            "something_new.begun",
            "wmCUSTOMER",
        ),
        (said("<MediaId>m</MediaId>", kind="hologram"), "hologram", ""),
        (
            contact("something_new"),
            "change_external_contact.something_new",
            "wmCUSTOMER",
        ),
        (group("something_new"), "change_external_chat.something_new", "wrGROUP"),
        (said("<Content>no number</Content>", kind="text"), "text", ""),
        (said(""), "", ""),
        (
            said("<Event>change_external_contact</Event><ChangeType>del_follow_user</ChangeType>"),
            "change_external_contact.del_follow_user",
            "",
        ),
    ],
    ids=[
        "new",
        "new-message",
        "new-contact-change",
        "new-group-change",
        "message",
        "bare",
        "incomplete",
    ],
)
def test_what_is_not_known_is_kept_whole_and_in_order(
    plaintext: str, kind: str, order_key: str
) -> None:
    event = parse(plaintext)
    assert event == UnknownEvent(
        corp_id="wwBANK", created_at=AT, kind=kind, order_key=order_key, raw=plaintext
    )


@pytest.mark.parametrize(
    "plaintext",
    [
        "",
        "<xml/>",
        "hello",
        said("")[:-1],
        said("<MsgType>text</MsgType>"),
        said("").replace("1700000000", ""),
        said("").replace("1700000000", "soon"),
        said("").replace("1700000000", "9" * 19),
        said("").replace("wwBANK", ""),
        '<!DOCTYPE x [<!ENTITY a "b">]>' + said("<Content>&a;</Content>"),
    ],
)
def test_what_is_not_a_message_is_unreadable(plaintext: str) -> None:
    with pytest.raises(UnreadableEvent):
        parse(plaintext)


@given(st.text())
def test_no_field_can_break_the_parser(text: str) -> None:
    fields = f"<Event><![CDATA[{text}]]></Event><ChangeType><![CDATA[{text}]]></ChangeType>"
    try:
        event = parse(said(fields))
    except UnreadableEvent:
        return
    assert event.corp_id == "wwBANK"


# ------------------------------------------------------------- what members write and press


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("image", "<PicUrl>p</PicUrl><MediaId>m</MediaId>", ImageMessage),
        ("voice", "<MediaId>m</MediaId><Format>amr</Format>", VoiceMessage),
        ("video", "<MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>", VideoMessage),
        ("location", "<Location_X>31.2</Location_X><Label>外滩</Label>", LocationMessage),
        ("link", "<Title>标题</Title><Url>https://a.example</Url>", LinkMessage),
        ("file", "<MediaId>m</MediaId><FileName>表.xlsx</FileName>", FileMessage),
    ],
)
def test_every_kind_of_message_is_known(kind: str, fields: str, expected: type[Event]) -> None:
    whole = parse(said(f"{fields}<MsgId>7</MsgId><AgentID>2</AgentID>", sender="li", kind=kind))
    bare = parse(said("<MsgId>7</MsgId>", sender="li", kind=kind))
    assert type(whole) is type(bare) is expected
    assert whole.kind == kind


def test_a_place_without_numbers_has_none() -> None:
    event = parse(
        said("<MsgId>7</MsgId><Location_X>nan</Location_X>", sender="li", kind="location")
    )
    assert isinstance(event, LocationMessage)
    assert (event.latitude, event.longitude, event.scale) == (None, None, None)


def test_the_corner_menu_of_a_card_has_no_selections() -> None:
    event = parse(
        said(
            "<Event>template_card_menu_event</Event><EventKey>mute</EventKey><TaskId>t1</TaskId>"
            "<CardType>text_notice</CardType><ResponseCode>RC</ResponseCode><AgentID>2</AgentID>",
            sender="li",
        )
    )
    assert isinstance(event, CardMenuPressed)
    assert (event.userid, event.button, event.task_id) == ("li", "mute", "t1")
    assert "RC" not in repr(event)


# ------------------------------------------------------------------- approvals and the company


@pytest.mark.parametrize("approvers", [("wang",), ("wang", "zhao")])
def test_an_approval_moves_on(approvers: tuple[str, ...]) -> None:
    details = "".join(
        f"<Details><Approver><UserId>{one}</UserId></Approver><SpStatus>1</SpStatus></Details>"
        for one in approvers
    )
    event = parse(
        said(
            "<Event>sys_approval_change</Event><ApprovalInfo><SpNo>2026</SpNo><SpName>请假</SpName>"
            "<SpStatus>2</SpStatus><TemplateId>T</TemplateId><Applyer><UserId>li</UserId></Applyer>"
            f"<SpRecord><SpStatus>1</SpStatus>{details}</SpRecord>"
            "<Notifyer><UserId>hr</UserId></Notifyer><StatuChangeEvent>2</StatuChangeEvent>"
            "</ApprovalInfo>"
        )
    )
    assert isinstance(event, ApprovalChanged)
    assert (event.number, event.status, event.change) == ("2026", 2, 2)
    assert (event.applicant, event.notified) == ("li", ("hr",))
    assert event.steps == (ApprovalStep(1, approvers),)


@pytest.mark.parametrize("accounts", [(), ("wk1",), ("wk1", "wk2")])
def test_accounts_of_customer_service_are_given_and_taken(accounts: tuple[str, ...]) -> None:
    added = "".join(f"<AuthAddOpenKfId>{one}</AuthAddOpenKfId>" for one in accounts)
    event = parse(said(f"<Event>kf_account_auth_change</Event>{added}"))
    assert isinstance(event, ServiceAccountsChanged)
    assert (event.added, event.removed) == (accounts, ())


def test_a_customer_of_a_link_wrote() -> None:
    event = parse(
        said(
            "<Event>customer_acquisition</Event><ChangeType>message_from_customer</ChangeType>"
            "<UserID>li</UserID><ExternalUserID>wm1</ExternalUserID><LinkId>ca1</LinkId>"
            "<ChatSeq>12</ChatSeq><ChatKey>KEY</ChatKey>"
        )
    )
    assert isinstance(event, AcquisitionChanged)
    assert (event.change, event.link_id, event.chat_seq) == ("message_from_customer", "ca1", 12)
    assert event.order_key == "wm1"
    assert "KEY" not in repr(event)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("unsubscribe", AppUnsubscribed),
        ("LOCATION", MemberLocated),
        ("click", MenuPressed),
        ("view", MenuPressed),
        ("view_miniprogram", MenuPressed),
        ("inactive_alert", AppActivityChanged),
        ("close_inactive_agent", AppActivityChanged),
        ("reopen_inactive_agent", AppActivityChanged),
        ("low_active_alert", AppActivityChanged),
        ("low_active", AppActivityChanged),
        ("active_restored", AppActivityChanged),
        ("share_agent_change", AppSharingChanged),
        ("share_chain_change", AppSharingChanged),
        ("change_contact", DirectoryChanged),
        ("batch_job_result", BatchJobDone),
        ("upload_media_job_finish", UploadDone),
    ],
)
def test_an_event_that_says_nothing_but_its_name_is_still_itself(
    word: str, expected: type[Event]
) -> None:
    event = parse(said(f"<Event>{word}</Event>", sender="li"))
    assert type(event) is expected
    assert event.kind == word

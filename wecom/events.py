"""Reads a decrypted callback: its XML becomes one of the events of `event_kinds`.

A callback is a hint. It may come twice, late, out of order or never; whoever handles it must be
able to do so again, and a regular pull makes up for the lost ones. What is missing in it is empty
or None; without what an event cannot do without, it is an UnknownEvent and kept whole.
"""

from typing import Final
from xml.etree.ElementTree import Element

from wecom.event_kinds import (
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
    MemberAction,
    MemberLocated,
    MemberMessage,
    MenuPressed,
    OwnApprovalChanged,
    Selection,
    ServiceAccountsChanged,
    ServiceBell,
    TagChange,
    TagChanged,
    TextMessage,
    UnknownEvent,
    UploadDone,
    VideoMessage,
    VoiceMessage,
)
from wecom.event_xml import (
    Envelope,
    Reader,
    UnreadableEvent,
    change_of,
    envelope_of,
    number,
    root_of,
    text,
    texts,
    word,
)
from wecom.member_events import ACTIONS, MESSAGES

__all__ = [
    "AcquisitionChanged",
    "AppActivityChanged",
    "AppEntered",
    "AppSharingChanged",
    "AppSubscribed",
    "AppUnsubscribed",
    "ApprovalChanged",
    "ApprovalStep",
    "ArchiveBell",
    "BatchJobDone",
    "CardMenuPressed",
    "CardPressed",
    "ContactChange",
    "ContactChanged",
    "DirectoryChanged",
    "Event",
    "FileMessage",
    "GroupChange",
    "GroupChanged",
    "ImageMessage",
    "LinkMessage",
    "LocationMessage",
    "MemberAction",
    "MemberLocated",
    "MemberMessage",
    "MenuPressed",
    "OwnApprovalChanged",
    "Selection",
    "ServiceAccountsChanged",
    "ServiceBell",
    "TagChange",
    "TagChanged",
    "TextMessage",
    "UnknownEvent",
    "UnreadableEvent",
    "UploadDone",
    "VideoMessage",
    "VoiceMessage",
    "parse",
]


def parse(plaintext: str | bytes) -> Event:
    """Read a decrypted callback; what is unknown, or lacks what it must say, is an UnknownEvent.

    UnreadableEvent if it is not even a message with a receiver and a time.
    """
    raw = plaintext.decode("utf-8", "replace") if isinstance(plaintext, bytes) else plaintext
    xml = root_of(raw)
    head = envelope_of(xml)
    readers = _EVENTS if text(xml, "MsgType") == "event" else MESSAGES
    reader = readers.get(word(xml))
    event = reader(xml, head) if reader else None
    return event or UnknownEvent(**head, raw=raw)


# What happens to customers, groups and tags.


def _contact_changed(xml: Element, envelope: Envelope) -> ContactChanged | None:
    change = change_of(xml, ContactChange)
    if not change or not text(xml, "UserID") or not text(xml, "ExternalUserID"):
        return None
    return ContactChanged(
        **envelope,
        change=change,
        userid=text(xml, "UserID"),
        external_userid=text(xml, "ExternalUserID"),
        state=text(xml, "State"),
        welcome_code=text(xml, "WelcomeCode"),
        source=text(xml, "Source"),
        fail_reason=text(xml, "FailReason"),
    )


def _group_changed(xml: Element, envelope: Envelope) -> GroupChanged | None:
    change = change_of(xml, GroupChange)
    if not change or not text(xml, "ChatId"):
        return None
    return GroupChanged(
        **envelope,
        change=change,
        chat_id=text(xml, "ChatId"),
        detail=text(xml, "UpdateDetail"),
        members=texts(xml, "MemChangeList/Item"),
        member_count=number(xml, "MemChangeCnt"),
        join_scene=number(xml, "JoinScene"),
        quit_scene=number(xml, "QuitScene"),
        previous_version=text(xml, "LastMemVer"),
        version=text(xml, "CurMemVer"),
    )


def _tag_changed(xml: Element, envelope: Envelope) -> TagChanged | None:
    change = change_of(xml, TagChange)
    if not change:
        return None
    return TagChanged(
        **envelope,
        change=change,
        tag_id=text(xml, "Id"),
        tag_type=text(xml, "TagType"),
        strategy_id=text(xml, "StrategyId"),
    )


def _acquisition_changed(xml: Element, envelope: Envelope) -> AcquisitionChanged | None:
    change = text(xml, "ChangeType")
    if not change:
        return None
    return AcquisitionChanged(
        **envelope,
        change=change,
        link_id=text(xml, "LinkId"),
        userid=text(xml, "UserID"),
        external_userid=text(xml, "ExternalUserID"),
        state=text(xml, "State"),
        chat_key=text(xml, "ChatKey"),
        chat_seq=number(xml, "ChatSeq"),
    )


# Bells, approvals, and what the platform says of the app and the company.


def _archive_bell(xml: Element, envelope: Envelope) -> ArchiveBell:
    return ArchiveBell(**envelope, agent_id=text(xml, "AgentID"))


def _service_bell(xml: Element, envelope: Envelope) -> ServiceBell | None:
    open_kfid = text(xml, "OpenKfId")
    if not open_kfid:
        return None
    return ServiceBell(**envelope, open_kfid=open_kfid, token=text(xml, "Token"))


def _service_accounts_changed(xml: Element, envelope: Envelope) -> ServiceAccountsChanged:
    return ServiceAccountsChanged(
        **envelope, added=texts(xml, "AuthAddOpenKfId"), removed=texts(xml, "AuthDelOpenKfId")
    )


def _approval_changed(xml: Element, envelope: Envelope) -> ApprovalChanged | None:
    info = xml.find("ApprovalInfo")
    if info is None:
        return None
    return ApprovalChanged(
        **envelope,
        number=text(info, "SpNo"),
        name=text(info, "SpName"),
        template_id=text(info, "TemplateId"),
        status=number(info, "SpStatus"),
        change=number(info, "StatuChangeEvent"),
        applicant=text(info, "Applyer/UserId"),
        steps=tuple(_approval_step(record) for record in info.findall("SpRecord")),
        notified=texts(info, "Notifyer/UserId"),
    )


def _approval_step(record: Element) -> ApprovalStep:
    return ApprovalStep(number(record, "SpStatus"), texts(record, "Details/Approver/UserId"))


def _own_approval_changed(xml: Element, envelope: Envelope) -> OwnApprovalChanged | None:
    info = xml.find("ApprovalInfo")
    if info is None:
        return None
    nodes = info.findall("ApprovalNodes/ApprovalNode")
    return OwnApprovalChanged(
        **envelope,
        number=text(info, "ThirdNo"),
        name=text(info, "OpenSpName"),
        status=number(info, "OpenSpStatus"),
        applicant=text(info, "ApplyUserId"),
        steps=tuple(_approval_node(node) for node in nodes),
    )


def _approval_node(node: Element) -> ApprovalStep:
    return ApprovalStep(number(node, "NodeStatus"), texts(node, "Items/Item/ItemUserId"))


def _app_activity_changed(xml: Element, envelope: Envelope) -> AppActivityChanged:
    return AppActivityChanged(**envelope, agent_id=text(xml, "AgentID"))


def _app_sharing_changed(xml: Element, envelope: Envelope) -> AppSharingChanged:
    return AppSharingChanged(**envelope, agent_id=text(xml, "AgentID"))


def _directory_changed(xml: Element, envelope: Envelope) -> DirectoryChanged:
    return DirectoryChanged(
        **envelope,
        change=text(xml, "ChangeType"),
        userid=text(xml, "UserID"),
        new_userid=text(xml, "NewUserID"),
    )


def _batch_job_done(xml: Element, envelope: Envelope) -> BatchJobDone:
    return BatchJobDone(
        **envelope,
        job_id=text(xml, "BatchJob/JobId"),
        job_type=text(xml, "BatchJob/JobType"),
        errcode=number(xml, "BatchJob/ErrCode"),
    )


def _upload_done(xml: Element, envelope: Envelope) -> UploadDone:
    return UploadDone(**envelope, job_id=text(xml, "JobId"))


_EVENTS: Final[dict[str, Reader]] = {
    **ACTIONS,
    "change_external_contact": _contact_changed,
    "change_external_chat": _group_changed,
    "change_external_tag": _tag_changed,
    "customer_acquisition": _acquisition_changed,
    "msgaudit_notify": _archive_bell,
    "kf_msg_or_event": _service_bell,
    "kf_account_auth_change": _service_accounts_changed,
    "sys_approval_change": _approval_changed,
    "open_approval_change": _own_approval_changed,
    "inactive_alert": _app_activity_changed,
    "close_inactive_agent": _app_activity_changed,
    "reopen_inactive_agent": _app_activity_changed,
    "low_active_alert": _app_activity_changed,
    "low_active": _app_activity_changed,
    "active_restored": _app_activity_changed,
    "share_agent_change": _app_sharing_changed,
    "share_chain_change": _app_sharing_changed,
    "change_contact": _directory_changed,
    "batch_job_result": _batch_job_done,
    "upload_media_job_finish": _upload_done,
}

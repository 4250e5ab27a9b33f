"""Everything WeCom can tell us, as frozen events; `events.parse` reads them.

Event
├── MemberMessage           a member wrote to the app; customers never can
│   └── TextMessage · ImageMessage · VoiceMessage · VideoMessage · LocationMessage
│       LinkMessage · FileMessage
├── MemberAction            a member did something with the app
│   └── AppSubscribed · AppUnsubscribed · AppEntered · MemberLocated · MenuPressed
│       CardPressed · CardMenuPressed
├── ContactChanged          customer and member: added, edited, lost, agreed to archiving
├── GroupChanged            a customer group was created, changed or dismissed
├── TagChanged              a company tag or tag group
├── AcquisitionChanged      获客助手: its links, its quota, and customers who wrote
├── ArchiveBell             new conversations can be pulled from the archive
├── ServiceBell             new 微信客服 messages can be pulled
├── ServiceAccountsChanged  微信客服 accounts the app may use, or may no longer
├── ApprovalChanged · OwnApprovalChanged     a form of WeCom's approval, or of our own flow
├── AppActivityChanged      the platform warns of, or ends, the use of an idle app
├── AppSharingChanged · DirectoryChanged · BatchJobDone · UploadDone
└── UnknownEvent            anything else, kept as it came
"""

import enum
from dataclasses import dataclass, field
from datetime import datetime


class ContactChange(enum.StrEnum):
    """What happened between a customer and a member."""

    ADDED = "add_external_contact"
    EDITED = "edit_external_contact"
    HALF_ADDED = "add_half_external_contact"
    DELETED_BY_MEMBER = "del_external_contact"
    DELETED_BY_CUSTOMER = "del_follow_user"
    TRANSFER_FAILED = "transfer_fail"
    ARCHIVE_AGREED = "msg_audit_approved"


class GroupChange(enum.StrEnum):
    """What happened to a customer group."""

    CREATED = "create"
    UPDATED = "update"
    DISMISSED = "dismiss"


class TagChange(enum.StrEnum):
    """What happened to a company tag."""

    CREATED = "create"
    UPDATED = "update"
    DELETED = "delete"
    SHUFFLED = "shuffle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something WeCom told us.

    `kind` is WeCom's own word: the message type, or the event name followed by `.` and its change
    type. Events with the same `order_key` (a customer or a group) are handled one after another; it
    is empty where order does not matter.
    """

    corp_id: str
    created_at: datetime
    kind: str
    order_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberMessage(Event):
    """A member wrote to the app; media can be fetched for three days."""

    userid: str
    agent_id: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMessage(MemberMessage):
    """A text."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMessage(MemberMessage):
    """A picture."""

    media_id: str
    picture_url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceMessage(MemberMessage):
    """A recording, as amr or speex."""

    media_id: str
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoMessage(MemberMessage):
    """A video with its still picture."""

    media_id: str
    thumb_media_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LocationMessage(MemberMessage):
    """A place on the map, in degrees; None where WeCom sent no number."""

    latitude: float | None = field(repr=False)
    longitude: float | None = field(repr=False)
    scale: int | None
    label: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMessage(MemberMessage):
    """A link that was passed on."""

    title: str = field(repr=False)
    description: str = field(repr=False)
    url: str = field(repr=False)
    picture_url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMessage(MemberMessage):
    """A file; not in WeCom's list of messages, but seen."""

    media_id: str
    filename: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAction(Event):
    """A member did something with the app."""

    userid: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSubscribed(MemberAction):
    """A member was given the app."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppUnsubscribed(MemberAction):
    """The app was taken from a member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppEntered(MemberAction):
    """A member opened the app's chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLocated(MemberAction):
    """Where a member is who opened the app, in degrees and metres."""

    latitude: float | None = field(repr=False)
    longitude: float | None = field(repr=False)
    precision: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuPressed(MemberAction):
    """A member pressed an entry of the app's menu; `key` is our key of it, or its address."""

    key: str


@dataclass(frozen=True, slots=True)
class Selection:
    """The options a member chose for one question of a card."""

    question_key: str
    option_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPressed(MemberAction):
    """A member pressed a card's button; `response_code` updates the card once, within 72 hours."""

    button: str
    task_id: str
    card_type: str
    response_code: str = field(repr=False)
    selections: tuple[Selection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardMenuPressed(MemberAction):
    """A member chose from the menu at a card's corner; there are no selections."""

    button: str
    task_id: str
    card_type: str
    response_code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChanged(Event):
    """The relation between a customer and a member changed.

    `state` is the channel the customer came by. `welcome_code` lives 20 seconds and works once;
    empty when no welcome may be sent. `source` and `fail_reason` are WeCom's words for a deletion
    caused by inheritance and for a failed handover.
    """

    change: ContactChange
    userid: str
    external_userid: str
    state: str
    welcome_code: str = field(repr=False)
    source: str
    fail_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChanged(Event):
    """A customer group changed; wait about two seconds before reading its details.

    `detail` says what an update was (`add_member`, `del_member`, `change_owner`, `change_name`,
    `change_notice`). Scenes and counts may be present for details they do not belong to: branch on
    `detail` alone. `version` equals the `member_version` of the group once this change is in it.
    """

    change: GroupChange
    chat_id: str
    detail: str
    members: tuple[str, ...]
    member_count: int | None
    join_scene: int | None
    quit_scene: int | None
    previous_version: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChanged(Event):
    """A company tag or tag group changed; a shuffle names no `tag_type`."""

    change: TagChange
    tag_id: str
    tag_type: str
    strategy_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquisitionChanged(Event):
    """获客助手: `change` is WeCom's word for what happened.

    `chat_key` fetches how many messages a customer sent, for 30 minutes; no words of theirs.
    """

    change: str
    link_id: str
    userid: str
    external_userid: str
    state: str
    chat_key: str = field(repr=False)
    chat_seq: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveBell(Event):
    """The conversation archive has something new; rings once in 15 seconds at most."""

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceBell(Event):
    """A 微信客服 account has something new; `token` helps the pull for ten minutes."""

    open_kfid: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccountsChanged(Event):
    """The app was given 微信客服 accounts, or they were taken from it."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalStep:
    """One step of an approval: its state and who decides or decided it, in WeCom's numbers."""

    status: int | None
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalChanged(Event):
    """A form of WeCom's own approval moved on.

    `status`: 1 pending, 2 agreed, 3 rejected, 4 withdrawn, 6 withdrawn after it passed, 7 deleted,
    10 paid. `change` (WeCom spells its field `StatuChangeEvent`): 1 handed in, 2 agreed,
    3 rejected, 4 passed on, 5 urged, 6 withdrawn, 8 withdrawn after it passed, 10 a note.
    """

    number: str
    name: str
    template_id: str
    status: int | None
    change: int | None
    applicant: str
    steps: tuple[ApprovalStep, ...]
    notified: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnApprovalChanged(Event):
    """An approval of a self-built flow moved on: 1 pending, 2 agreed, 3 rejected, 4 withdrawn."""

    number: str
    name: str
    status: int | None
    applicant: str
    steps: tuple[ApprovalStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppActivityChanged(Event):
    """The platform warns that the app is idle, switches it off, or takes the warning back."""

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSharingChanged(Event):
    """The app was shared with another company, or no longer is."""

    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryChanged(Event):
    """A member, department or label of the company changed; `change` is WeCom's word."""

    change: str
    userid: str
    new_userid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJobDone(Event):
    """An import or export WeCom worked on is finished."""

    job_id: str
    job_type: str
    errcode: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadDone(Event):
    """A large file WeCom fetched from us is stored."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """Something this version does not know, with its whole text; its order is still kept."""

    raw: str = field(repr=False)

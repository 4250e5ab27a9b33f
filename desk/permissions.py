"""Who may open which door. A handler without a door is closed to everyone."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from bank.models import Role

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

EVERYONE_ON_STAFF = frozenset(Role)


@dataclass(frozen=True)
class Door:
    """What it takes to enter: a role at the desk, at the sidebar, or nothing (`public`)."""

    roles: frozenset[Role] = frozenset()
    place: str = "desk"
    public: bool = False
    holds_transaction: bool = True


DOORS: dict[Handler, Door] = {}


def allow(*roles: Role, place: str = "desk") -> Callable[[Handler], Handler]:
    """Open this page to these roles; without any, to all staff."""

    def at(handler: Handler) -> Handler:
        DOORS[handler] = Door(roles=frozenset(roles) or EVERYONE_ON_STAFF, place=place)
        return handler

    return at


def public(handler: Handler) -> Handler:
    """Open this address to anyone: callbacks with their own signature, sign-in, health."""
    DOORS[handler] = Door(public=True)
    return handler


def streaming(handler: Handler) -> Handler:
    """This handler takes no transaction of the page: it stays open for long, or needs none."""
    door = DOORS[handler]
    DOORS[handler] = Door(door.roles, door.place, door.public, holds_transaction=False)
    return handler


@dataclass(frozen=True)
class Entry:
    """A line of the menu."""

    title: str
    path: str
    icon: str
    roles: frozenset[Role]


def _entry(title: str, path: str, icon: str, *roles: Role) -> Entry:
    return Entry(title, path, icon, frozenset(roles) or EVERYONE_ON_STAFF)


SEES_CUSTOMERS = (Role.RM, Role.BRANCH_MANAGER, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
GAINS_CUSTOMERS = (Role.RM, Role.BRANCH_MANAGER, Role.HQ)
SEES_CONTENT = (*SEES_CUSTOMERS, Role.EDITOR, Role.APPROVER)
SEES_CERTIFICATES = (
    Role.HQ, Role.ADMIN, Role.COMPLIANCE, Role.AUDITOR, Role.BRANCH_MANAGER
)  # fmt: skip
SEES_ENDS = tuple(role for role in SEES_CONTENT if role is not Role.RM)
SEES_GAPS = (Role.EDITOR, Role.COMPLIANCE, Role.AUDITOR, Role.HQ)
STOPS_MODELS = (Role.COMPLIANCE, Role.HQ)
WORKS_ON_CONTENT = (Role.EDITOR, Role.APPROVER, Role.COMPLIANCE, Role.AUDITOR)

MENU: tuple[tuple[str, tuple[Entry, ...]], ...] = (
    ("", (_entry("工作台", "/", "home"),)),
    (
        "客户中心",
        (
            _entry("客户列表", "/customers", "people", *SEES_CUSTOMERS),
            _entry("客户群", "/groups", "grid", *SEES_CUSTOMERS),
            _entry("群问答", "/groups/questions", "chat", *SEES_CUSTOMERS),
            _entry("推荐回复", "/suggestions", "chat", *SEES_CUSTOMERS),
            _entry("关怀提醒", "/care", "warning", *SEES_CUSTOMERS),
            _entry("渠道活码", "/channels", "link", *GAINS_CUSTOMERS),
            _entry("欢迎语", "/welcomes", "star", *GAINS_CUSTOMERS),
            _entry("客服会话", "/service", "phone", *SEES_CUSTOMERS),
        ),
    ),
    (
        "内容中心",
        (
            _entry("素材中心", "/content", "document", *SEES_CONTENT),
            _entry("话术库", "/scripts", "chat", *SEES_CONTENT),
            _entry("即将到期", "/content/expiring", "clock", *SEES_ENDS),
            _entry("审批", "/review", "check", *WORKS_ON_CONTENT),
            _entry("产品库", "/products", "box", *SEES_CONTENT),
            _entry("内容缺口", "/gaps", "inbox", *SEES_GAPS),
            _entry("候选问法", "/candidates", "plus", *SEES_GAPS),
            _entry("索引与匹配", "/knowledge", "search", *WORKS_ON_CONTENT, Role.HQ),
        ),
    ),
    (
        "触达",
        (
            _entry("SOP", "/sops", "flow", *SEES_CUSTOMERS),
            _entry("触达记录", "/touches", "send", *SEES_CUSTOMERS),
        ),
    ),
    (
        "看板",
        (
            _entry("推荐质量", "/suggestions/quality", "check", *SEES_CUSTOMERS),
            _entry("归因", "/attribution", "chart", *SEES_CUSTOMERS, Role.EDITOR),
        ),
    ),
    (
        "系统",
        (
            _entry("回调与隔离区", "/system/inbound", "inbox", Role.ADMIN, Role.AUDITOR),
            _entry("企业微信接口", "/system/wecom", "link", Role.ADMIN, Role.AUDITOR),
            _entry("对账与补偿", "/system/repairs", "refresh", Role.ADMIN, Role.AUDITOR),
            _entry("员工与角色", "/system/staff", "key", Role.ADMIN, Role.AUDITOR),
            _entry("从业资格", "/system/certificates", "check", *SEES_CERTIFICATES),
            _entry("导出申请", "/system/exports", "download", *SEES_CUSTOMERS),
            _entry("操作日志", "/system/audit", "book", Role.COMPLIANCE, Role.AUDITOR),
            _entry("发出记录", "/system/outbound", "send", Role.COMPLIANCE, Role.AUDITOR),
            _entry("模型起草", "/service/model", "edit", *STOPS_MODELS, Role.AUDITOR),
            _entry("组件", "/system/components", "grid", Role.ADMIN),
        ),
    ),
)


def menu_for(roles: frozenset[Role]) -> list[tuple[str, list[Entry]]]:
    """The part of the menu these roles may open."""
    parts = [(title, [e for e in entries if e.roles & roles]) for title, entries in MENU]
    return [(title, entries) for title, entries in parts if entries]


def door_of(request: web.Request) -> Door | None:
    """The door of the page being asked for; None where nobody opened one."""
    return DOORS.get(request.match_info.handler)

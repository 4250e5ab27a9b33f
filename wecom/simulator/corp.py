"""The bank as the platform knows it, with its self-built apps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from wecom.archive_consent import ARCHIVE_AGENT_ID

CUSTOMER_CONTACT, SERVICE, ARCHIVE = "customer_contact", "service", "archive"
EVERY_FUNCTION = frozenset({CUSTOMER_CONTACT, SERVICE, ARCHIVE})
AREAS = {"externalcontact/": CUSTOMER_CONTACT, "kf/": SERVICE, "msgaudit/": ARCHIVE}


@dataclass
class App:
    """A self-built app: its secret, its callback address and keys, and what it may do.

    `functions` are the console's lists 可调用接口的应用; `visible` is the app's range, None for the
    whole corp. Keys and address change when the administrator changes them.
    """

    agent_id: int
    secret: str
    token: str
    aes_key: str
    callback_url: str = ""
    functions: frozenset[str] = EVERY_FUNCTION
    visible: frozenset[str] | None = None
    name: str = "客户经理助手"

    def may(self, function: str) -> bool:
        """Whether the app is listed for this function in the console."""
        return function in self.functions

    def may_call(self, path: str) -> bool:
        """Whether an address below /cgi-bin belongs to a function the app is listed for (48002)."""
        needed = next((f for area, f in AREAS.items() if path.startswith(area)), None)
        return needed is None or self.may(needed)

    @property
    def token_key(self) -> str:
        """Under which name the platform keeps the app's access token."""
        return f"access_token/{self.agent_id}"

    @property
    def ticket_key(self) -> str:
        """Under which name the platform keeps the app's agent_config ticket."""
        return f"agent_ticket/{self.agent_id}"

    def sees(self, userid: str) -> bool:
        """Whether the member is in the app's visible range (nobody in particular always is)."""
        return not userid or self.visible is None or userid in self.visible


@dataclass(frozen=True)
class Corp:
    """The corp, and the secrets of its first self-built app; `apps` are the others."""

    corp_id: str
    agent_id: int
    secret: str
    token: str
    aes_key: str
    archive_secret: str
    name: str = "示例银行"
    apps: tuple[App, ...] = field(default=())

    def all_apps(self, callback_url: str) -> list[App]:
        """Every app; the first one is called back at the given address."""
        first = App(self.agent_id, self.secret, self.token, self.aes_key, callback_url)
        return [first, *self.apps]

    def archive_app(self) -> App:
        """The console's own 会话内容存档 secret, which may ask about consent and nothing else."""
        functions = frozenset({ARCHIVE})
        return App(
            ARCHIVE_AGENT_ID, self.archive_secret, "", "", "", functions, name="会话内容存档"
        )


class PlatformClock:
    """The platform's time: the given clock, moved by whoever plays with it."""

    def __init__(self, base: Callable[[], datetime]) -> None:
        self._base = base
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        """The moment it is on the platform, aware UTC."""
        return self._base() + self.ahead

    def forward(self, seconds: float) -> None:
        """Let this many seconds pass (a negative number turns the clock back)."""
        self.ahead += timedelta(seconds=seconds)

"""The one message a new customer gets by itself."""

from dataclasses import dataclass, field

from wecom.attachments import Attachment, Payload, content, something_to_say


@dataclass(frozen=True, slots=True)
class Welcome:
    """A text of at most 4000 bytes with up to nine attachments."""

    text: str = field(repr=False)
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        something_to_say(self.text, self.attachments)

    def payload(self) -> Payload:
        """As WeCom takes it."""
        return content(self.text, self.attachments)

"""The one message a new customer gets by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from wecom.attachments import Attachment, Payload, content, something_to_say
from wecom.calls import Calls
from wecom.media import MediaStore


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


class Welcomes:
    """Welcomes new customers."""

    def __init__(self, calls: Calls, media: MediaStore) -> None:
        self._calls, self._media = calls, media

    async def send(self, code: str, text: str, attachments: Sequence[Attachment] = ()) -> None:
        """Welcome a new customer, within 20 seconds of the event and once.

        After OutcomeUnknown or WelcomeBeingSent it may be called again: the code works once.
        """
        path = "externalcontact/send_welcome_msg"
        Welcome(text, tuple(attachments))

        async def send(usable: tuple[Attachment, ...]) -> None:
            fields = {"welcome_code": code, **Welcome(text, usable).payload()}
            await self._calls.post(path, fields, once=True)

        await self._media.with_usable(tuple(attachments), send)

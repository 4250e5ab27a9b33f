"""What WeCom can refuse, sorted by what the caller should do about it.

    WeComError
    ├── Busy                        try again, with backoff
    │   └── Unreachable             no readable answer came
    │       └── NotConnected        nothing was even sent
    ├── OutcomeUnknown              it may have happened: look it up, do not repeat
    ├── UnreadableAnswer            the answer has not the documented shape
    ├── RateLimited                 wait `retry_after` seconds
    │   └── TooManyAtOnce
    ├── TokenDead                   fetch a new token once, then once more the call
    ├── CredentialWrong             stop the app, call operations
    ├── NetworkNotTrusted           the address we call from changed
    ├── NotPermitted                the app or the member may not do this
    ├── RelationGone                customer or member is no longer there
    ├── WelcomeRefused
    │   ├── WelcomeExpired · WelcomeTaken · WelcomeBeingSent · WelcomeAwaitsConsent
    ├── MassSendRefused
    │   ├── MassSendDispatching · NobodyToSend · MassSendCancelled · ReminderLimit
    ├── MomentRefused
    │   └── MomentBusy
    ├── MediaRefused
    │   └── MediaExpired
    ├── ContactWayRefused
    ├── TagRefused
    │   └── TagNameTaken
    ├── TransferRefused
    ├── GroupRefused
    ├── WordingRefused
    ├── MessageRefused
    ├── SignInRefused
    │   └── Outsider
    ├── PageRefused
    ├── ServiceChatRefused
    │   ├── ServiceWindowClosed · ServiceTokenExpired · ServiceStateWrong
    ├── ArchiveRefused
    │   └── ArchiveBatchTooLarge
    ├── BadRequest                  our mistake
    └── UnknownRefusal              a number we have never read about

Each docstring is the message. An error carries the call's name, the number and, where WeCom gave
one, the hint id its support asks for. It never carries the rest of WeCom's text, which holds
addresses and links, nor anything of the request, which holds the token.
"""

from inspect import cleandoc


class WeComError(Exception):
    """WeCom did not do what it was asked."""

    retry_after: float | None = None
    """Seconds after which the same call may succeed; None where waiting does not help."""

    def __init__(
        self, *, call: str = "", errcode: int | None = None, hint: str = "", reason: str = ""
    ) -> None:
        self.call = call
        self.errcode = errcode
        self.hint = hint
        self.reason = reason
        super().__init__(call, errcode, hint, reason)

    def __str__(self) -> str:
        facts = (
            ("call", self.call),
            ("errcode", self.errcode),
            ("hint", self.hint),
            ("reason", self.reason),
        )
        known = " ".join(f"{name}={value}" for name, value in facts if value not in ("", None))
        sentence = " ".join(cleandoc(type(self).__doc__ or "").split())
        return f"{sentence} ({known})" if known else sentence

    def __repr__(self) -> str:
        return f"<{type(self).__name__} call={self.call!r} errcode={self.errcode}>"


class Busy(WeComError):
    """WeCom is busy; try again with backoff, three times at most."""

    retry_after = 1.0


class Unreachable(Busy):
    """No readable answer came from WeCom; try again with backoff."""


class NotConnected(Unreachable):
    """No connection to WeCom could be opened and nothing was sent; try again with backoff."""


class OutcomeUnknown(WeComError):
    """The request may have taken effect but no clear answer came; look it up, never repeat it."""


class UnreadableAnswer(WeComError):
    """WeCom answered in a shape the documentation does not describe; report it to engineering."""


class RateLimited(WeComError):
    """WeCom asked us to slow down; leave this call alone for `retry_after` seconds."""

    # The shortest block WeCom imposes is a minute; an hourly block shows as the next probe failing.
    retry_after = 60.0


class TooManyAtOnce(RateLimited):
    """Too many calls ran at the same moment; wait `retry_after` seconds and run fewer together."""

    retry_after = 2.0


class TokenDead(WeComError):
    """The access token stopped working even after a fresh one was fetched; alert operations."""


class CredentialWrong(WeComError):
    """WeCom does not accept this app's credentials, or the app is disabled; stop and alert."""


class NetworkNotTrusted(WeComError):
    """Our outgoing address is not on the app's trusted list; have an administrator add it."""

    address = ""
    """The address WeCom saw us call from; empty where it did not say."""


class NotPermitted(WeComError):
    """The app or the member may not use this call; show it to an administrator, do not retry."""


class RelationGone(WeComError):
    """The member and the customer are no longer connected; refresh the relation, drop the task."""


class WelcomeRefused(WeComError):
    """The welcome message was refused; correct it or drop it."""


class WelcomeExpired(WelcomeRefused):
    """The welcome code is older than 20 seconds or invalid; drop the welcome."""


class WelcomeTaken(WelcomeRefused):
    """The welcome was already delivered or the chat has begun; drop the welcome."""


class WelcomeBeingSent(WelcomeRefused):
    """Another app is sending this welcome; try again while the 20 seconds last."""

    retry_after = 1.0


class WelcomeAwaitsConsent(WelcomeRefused):
    """The customer has not agreed to archiving yet; wait for the agreement event."""


class MassSendRefused(WeComError):
    """The mass send was refused; correct the task before sending it again."""


class MassSendDispatching(MassSendRefused):
    """The mass send is still being handed out; ask again in a minute or more."""

    retry_after = 60.0


class NobodyToSend(MassSendRefused):
    """No customer of this mass send can receive it; the task is over."""


class MassSendCancelled(MassSendRefused):
    """The mass send was cancelled; the task is over."""


class ReminderLimit(MassSendRefused):
    """The member was reminded three times today; remind again tomorrow."""

    retry_after = 86_400.0


class MomentRefused(WeComError):
    """The moment was refused; correct the task before sending it again."""


class MomentBusy(MomentRefused):
    """Too many moment tasks are being prepared; ask again in a minute or more."""

    retry_after = 60.0


class MediaRefused(WeComError):
    """The file or attachment is not acceptable; check type, size and number before calling."""


class MediaExpired(MediaRefused):
    """The media id is invalid or older than three days; upload the file again, once."""


class ContactWayRefused(WeComError):
    """The contact QR code or join link was refused; correct its members or free some quota."""


class TagRefused(WeComError):
    """The tag does not exist or the tag quota is used up; refresh the tags before trying again."""


class TagNameTaken(TagRefused):
    """A tag of this name exists; use that one."""


class TransferRefused(WeComError):
    """The customer cannot be handed over; show it to the manager, do not retry."""


class GroupRefused(WeComError):
    """The customer group call was refused; narrow the owners or check the group."""


class WordingRefused(WeComError):
    """WeCom's own wording or album rules refused this; send it to the compliance queue."""


class MessageRefused(WeComError):
    """The app message was refused; check the recipients and shorten the text."""


class SignInRefused(WeComError):
    """The sign-in code is invalid, used or expired; start the sign-in again."""


class Outsider(SignInRefused):
    """The person who signed in is not a member of this company; refuse the sign-in."""


class PageRefused(WeComError):
    """The page signature or its ticket is not accepted; check ticket kind, page URL and domain."""


class ServiceChatRefused(WeComError):
    """The customer service (微信客服) call was refused; check account and servicer."""


class ServiceWindowClosed(ServiceChatRefused):
    """The 48 hours or the five messages of this customer are used up; hand over to a person."""


class ServiceTokenExpired(ServiceChatRefused):
    """The token of the bell is too old; pull with the cursor alone."""


class ServiceStateWrong(ServiceChatRefused):
    """The conversation is in another state; read the state again before acting."""


class ArchiveRefused(WeComError):
    """The conversation archive is off, expired or refused the request; alert operations."""


class ArchiveBatchTooLarge(ArchiveRefused):
    """The archive answer would be too large; ask for half as many."""


class BadRequest(WeComError):
    """The request was malformed; this is a defect of ours, do not retry."""


class UnknownRefusal(WeComError):
    """WeCom refused with a number we do not know; do not retry, look it up."""

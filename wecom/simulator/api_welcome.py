"""The one automatic greeting of a new customer."""

from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call
from wecom.simulator.attachments import checked_content
from wecom.simulator.platform import WELCOME_LIFE
from wecom.simulator.state import pair


async def send_welcome_msg(call: Call) -> dict[str, Any]:
    """Greet a new customer: once, within twenty seconds, before anybody has spoken.

    Where the archive asks for consent nothing may be sent before the customer has given it.
    """
    if not call.text("welcome_code"):
        raise ApiError(41049)
    welcome = call.world.welcome_codes.get(call.text("welcome_code"))
    if welcome is None or call.now() - welcome.issued_at > WELCOME_LIFE:
        raise ApiError(41050)
    chat = call.world.chat(welcome.userid, welcome.external_userid)
    if welcome.used or (chat and chat[-1].at >= welcome.issued_at):
        raise ApiError(41051)
    follow = call.world.follows[pair(welcome.userid, welcome.external_userid)]
    if call.world.settings.ask_consent and follow.consent is not True:
        raise ApiError(41053)
    if call.platform.faults.spend_welcome_race():
        raise ApiError(41096)
    text, attachments = checked_content(call)
    welcome.used = True
    call.platform.put_bubbles(welcome.userid, welcome.external_userid, text, attachments, "welcome")
    return {}


POSTS: dict[str, Action] = {"externalcontact/send_welcome_msg": send_welcome_msg}

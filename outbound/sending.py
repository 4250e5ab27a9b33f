"""Takes cleared words to the platform; nothing else in the product can (see the import contract).

Every function asks for `Cleared`: the row of what is said was committed before the call.
"""

from collections.abc import Sequence

from outbound.check import Cleared
from wecom.client import WeComClient
from wecom.mass_sends import MassSend, MassSendCreated
from wecom.service_messages import ServiceText
from wecom.to_customers import ToCustomers


class NotOneText(ValueError):
    """A task carries one text; these clearances have several."""


async def hand_task(
    wecom: WeComClient, sender: str, contacts: Sequence[str], cleared: Sequence[Cleared]
) -> MassSendCreated:
    """Hand an RM the task to send this to these customers, each of them cleared for it."""
    texts = {one.text for one in cleared}
    if len(texts) != 1 or len(cleared) != len(contacts):
        raise NotOneText(NotOneText.__doc__)
    return await ToCustomers(wecom).mass_send(MassSend(sender, tuple(contacts), texts.pop()))


async def welcome(wecom: WeComClient, code: str, cleared: Cleared) -> None:
    """Welcome a new customer with these words."""
    await ToCustomers(wecom).welcome(code, cleared.text)


async def answer(
    wecom: WeComClient, open_kfid: str, external_userid: str, cleared: Cleared, msgid: str
) -> None:
    """Say this in 微信客服; the same `msgid` is sent once."""
    text = ServiceText(cleared.text)
    await ToCustomers(wecom).answer(open_kfid, external_userid, text, msgid)


async def answer_event(wecom: WeComClient, code: str, cleared: Cleared, msgid: str) -> None:
    """Say this to whoever has just entered 微信客服."""
    await ToCustomers(wecom).answer_event(code, ServiceText(cleared.text), msgid)

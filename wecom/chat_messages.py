"""What `sendChatMessage` of the JS-SDK puts into the chat beside which a page stands.

The page calls it, after a person pressed: these are the objects it passes on, one for each bubble.
"""

from wecom.attachments import LINK_TITLE, MINI_PROGRAM_TITLE, MediaKind, Payload
from wecom.limits import present, within


def text(words: str) -> Payload:
    """A text."""
    present("chat text", words)
    return {"msgtype": "text", "enterChat": True, "text": {"content": words}}


def media(kind: MediaKind, media_id: str) -> Payload:
    """An uploaded image, video or file."""
    present("chat media id", media_id)
    return {"msgtype": kind, "enterChat": True, kind: {"mediaid": media_id}}


def news(link: str, title: str, description: str = "", picture_url: str = "") -> Payload:
    """A link card."""
    within("link", link, 2048)
    within("link title", title, LINK_TITLE)
    card = {"link": link, "title": title, "desc": description, "imgUrl": picture_url}
    return {"msgtype": "news", "enterChat": True, "news": card}


def mini_program(app_id: str, title: str, picture_url: str, page: str) -> Payload:
    """A mini-program card; its page ends in `.html`, as the JS-SDK wants it."""
    within("mini program title", title, MINI_PROGRAM_TITLE)
    path, mark, query = page.partition("?")
    whole = path if path.endswith(".html") else f"{path}.html"
    card = {"appid": app_id, "title": title, "imgUrl": picture_url, "page": whole + mark + query}
    return {"msgtype": "miniprogram", "enterChat": True, "miniprogram": card}

"""Codes into groups (加入群聊) and the greetings owners may switch on (入群欢迎语)."""

import secrets
from typing import Any

from wecom.simulator.api_call import Action, ApiError, Call
from wecom.simulator.attachments import checked_content
from wecom.simulator.groups import GroupWelcome, JoinWay

GROUPS, STATE, REMARK, ROOM_NAME = 5, 30, 30, 40
TEMPLATES, TEXT_BYTES = 100, 3000


async def add_join_way(call: Call) -> dict[str, Any]:
    """A new code into one to five groups."""
    if call.number("scene") not in (1, 2):
        raise ApiError(40058)
    made = len(call.world.join_ways) + len(call.world.contact_ways)
    if made >= call.world.settings.contact_ways:
        raise ApiError(41045)
    way = JoinWay(secrets.token_hex(16), call.now(), call.number("scene"), [])
    _fill(call, way)
    call.world.join_ways[way.config_id] = way
    call.platform.live.announce("ways")
    return {"config_id": way.config_id}


async def get_join_way(call: Call) -> dict[str, Any]:
    """A code as it was configured, with its picture's address."""
    way = _way(call)
    origin = call.request.url.origin()
    return {
        "join_way": {
            "config_id": way.config_id,
            "scene": way.scene,
            "remark": way.remark,
            "auto_create_room": way.auto_create_room,
            "room_base_name": way.room_base_name,
            "room_base_id": way.room_base_id,
            "chat_id_list": way.chat_ids,
            "qr_code": f"{origin}/code/{way.config_id}",
            "state": way.state,
        }
    }


async def update_join_way(call: Call) -> dict[str, Any]:
    """Change the whole configuration."""
    _fill(call, _way(call))
    return {}


async def del_join_way(call: Call) -> dict[str, Any]:
    """The code leads nowhere from now on."""
    del call.world.join_ways[_way(call).config_id]
    call.platform.live.announce("ways")
    return {}


async def add_template(call: Call) -> dict[str, Any]:
    """A greeting; it says nothing before an owner switches it on in his group."""
    if len(call.world.group_welcomes) >= TEMPLATES:
        raise ApiError(45009)
    text, attachment = _content(call)
    template = GroupWelcome("msg" + secrets.token_urlsafe(24), text, attachment)
    template.notify = call.number("notify", 1)
    call.world.group_welcomes[template.template_id] = template
    call.platform.live.announce("ways")
    return {"template_id": template.template_id}


async def edit_template(call: Call) -> dict[str, Any]:
    """Another text or attachment."""
    template = _template(call)
    template.text, template.attachment = _content(call)
    return {}


async def get_template(call: Call) -> dict[str, Any]:
    """A greeting as it was made."""
    template = _template(call)
    answer: dict[str, Any] = {"text": {"content": template.text}}
    if template.attachment:
        kind = template.attachment["msgtype"]
        answer[kind] = template.attachment[kind]
    return answer


async def del_template(call: Call) -> dict[str, Any]:
    """The greeting is gone, from groups that used it too."""
    template = _template(call)
    del call.world.group_welcomes[template.template_id]
    for group in call.world.groups.values():
        if group.welcome == template.template_id:
            group.welcome = ""
    return {}


def _content(call: Call) -> tuple[str, dict[str, Any] | None]:
    kinds = [
        kind for kind in ("image", "link", "miniprogram", "file", "video") if call.body.get(kind)
    ]
    if len(kinds) > 1:
        raise ApiError(41064)
    call.body["attachments"] = [{"msgtype": kind, kind: call.body[kind]} for kind in kinds]
    text, attachments = checked_content(call)
    if len(text.encode()) > TEXT_BYTES:
        raise ApiError(45002)
    return text, attachments[0] if attachments else None


def _template(call: Call) -> GroupWelcome:
    template = call.world.group_welcomes.get(call.text("template_id"))
    if template is None:
        raise ApiError(40058)
    return template


def _way(call: Call) -> JoinWay:
    way = call.world.join_ways.get(call.text("config_id"))
    if way is None:
        raise ApiError(41044)
    return way


def _fill(call: Call, way: JoinWay) -> None:
    chat_ids = call.texts("chat_id_list", most=10**6)
    if len(chat_ids) > GROUPS:
        raise ApiError(41091)
    groups = [call.world.groups.get(chat_id) for chat_id in chat_ids]
    if not groups or not all(group and group.alive for group in groups):
        raise ApiError(40050)
    texts = {"state": STATE, "remark": REMARK, "room_base_name": ROOM_NAME}
    if any(len(call.text(name)) > most for name, most in texts.items()):
        raise ApiError(40058)
    way.chat_ids = chat_ids
    way.state, way.remark = call.text("state"), call.text("remark")
    way.room_base_name = call.text("room_base_name")
    way.room_base_id = call.number("room_base_id", way.room_base_id)
    way.auto_create_room = call.number("auto_create_room", 1)


POSTS: dict[str, Action] = {
    "externalcontact/groupchat/add_join_way": add_join_way,
    "externalcontact/groupchat/get_join_way": get_join_way,
    "externalcontact/groupchat/update_join_way": update_join_way,
    "externalcontact/groupchat/del_join_way": del_join_way,
    "externalcontact/group_welcome_template/add": add_template,
    "externalcontact/group_welcome_template/edit": edit_template,
    "externalcontact/group_welcome_template/get": get_template,
    "externalcontact/group_welcome_template/del": del_template,
}

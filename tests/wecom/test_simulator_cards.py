"""Messages and template cards to members: refused, pressed, changed, recalled; files that die."""

import io
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, expect

from tests.browser import DESK
from tests.wecom.test_simulator import CORP, LI, NOON, ZHOU, Platform, a_platform
from wecom.events import CardPressed, Selection, parse

BUTTONS: dict[str, Any] = {
    "card_type": "button_interaction",
    "main_title": {"title": "客户生日提醒", "desc": "陈思远 今日生日"},
    "task_id": "birthday-20260302",
    "button_list": [
        {"text": "去祝福", "style": 1, "key": "greet"},
        {"text": "稍后处理", "style": 4, "key": "later"},
    ],
}
VOTE: dict[str, Any] = {
    "card_type": "vote_interaction",
    "main_title": {"title": "本周主推方向"},
    "task_id": "vote-9",
    "checkbox": {
        "question_key": "topic",
        "mode": 1,
        "option_list": [{"id": "fund", "text": "基金"}, {"id": "bond", "text": "债券"}],
    },
    "submit_button": {"text": "提交", "key": "submit"},
}
CHOICES: dict[str, Any] = {
    "card_type": "multiple_interaction",
    "main_title": {"title": "跟进结果"},
    "task_id": "followup-3",
    "select_list": [
        {
            "question_key": "result",
            "option_list": [{"id": "met", "text": "已面谈"}, {"id": "no", "text": "未联系上"}],
        }
    ],
    "submit_button": {"text": "提交", "key": "submit"},
}
NOTICE: dict[str, Any] = {
    "card_type": "text_notice",
    "main_title": {"title": "今日待办 3 项"},
    "card_action": {"type": 1, "url": "https://example.com/todo"},
}
NEWS: dict[str, Any] = {
    "card_type": "news_notice",
    "main_title": {"title": "市场早报"},
    "card_image": {"url": "https://example.com/a.png", "aspect_ratio": 1.3},
    "card_action": {"type": 1, "url": "https://example.com/news"},
}
MENU = {"desc": "更多", "action_list": [{"text": "不再提醒", "key": "mute"}]}


async def a_message(platform: Platform, msgtype: str, body: Any, **extra: Any) -> dict[str, Any]:
    """The app sends something to Li."""
    wish = {"touser": LI, "agentid": CORP.agent_id, "msgtype": msgtype, msgtype: body, **extra}
    return await platform.api("message/send", wish)


async def a_card(platform: Platform, card: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """The app sends a card to Li."""
    return await a_message(platform, "template_card", card, **extra)


async def changed(platform: Platform, code: str, **how: Any) -> dict[str, Any]:
    """The app changes Li's card by a response code."""
    body = {"userids": [LI], "agentid": CORP.agent_id, "response_code": code, **how}
    return await platform.api("message/update_template_card", body)


def without(card: dict[str, Any], *names: str) -> dict[str, Any]:
    """The card without these parts."""
    return {name: part for name, part in card.items() if name not in names}


@pytest.mark.parametrize("card", [BUTTONS, VOTE, CHOICES, NOTICE, NEWS])
async def test_all_five_cards_arrive(card: dict[str, Any]):
    async with a_platform() as platform:
        answer = await a_card(platform, card)
        assert answer["errcode"] == 0
        [message] = platform.world.app_messages
    assert message.body == card
    assert ("response_code" in answer) == (card not in (NOTICE, NEWS))


@pytest.mark.parametrize(
    ("card", "errcode"),
    [
        ({**BUTTONS, "card_type": "dance"}, 42031),
        (without(BUTTONS, "task_id"), 42014),
        ({**BUTTONS, "task_id": "有中文"}, 42014),
        ({**BUTTONS, "task_id": "a" * 129}, 42014),
        (without(BUTTONS, "main_title"), 42033),
        ({**BUTTONS, "button_list": []}, 42038),
        ({**BUTTONS, "button_list": [{"text": "a", "key": str(n)} for n in range(7)]}, 42038),
        ({**BUTTONS, "button_list": [{"text": "a", "key": "k"}, {"text": "b", "key": "k"}]}, 42039),
        ({**BUTTONS, "button_list": [{"text": "a", "key": "k" * 1025}]}, 42039),
        (without(VOTE, "submit_button"), 42049),
        ({**VOTE, "submit_button": {"text": "提交"}}, 42046),
        ({**VOTE, "checkbox": {"question_key": "q", "option_list": []}}, 42037),
        (
            {
                **VOTE,
                "checkbox": {
                    "question_key": "q",
                    "option_list": [{"id": str(n), "text": "a"} for n in range(21)],
                },
            },
            42037,
        ),
        ({**VOTE, "checkbox": {"option_list": [{"id": "1", "text": "a"}]}}, 42043),
        ({**CHOICES, "select_list": []}, 42047),
        (without(NOTICE, "card_action"), 42045),
        ({**NOTICE, "card_action": {"type": 1}}, 42028),
        ({**NOTICE, "card_action": {"type": 2}}, 42030),
        (without(NOTICE, "main_title"), 42033),
        ({**NOTICE, "horizontal_content_list": [{"keyname": "a"}] * 7}, 42035),
        ({**NOTICE, "horizontal_content_list": [{"value": "a"}]}, 42027),
        ({**NOTICE, "jump_list": [{"title": "a", "type": 0}] * 4}, 42042),
        ({**NOTICE, "action_menu": MENU}, 42014),
        ({**NEWS, "card_image": {"aspect_ratio": 1.3}}, 42044),
        ({**NEWS, "card_image": {"url": "https://e.com", "aspect_ratio": 3}}, 40058),
        ({**NEWS, "vertical_content_list": [{"title": "a"}] * 5}, 42036),
    ],
)
async def test_cards_the_platform_refuses(card: dict[str, Any], errcode: int):
    async with a_platform() as platform:
        assert (await a_card(platform, card))["errcode"] == errcode
        assert platform.world.app_messages == []


async def test_a_task_id_is_used_once():
    async with a_platform() as platform:
        assert (await a_card(platform, BUTTONS))["errcode"] == 0
        assert (await a_card(platform, BUTTONS))["errcode"] == 42014


async def test_a_press_reaches_the_app_and_changes_the_card_once():
    async with a_platform() as platform:
        await a_card(platform, BUTTONS)
        press = {"userid": LI, "task_id": "birthday-20260302", "key": "greet"}
        pressed = await platform.control("press_card", **press)
        event = parse(platform.receiver.xml[-1])
        assert isinstance(event, CardPressed)
        assert (event.userid, event.button, event.task_id) == (LI, "greet", "birthday-20260302")
        assert (event.agent_id, event.card_type) == (str(CORP.agent_id), "button_interaction")
        assert event.response_code == pressed["response_code"]

        done = {"button": {"replace_name": "已祝福"}}
        assert (await changed(platform, event.response_code, **done))["errcode"] == 0
        assert (await changed(platform, event.response_code, **done))["errcode"] == 42016
        assert (await platform.control("press_card", **press))["status"] == 409


async def test_choices_come_with_the_press():
    async with a_platform() as platform:
        await a_card(platform, VOTE)
        await a_card(platform, CHOICES)
        press = {"userid": LI, "key": "submit"}
        both = {"topic": ["fund", "bond"]}
        await platform.control("press_card", **press, task_id="vote-9", selections=both)
        voted = parse(platform.receiver.xml[-1])
        one = {"result": ["met"]}
        await platform.control("press_card", **press, task_id="followup-3", selections=one)
        chosen = parse(platform.receiver.xml[-1])
        two = {"result": ["met", "no"]}
        refused = await platform.control(
            "press_card", **press, task_id="followup-3", selections=two
        )
    assert isinstance(voted, CardPressed)
    assert isinstance(chosen, CardPressed)
    assert voted.selections == (Selection("topic", ("fund", "bond")),)
    assert chosen.selections == (Selection("result", ("met",)),)
    assert refused["status"] == 409


async def test_the_menu_in_the_corner_has_an_event_of_its_own():
    async with a_platform() as platform:
        answer = await a_card(platform, {**NOTICE, "action_menu": MENU, "task_id": "todo-1"})
        press = {"userid": LI, "task_id": "todo-1", "key": "mute", "menu": True}
        assert (await platform.control("press_card", **press))["ok"]
    xml = platform.receiver.xml[-1]
    assert "response_code" in answer
    assert "<Event><![CDATA[template_card_menu_event]]></Event>" in xml
    assert "SelectedItems" not in xml


async def test_the_code_of_the_sending_lives_seventy_two_hours():
    async with a_platform() as platform:
        code = (await a_card(platform, BUTTONS, touser=f"{LI}|{ZHOU}"))["response_code"]
        new = {"template_card": {**NOTICE, "main_title": {"title": "已处理"}}}
        platform.now += timedelta(hours=72, seconds=1)
        assert (await changed(platform, code, **new))["errcode"] == 42016
        platform.now -= timedelta(seconds=1)
        body = {"userids": [LI, "Nobody"]}
        answer = await changed(platform, code, **new, **body)
        shown = await platform.get("play/view", member=LI)
        other = await platform.get("play/view", member=ZHOU)
    assert (answer["errcode"], answer["invaliduser"]) == (0, ["Nobody"])
    assert shown["notices"][0]["title"] == "已处理"
    assert other["notices"][0]["title"] == "客户生日提醒"


async def test_a_recalled_message_is_gone():
    async with a_platform() as platform:
        sent = await a_message(platform, "text", {"content": "请忽略"})
        assert (await platform.api("message/recall", {"msgid": sent["msgid"]}))["errcode"] == 0
        assert platform.world.app_messages == []
        late = await a_message(platform, "text", {"content": "昨天的事"})
        platform.now += timedelta(hours=25)
        assert (await platform.api("message/recall", {"msgid": late["msgid"]}))["errcode"] == 42052


async def test_receivers_are_checked_and_lower_cased():
    async with a_platform() as platform:
        text = {"content": "早上好"}
        part = await a_message(platform, "text", text, touser=f"LIMIN|NoBody|{ZHOU}", toparty="7")
        nobody = await a_message(platform, "text", text, touser="NoBody")
        empty = await a_message(platform, "text", text, touser="")
        everybody = await a_message(platform, "text", {"content": "全员"}, touser="@all")
        reached = [message.userid for message in platform.world.app_messages]
    assert (part["errcode"], part["invaliduser"], part["invalidparty"]) == (0, "nobody", "7")
    assert (nobody["errcode"], empty["errcode"], everybody["errcode"]) == (81013, 82001, 0)
    assert reached == [LI, ZHOU, LI, ZHOU]


@pytest.mark.parametrize(
    ("msgtype", "body", "errcode"),
    [
        ("text", {"content": ""}, 44004),
        ("markdown", {"content": "长" * 683}, 45002),
        ("textcard", {"title": "长" * 43, "description": "a", "url": "https://e.com"}, 45002),
        ("textcard", {"title": "a", "description": "b"}, 40058),
        ("news", {"articles": [{"title": "a"}] * 9}, 45008),
        ("image", {"media_id": "gone"}, 40007),
        ("dance", {}, 40008),
    ],
)
async def test_messages_the_platform_refuses(msgtype: str, body: Any, errcode: int):
    async with a_platform() as platform:
        assert (await a_message(platform, msgtype, body))["errcode"] == errcode


async def test_the_same_message_twice_and_a_flood_are_dropped_without_a_word():
    async with a_platform() as platform:
        once = {"enable_duplicate_check": 1, "duplicate_check_interval": 60}
        for _ in range(2):
            assert (await a_message(platform, "text", {"content": "a"}, **once))["errcode"] == 0
        assert len(platform.world.app_messages) == 1
        for number in range(40):
            text = {"content": str(number)}
            assert (await a_message(platform, "text", text))["errcode"] == 0
        assert len(platform.world.app_messages) == 30


async def uploaded(platform: Platform, path: str, content: bytes, **query: str) -> dict[str, Any]:
    """Send a file and read the answer."""
    form = aiohttp.FormData()
    form.add_field("media", io.BytesIO(content), filename="a.png", content_type="image/png")
    query["access_token"] = await platform.token()
    url = f"{platform.base}/cgi-bin/media/{path}"
    async with platform.http.post(url, params=query, data=form) as response:
        return dict(await response.json())


def a_png(width: int, height: int) -> bytes:
    """The head of a picture of this size."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + size + b"\x08\x02\x00\x00\x00"


def a_film(seconds: int) -> bytes:
    """The head of a film of this length."""
    header = b"mvhd" + bytes(12) + (1000).to_bytes(4, "big") + (seconds * 1000).to_bytes(4, "big")
    return b"\x00\x00\x00\x18ftypmp42" + bytes(12) + header + bytes(80)


async def test_a_file_for_a_message_dies_after_three_days():
    async with a_platform() as platform:
        media = await uploaded(platform, "upload", a_png(2, 2), type="image")
        body = {"media_id": media["media_id"]}
        assert (await a_message(platform, "image", body))["errcode"] == 0
        assert (await a_message(platform, "file", body))["errcode"] == 40007
        platform.now += timedelta(days=3, seconds=1)
        assert (await a_message(platform, "image", body))["errcode"] == 40007
    assert media["created_at"] == str(int(NOON.timestamp()))


@pytest.mark.parametrize(
    ("content", "query", "errcode"),
    [
        (a_png(1440, 1080), {"media_type": "image", "attachment_type": "1"}, 0),
        (a_png(1441, 1080), {"media_type": "image", "attachment_type": "1"}, 41081),
        (b"plain text", {"media_type": "image", "attachment_type": "1"}, 40005),
        (a_film(30), {"media_type": "video", "attachment_type": "1"}, 0),
        (a_film(31), {"media_type": "video", "attachment_type": "1"}, 41082),
        (b"plain text", {"media_type": "video", "attachment_type": "1"}, 41090),
        (a_film(3), {"media_type": "video", "attachment_type": "2"}, 41072),
        (a_png(2, 2), {"media_type": "image", "attachment_type": "3"}, 41072),
        (a_png(2, 2), {"media_type": "dance", "attachment_type": "1"}, 40004),
        (a_png(2, 2) * 400_000, {"media_type": "image", "attachment_type": "1"}, 41080),
    ],
)
async def test_attachments_are_measured(content: bytes, query: dict[str, str], errcode: int):
    async with a_platform() as platform:
        answer = await uploaded(platform, "upload_attachment", content, **query)
    assert answer["errcode"] == errcode
    assert errcode or isinstance(answer["created_at"], int)


async def test_a_member_presses_cards_on_the_desktop(chromium: Browser):
    async with a_platform() as platform:
        await a_card(platform, BUTTONS)
        await a_card(platform, VOTE)
        await a_card(platform, {**NOTICE, "action_menu": MENU, "task_id": "todo-1"})
        page = await chromium.new_page(viewport=DESK)
        await page.goto(f"{platform.base}/play?member={LI}")
        await page.locator('.rail [data-tab="notices"]').click()
        await page.get_by_role("button", name="去祝福").click()
        await expect(page.locator("#toast")).to_contain_text("已提交")
        await page.get_by_label("债券").check()
        await page.get_by_role("button", name="提交").click()
        await page.get_by_label("更多操作").click()
        await page.get_by_role("button", name="不再提醒").click()
        await platform.control("settle")
        pressed = [parse(xml) for xml in platform.receiver.xml]
        greeted, voted = pressed[0], pressed[1]
        assert isinstance(greeted, CardPressed)
        assert isinstance(voted, CardPressed)
        await changed(platform, greeted.response_code, button={"replace_name": "已祝福"})
        await expect(page.locator(".tcard-done")).to_have_text("已祝福")
        await expect(page.get_by_role("button", name="去祝福")).to_have_count(0)
    assert voted.selections == (Selection("topic", ("bond",)),)
    assert pressed[2].kind == "template_card_menu_event"

"""WeCom's limits, said before anything is sent."""

from collections.abc import Awaitable, Callable

import pytest

from tests.wecom.wire import Platform
from wecom.attachments import File, Image, Link, MiniProgram, Video
from wecom.cards import (
    Action,
    Button,
    ButtonCard,
    ChoiceCard,
    Fact,
    Frame,
    Jump,
    NewsNotice,
    Option,
    Page,
    Select,
    TemplateCard,
    TextNotice,
    Title,
    VoteCard,
    replacing,
)
from wecom.client import WeComClient
from wecom.contact_ways import ContactWay
from wecom.contacts import Remark
from wecom.group_welcomes import GroupWelcome
from wecom.join_ways import JoinWay
from wecom.mass_sends import MassSend
from wecom.messages import Markdown, Text, TextCard
from wecom.moments import Moment, MomentLink
from wecom.rules import Rule
from wecom.service_messages import Menu, ServiceState, ServiceText
from wecom.to_customers import ToCustomers

Act = Callable[[WeComClient], Awaitable[object]]
PAGE = Page("https://bank.example/tasks")
TAKE = Button("接手", "take")
MENU = Frame(menu=(Action("稍后提醒", "later"),))
OPTIONS = tuple(Option(str(number), f"第 {number} 项") for number in range(30))


class TestLimits:
    @pytest.mark.parametrize(
        ("write", "said"),
        [
            (lambda: Text("字" * 683), "text takes 1 to 2048 bytes, got 2049"),
            (lambda: Text(""), "text takes 1 to 2048 bytes, got 0"),
            (lambda: TextCard("字" * 43, "d", "u"), "card title takes 1 to 128 bytes, got 129"),
            (lambda: TextCard("t", "字" * 171, "u"), "description takes 1 to 512 bytes, got 513"),
            (lambda: Link("t" * 129, "u"), "link title takes 1 to 128 bytes, got 129"),
            (lambda: Link("t", "u" * 2049), "link url takes 1 to 2048 bytes, got 2049"),
            (lambda: Link("t", "u", "d" * 513), "description takes 0 to 512 bytes, got 513"),
            (lambda: MiniProgram("t" * 65, "m", "a", "p"), "title takes 1 to 64 bytes, got 65"),
            (lambda: MiniProgram("t", "m", "", "p"), "app_id is empty"),
            (lambda: Image(""), "image media_id is empty"),
            (lambda: File(""), "file media_id is empty"),
            (lambda: MassSend("z", ("w",), "字" * 1334), "text takes 0 to 4000 bytes, got 4002"),
            (lambda: MassSend("z", ("w",), ""), "needs a text or an attachment"),
            (lambda: MassSend("", ("w",), "x"), "sender is empty"),
            (lambda: MassSend("z", (), "x"), "1 to 10000 customers, got 0"),
            (lambda: MassSend("z", ("w",) * 10001, "x"), "1 to 10000 customers, got 10001"),
            (
                lambda: MassSend("z", ("w",), "x", (Image("m"),) * 10),
                "at most 9 attachments, got 10",
            ),
            (lambda: MassSend("z", ("w",), "x", chat_ids=("wr",)), "make one for each"),
            (lambda: MassSend("z", (), "x", chat_ids=("wr",) * 2001), "1 to 2000 entries"),
            (lambda: Markdown("字" * 683), "markdown takes 1 to 2048 bytes, got 2049"),
            (lambda: ContactWay((), "s"), "needs a member or a department"),
            (lambda: ContactWay(("z",), "字" * 31), "state takes 0 to 30 characters, got 31"),
            (lambda: ContactWay(("z",) * 101, "s"), "members takes 0 to 100 entries, got 101"),
            (lambda: JoinWay(()), "groups takes 1 to 5 entries, got 0"),
            (lambda: JoinWay(("wr",) * 6), "groups takes 1 to 5 entries, got 6"),
            (lambda: Remark("z", "wm"), "changes at least one field"),
            (lambda: Remark("z", "wm", "字" * 21), "remark takes 0 to 20 characters, got 21"),
            (lambda: GroupWelcome("字" * 1001), "text takes 0 to 3000 bytes, got 3003"),
            (lambda: GroupWelcome(""), "needs a text or an attachment"),
            (lambda: Moment(""), "needs a text or an attachment"),
            (lambda: Moment("字" * 1334), "text takes 0 to 4000 bytes, got 4002"),
            (lambda: Moment("a" * 2001), "text takes 0 to 2000 characters, got 2001"),
            (lambda: Moment("", (Image("m"),) * 10), "attachments takes 0 to 9 entries, got 10"),
            (lambda: Moment("", (Video("m"),) * 2), "attachments takes 0 to 1 entries, got 2"),
            (lambda: MomentLink("字" * 22, "u", "m"), "title takes 1 to 64 bytes, got 66"),
            (lambda: Rule("字" * 21, ("w",), ("z",)), "name takes 1 to 20 characters, got 21"),
            (lambda: Rule("n", (), ("z",)), "needs a word or a pattern"),
            (lambda: Rule("n", ("w",)), "needs a member or a department"),
            (lambda: Rule("n", ("字" * 33,), ("z",)), "word takes 1 to 32 characters, got 33"),
            (lambda: Rule("n", ("w", "w"), ("z",)), "names one entry twice"),
            (lambda: ServiceText("字" * 683), "text takes 1 to 2048 bytes, got 2049"),
            (lambda: Menu(()), "menu lines takes 1 to 10 entries, got 0"),
            (lambda: TextNotice(Title(""), PAGE), "needs a title or a subtitle"),
            (lambda: TextNotice(Title("t"), PAGE, MENU), "task_id has 1 to 128"),
            (lambda: Page(), "leads to a page or to a mini program"),
            (lambda: NewsNotice(Title("t"), PAGE, "p", aspect=1.2), "aspect takes 1.3 to 2.25"),
            (lambda: ButtonCard(Title("t"), (), "1"), "buttons takes 1 to 6 entries, got 0"),
            (lambda: ButtonCard(Title("t"), (TAKE,) * 2, "1"), "names one entry twice"),
            (lambda: ButtonCard(Title("t"), (TAKE,), "任务"), "task_id has 1 to 128"),
            (lambda: Button("t", "k" * 1025), "button key takes 1 to 1024 bytes, got 1025"),
            (lambda: Button("t", "k", 5), "style is 1 to 4, got 5"),
            (lambda: Option("i" * 129, "t"), "option id takes 1 to 128 bytes, got 129"),
            (
                lambda: VoteCard(Title("t"), "q", OPTIONS[:21], "1"),
                "options takes 1 to 20 entries, got 21",
            ),
            (lambda: Select("q", "t", OPTIONS[:11]), "options takes 1 to 10 entries, got 11"),
            (lambda: ChoiceCard(Title("t"), (), "1"), "selects takes 1 to 3 entries, got 0"),
            (lambda: Frame(jumps=(Jump("j", PAGE),) * 4), "jumps takes 0 to 3 entries, got 4"),
            (lambda: Frame(facts=(Fact("a", "b"),) * 7), "facts takes 0 to 6 entries, got 7"),
        ],
    )
    def test_a_limit_is_said_with_what_was_given(
        self, write: Callable[[], object], said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            write()

    def test_what_just_fits_is_taken(self) -> None:
        Text("字" * 682 + "ab")
        MassSend("z", ("w",) * 10000, "字" * 1333 + "a", (Image("m"),) * 9)
        MassSend("z", ("w",), "", (Image("m"),))


class TestCallsThatAreNotMade:
    @pytest.mark.parametrize(
        ("act", "said"),
        [
            (lambda c: c.messages.send([], Text("x")), "members takes 1 to 1000 entries"),
            (lambda c: c.messages.send(["@all"], Text("x")), "names members one by one"),
            (lambda c: c.messages.send(["a|b"], Text("x")), "names members one by one"),
            (lambda c: c.messages.update_card(["z"], "code"), "one button text or by another"),
            (lambda c: c.groups.listed(["z"] * 101), "owners takes 0 to 100 entries"),
            (lambda c: c.tags.create(["a"]), "by its id or by its name"),
            (lambda c: c.tags.create(["a", "a"], group_name="g"), "names one entry twice"),
            (lambda c: c.tags.create(["字" * 31], group_name="g"), "1 to 30 characters"),
            (lambda c: c.tags.mark("z", "wm"), "nothing to mark"),
            (lambda c: c.tags.delete(), "nothing to delete"),
            (lambda c: c.transfers.request("a", "a", ["wm"]), "to another member"),
            (lambda c: c.transfers.request("a", "b", ["wm"] * 101), "1 to 100 entries"),
            (lambda c: c.transfers.request("a", "b", ["wm"], "字" * 201), "200 characters"),
            (lambda c: c.links.create("n", []), "needs a member"),
            (lambda c: c.service.contact_way("wk", "大厅"), "at most 32 of"),
            (lambda c: c.service.sync("wk", "", limit=1001), "limit takes 1 to 1000"),
            (lambda c: ToCustomers(c).answer("wk", "wm", ServiceText("x"), "编号"), "1 to 32 of"),
            (lambda c: c.service.move("wk", "wm", ServiceState.SERVICER), "name a servicer"),
            (lambda c: c.service.move("wk", "wm", ServiceState.ENDED, "z"), "name a servicer"),
            (lambda c: c.archive_consent.single([]), "pairs takes 1 to 100 entries"),
            (lambda c: c.media.upload_image("a.png", b"x" * (2 << 20) + b"x"), "bytes, got"),
        ],
    )
    async def test_what_wecom_would_refuse_is_refused_here(
        self, client: WeComClient, platform: Platform, act: Act, said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            await act(client)
        assert platform.seen == []


class TestCards:
    def test_a_card_with_everything_is_as_the_platform_takes_it(self) -> None:
        card = ButtonCard(
            Title("客户待接手", "今天 10:00"),
            (TAKE, Button("转交", "pass", 4)),
            "handover-1",
            Frame(
                source="江南银行",
                facts=(
                    Fact("客户", "陈女士"),
                    Fact("产品", "稳健一号", url="https://bank.example/p"),
                ),
                jumps=(Jump("查看对话", PAGE),),
                quote="这款能提前赎回吗？",
                subtitle="置信度低于阈值",
                menu_hint="更多",
                menu=(Action("稍后提醒", "later"),),
            ),
            Select("reason", "原因", (Option("1", "产品"), Option("2", "投诉", checked=True))),
            PAGE,
        )
        assert card.payload() == {
            "msgtype": "template_card",
            "template_card": {
                "card_type": "button_interaction",
                "main_title": {"title": "客户待接手", "desc": "今天 10:00"},
                "source": {"desc": "江南银行"},
                "horizontal_content_list": [
                    {"keyname": "客户", "value": "陈女士"},
                    {
                        "type": 1,
                        "keyname": "产品",
                        "value": "稳健一号",
                        "url": "https://bank.example/p",
                    },
                ],
                "jump_list": [
                    {"title": "查看对话", "type": 1, "url": "https://bank.example/tasks"}
                ],
                "quote_area": {"type": 0, "quote_text": "这款能提前赎回吗？"},
                "sub_title_text": "置信度低于阈值",
                "action_menu": {
                    "desc": "更多",
                    "action_list": [{"text": "稍后提醒", "key": "later"}],
                },
                "button_list": [
                    {"text": "接手", "style": 1, "key": "take"},
                    {"text": "转交", "style": 4, "key": "pass"},
                ],
                "button_selection": {
                    "question_key": "reason",
                    "title": "原因",
                    "selected_id": "2",
                    "option_list": [{"id": "1", "text": "产品"}, {"id": "2", "text": "投诉"}],
                },
                "card_action": {"type": 1, "url": "https://bank.example/tasks"},
                "task_id": "handover-1",
            },
        }
        assert "task_id" not in replacing(card)

    def test_the_other_kinds_name_themselves(self) -> None:
        cards: dict[str, TemplateCard] = {
            "text_notice": TextNotice(Title("t"), PAGE, figure="12", figure_note="位客户"),
            "news_notice": NewsNotice(Title("t"), PAGE, "https://p", lines=(Title("a", "b"),)),
            "vote_interaction": VoteCard(Title("t"), "q", OPTIONS[:20], "1", several=True),
            "multiple_interaction": ChoiceCard(Title("t"), (Select("q", "t", OPTIONS[:10]),), "1"),
        }
        for kind, card in cards.items():
            fields = card.payload()["template_card"]
            assert isinstance(fields, dict)
            assert fields["card_type"] == kind

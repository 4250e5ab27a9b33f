"""Files that die after three days: uploaded again when their bytes are at hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.wecom.wire import Platform, refused
from wecom.attachments import File, Image, Link, Source
from wecom.client import WeComClient
from wecom.errors import MediaExpired
from wecom.group_welcomes import GroupWelcome
from wecom.mass_sends import MassSend
from wecom.media import Media
from wecom.moments import Moment, MomentLink
from wecom.to_customers import ToCustomers

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
DATA = b"%PDF-1.7 a weekly report"
CREATE = "externalcontact/add_msg_template"
WELCOME = "externalcontact/send_welcome_msg"
MOMENT = "externalcontact/add_moment_task"
TEMPLATE = "externalcontact/group_welcome_template/add"


def media_ids(body: Any) -> list[str]:
    """The media ids of a sent message."""
    return [one[one["msgtype"]].get("media_id", "") for one in body["attachments"]]


class TestUploadedAgain:
    async def test_a_dead_id_is_replaced_once_and_the_message_made_again(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[CREATE] = [refused(40007), {"msgid": "msg1"}]
        platform.replies["media/upload"] = [{"media_id": "new"}]
        attachments = (
            File("old", Source("周报.pdf", DATA)),
            Link("周报", "https://bank.example/r"),
            Image("kept"),
        )
        made = await ToCustomers(client).mass_send(MassSend("z", ("wm",), "周报", attachments))
        assert made.msgid == "msg1"
        assert media_ids(platform.last(CREATE).body) == ["new", "", "kept"]
        assert platform.last("media/upload").query["type"] == "file"
        assert (platform.count(CREATE), platform.count("media/upload")) == (2, 1)

    async def test_one_that_dies_again_is_an_error(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[WELCOME] = [refused(40007)]
        platform.replies["media/upload"] = [{"media_id": "new"}]
        picture = Image("old", Source("a.png", DATA))
        with pytest.raises(MediaExpired):
            await ToCustomers(client).welcome("CODE", "您好", (picture,))
        assert (platform.count(WELCOME), platform.count("media/upload")) == (2, 1)

    async def test_one_without_its_bytes_is_an_error_at_once(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[WELCOME] = [refused(40007)]
        with pytest.raises(MediaExpired):
            await ToCustomers(client).welcome("CODE", "您好", (Image("old"),))
        assert (platform.count(WELCOME), platform.count("media/upload")) == (1, 0)

    async def test_a_moment_takes_files_of_its_own_kind(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies[MOMENT] = [refused(40007), {"jobid": "job"}]
        platform.replies["media/upload_attachment"] = [{"media_id": "new"}]
        page = MomentLink("周报", "https://bank.example/r", "old", Source("a.png", DATA))
        assert await ToCustomers(client).moment(Moment("周报", (page,))) == "job"
        assert media_ids(platform.last(MOMENT).body) == ["new"]
        query = platform.last("media/upload_attachment").query
        assert (query["media_type"], query["attachment_type"]) == ("image", "1")

    async def test_a_group_welcome(self, client: WeComClient, platform: Platform) -> None:
        platform.replies[TEMPLATE] = [refused(40007), {"template_id": "t1"}]
        platform.replies["media/upload"] = [{"media_id": "new"}]
        welcome = GroupWelcome("欢迎", Image("old", Source("a.png", DATA)))
        assert await ToCustomers(client).group_welcome(welcome) == "t1"
        assert platform.last(TEMPLATE).body["image"] == {"media_id": "new"}


class TestKeptFresh:
    async def test_it_is_uploaded_before_its_three_days_are_over(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["media/upload"] = [{"media_id": "m1"}, {"media_id": "m2"}]
        first = await client.media.fresh(Media("file", "周报.pdf", DATA), NOW)
        assert (first.media_id, first.uploaded_at) == ("m1", NOW)
        same = await client.media.fresh(first, NOW + timedelta(days=2, hours=11))
        assert same is first
        later = NOW + timedelta(days=2, hours=12)
        renewed = await client.media.fresh(first, later)
        assert (renewed.media_id, renewed.uploaded_at) == ("m2", later)

    async def test_a_dead_id_cannot_be_fetched(
        self, client: WeComClient, platform: Platform
    ) -> None:
        platform.replies["media/get"] = [refused(40007)]
        with pytest.raises(MediaExpired):
            await client.media.get("old")
        assert platform.last("media/get").query["media_id"] == "old"

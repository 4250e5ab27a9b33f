"""What each refusal becomes, and what is never in it."""

import logging
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from tests.wecom.wire import CREATE, FAILURES, FOLLOWERS, MESSAGE, SECRET, TOKEN, Platform
from wecom import error_codes, errors
from wecom.client import WeComClient
from wecom.contact_ways import ContactWay
from wecom.error_codes import error_for
from wecom.errors import UnknownRefusal, WeComError
from wecom.to_customers import ToCustomers

WAY = ContactWay(("zhangsan",), "hz-01")
ACTS: dict[str, Callable[[WeComClient], Awaitable[object]]] = {
    "gettoken": lambda client: client.contacts.follow_users(),
    "get_jsapi_ticket": lambda client: client.tickets.page(),
    FOLLOWERS: lambda client: client.contacts.follow_users(),
    CREATE: lambda client: ToCustomers(client).mass_send(MESSAGE),
    "externalcontact/add_contact_way": lambda client: client.contact_ways.create(WAY),
    "media/upload": lambda client: client.media.upload("file", "a.pdf", b"123456"),
    "media/get": lambda client: client.media.get("m1"),
    "kf/sync_msg": lambda client: client.service.sync("wk", "", token="bell"),
}


class TestSecrets:
    @pytest.mark.parametrize(
        "reply", [*FAILURES, -1, 40014, 45009, 45033, 84061, 40001, 60020, 99999]
    )
    @pytest.mark.parametrize("path", ACTS)
    async def test_neither_token_nor_secret_is_in_any_error_or_log(
        self,
        client: WeComClient,
        platform: Platform,
        caplog: pytest.LogCaptureFixture,
        path: str,
        reply: str | int,
    ) -> None:
        caplog.set_level(logging.DEBUG, logger="aiohttp.client")
        caplog.set_level(logging.DEBUG, logger="wecom")
        told = f"bad {TOKEN}-1 {SECRET}, hint: [{TOKEN}], https://x/?access_token={TOKEN}"
        platform.replies[path] = [
            reply if isinstance(reply, str) else {"errcode": reply, "errmsg": told}
        ]
        if path == "media/get" and reply in ("page", "list"):
            return  # Anything may be a file.
        with pytest.raises(WeComError) as caught:
            await ACTS[path](client)
        standing = f"{client!r} {client.calls!r} {client.calls.standing()}"
        shown = everything_shown(caught.value) + caplog.text + standing
        assert "canary" not in shown
        assert "access_token=" not in shown

    def test_the_hint_id_is_all_that_stays_of_what_wecom_wrote(self) -> None:
        error = error_for(
            84061,
            "not external contact, hint: [1571278460_17_5fe1], from ip: 10.0.0.7, more info at "
            "https://open.work.weixin.qq.com/devtool/query?e=84061",
            call="externalcontact/get",
        )
        assert error.hint == "1571278460_17_5fe1"
        assert str(error) == (
            "The member and the customer are no longer connected; refresh the relation, drop the "
            "task. (call=externalcontact/get errcode=84061 hint=1571278460_17_5fe1)"
        )


def everything_shown(error: BaseException) -> str:
    """What the chattiest error page prints: the whole chain, with the variables of every frame."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [
        (name, value)
        for link in chain(told)
        for frame in link.stack
        # The frames of this file hold the canaries themselves.
        if frame.filename != __file__
        for name, value in (frame.locals or {}).items()
    ]
    lines = [line for link in chain(told) for line in link.format_exception_only()]
    return f"{error!r} {error} {error.args} {vars(error)} {lines} {frames}"


def chain(
    told: traceback.TracebackException | None,
) -> list[traceback.TracebackException]:
    if told is None:
        return []
    return [told, *chain(told.__cause__), *chain(told.__context__)]


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, WeComError)
]


# Number for number as the platform's own list sorts them, by what is to be done.
TABLE: list[tuple[type[WeComError], tuple[int, ...]]] = [
    (errors.TokenDead, (40014, 42001, 41001)),
    (
        errors.CredentialWrong,
        (40001, 40013, 40091, 40056, 301002, 50003, 50006, 48006),
    ),
    (errors.Busy, (-1, 6000)),
    (errors.RateLimited, (45009, 45033)),
    (errors.TooManyAtOnce, (45033,)),
    (errors.NetworkNotTrusted, (60020, 301042)),
    (
        errors.NotPermitted,
        (48001, 48002, 48004, 48007, 48009, 60011, 60021, 50002, 60030, 84074, 701008),
    ),
    (errors.RelationGone, (84061, 40096, 41056, 40003, 60111)),
    (errors.WelcomeExpired, (41050,)),
    (errors.WelcomeTaken, (41051,)),
    (errors.WelcomeAwaitsConsent, (41053,)),
    (errors.WelcomeBeingSent, (41096,)),
    (errors.WelcomeRefused, (41049, 41050, 41051, 41053, 41096)),
    (errors.MassSendRefused, (41046, 41047, 41048, 41063, 41093, 41094, 41052, 86214)),
    (errors.MassSendDispatching, (41063,)),
    (errors.NobodyToSend, (41048,)),
    (errors.MassSendCancelled, (41093,)),
    (errors.ReminderLimit, (41094,)),
    (
        errors.MomentRefused,
        (41059, 41060, 41061, 41062, 41067, 41078, 41079, 41089, 41090),
    ),
    (errors.MomentBusy, (41078, 41079)),
    (
        errors.MediaRefused,
        (
            *(40007, 41064, 41065, 41072, 41080, 41081, 41082),
            *(45001, 44001, 40004, 40005, 40006, 40009),
        ),
    ),
    (errors.MediaExpired, (40007,)),
    (errors.ContactWayRefused, (41041, 41044, 41045, 41054, 41091)),
    (errors.TagRefused, (40068, 40071, 40126, 81011)),
    (errors.TagNameTaken, (40071,)),
    (
        errors.TransferRefused,
        (
            *(40097, 40098, 40099, 40100, 40128, 40129, 40130, 40131),
            *(90500, 90502, 90504, 90505, 90506, 90509),
        ),
    ),
    (errors.GroupRefused, (81017, 90501, 90503, 90507, 90508)),
    (
        errors.WordingRefused,
        (
            *(41068, 41069, 41070, 41071, 41076, 41077),
            *(41083, 41084, 41085, 41086, 41087, 41088, 40201, 85002),
        ),
    ),
    (
        errors.MessageRefused,
        (81013, 82001, 45002, 40008, 42014, 42015, 42016, 42017, 42018, 42019, 42020),
    ),
    (errors.SignInRefused, (40029, 42003, 42022)),
    (errors.PageRefused, (50001, 40093, 42012, 84014, 84015)),
    (
        errors.ServiceChatRefused,
        (
            *(95000, 95001, 95002, 95004, 95007, 95011, 95012, 95013),
            *(95014, 95016, 95017, 95018, 95019, 95030, 95031),
        ),
    ),
    (errors.ServiceWindowClosed, (95001, 95002)),
    (errors.ServiceTokenExpired, (95007,)),
    (errors.ServiceStateWrong, (95016, 95018)),
    (errors.ArchiveRefused, (301052, 301053, 301058, 301059, 301060, 301061)),
    (errors.ArchiveBatchTooLarge, (301058,)),
    (errors.BadRequest, (40033, 40035, 40058, 40063, 41035, 48005)),
]


class TestErrors:
    def test_the_tree_in_the_docstring_names_every_class_once(self) -> None:
        drawn = (errors.__doc__ or "").partition("Each docstring")[0]
        words = Counter(word for line in drawn.splitlines() for word in line.split())
        assert [kind.__name__ for kind in KINDS if words[kind.__name__] != 1] == []

    def test_no_number_means_two_things(self) -> None:
        assert sum(map(len, error_codes._CODES.values())) == len(error_codes._KIND_OF)
        assert error_for(123456, "").__class__ is UnknownRefusal

    @pytest.mark.parametrize(("kind", "codes"), TABLE)
    def test_the_table_of_codes_is_complete(
        self, kind: type[WeComError], codes: tuple[int, ...]
    ) -> None:
        for code in codes:
            error = error_for(code, "")
            assert isinstance(error, kind), (code, type(error))
            assert error.errcode == code

    def test_every_error_says_what_it_is(self) -> None:
        assert all((kind.__doc__ or "").strip().endswith(".") for kind in KINDS)

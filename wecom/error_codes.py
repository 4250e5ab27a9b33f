"""WeCom's numbers: which error each of them is."""

import re

from wecom.errors import (
    ArchiveBatchTooLarge,
    ArchiveRefused,
    BadRequest,
    Busy,
    ContactWayRefused,
    CredentialWrong,
    GroupRefused,
    MassSendCancelled,
    MassSendDispatching,
    MassSendRefused,
    MediaExpired,
    MediaRefused,
    MessageRefused,
    MomentBusy,
    MomentRefused,
    NetworkNotTrusted,
    NobodyToSend,
    NotPermitted,
    PageRefused,
    RateLimited,
    RelationGone,
    ReminderLimit,
    ServiceChatRefused,
    ServiceStateWrong,
    ServiceTokenExpired,
    ServiceWindowClosed,
    SignInRefused,
    TagNameTaken,
    TagRefused,
    TokenDead,
    TooManyAtOnce,
    TransferRefused,
    UnknownRefusal,
    WeComError,
    WelcomeAwaitsConsent,
    WelcomeBeingSent,
    WelcomeExpired,
    WelcomeRefused,
    WelcomeTaken,
    WordingRefused,
)

SEEN_ADDRESS = re.compile(r"from ip: ?([0-9a-fA-F.:]{3,45})")
HINT = re.compile(r"hint: ?\[(\d{10}[0-9a-z_]{0,40})\]")


def error_for(errcode: int, errmsg: str, *, call: str = "") -> WeComError:
    """Translate WeCom's number into the error that says what to do.

    Of WeCom's text only the hint id is kept, and the address it saw where that is what is wrong.
    """
    hint = HINT.search(errmsg)
    kind = _KIND_OF.get(errcode, UnknownRefusal)
    error = kind(call=call, errcode=errcode, hint=hint.group(1) if hint else "")
    if isinstance(error, NetworkNotTrusted) and (seen := SEEN_ADDRESS.search(errmsg)):
        error.address = seen.group(1)
    return error


_CODES: dict[type[WeComError], tuple[int, ...]] = {
    Busy: (-1, 6000),
    RateLimited: (45009,),
    TooManyAtOnce: (45033,),
    TokenDead: (40014, 41001, 42001),
    CredentialWrong: (40001, 40013, 40056, 40091, 48006, 50003, 50006, 301002),
    NetworkNotTrusted: (60020, 301042),
    NotPermitted: (
        *(48001, 48002, 48004, 48007, 48009, 50002),
        *(60011, 60021, 60030, 84074, 701008),
    ),
    RelationGone: (40003, 40096, 41056, 60111, 84061),
    WelcomeRefused: (41049,),
    WelcomeExpired: (41050,),
    WelcomeTaken: (41051,),
    WelcomeBeingSent: (41096,),
    WelcomeAwaitsConsent: (41053,),
    MassSendRefused: (41046, 41047, 41052, 86214),
    MassSendDispatching: (41063,),
    NobodyToSend: (41048,),
    MassSendCancelled: (41093,),
    ReminderLimit: (41094,),
    MomentRefused: (41059, 41060, 41061, 41062, 41067, 41089, 41090),
    MomentBusy: (41078, 41079),
    MediaRefused: (
        *(40004, 40005, 40006, 40009, 41064, 41065, 41072),
        *(41080, 41081, 41082, 44001, 45001),
    ),
    MediaExpired: (40007,),
    ContactWayRefused: (41041, 41044, 41045, 41054, 41091),
    TagRefused: (40068, 40126, 81011),
    TagNameTaken: (40071,),
    TransferRefused: (
        *(40097, 40098, 40099, 40100, 40128, 40129, 40130, 40131),
        *(90500, 90502, 90504, 90505, 90506, 90509),
    ),
    GroupRefused: (40050, 81017, 90501, 90503, 90507, 90508),
    WordingRefused: (
        *(40201, 41068, 41069, 41070, 41071, 41076, 41077),
        *(41083, 41084, 41085, 41086, 41087, 41088, 85002),
    ),
    MessageRefused: (
        *(40008, 45002, 81013, 82001),
        *(42014, 42015, 42016, 42017, 42018, 42019, 42020),
    ),
    SignInRefused: (40029, 42003, 42022),
    PageRefused: (40093, 42012, 50001, 84014, 84015, 85005),
    ServiceChatRefused: (95000, 95004, 95011, 95012, 95013, 95014, 95017, 95019, 95030, 95031),
    ServiceWindowClosed: (95001, 95002),
    ServiceTokenExpired: (95007,),
    ServiceStateWrong: (95016, 95018),
    ArchiveRefused: (301052, 301053, 301059, 301060, 301061),
    ArchiveBatchTooLarge: (301058,),
    BadRequest: (40033, 40035, 40058, 40063, 41035, 48005),
}
_KIND_OF = {code: kind for kind, codes in _CODES.items() for code in codes}

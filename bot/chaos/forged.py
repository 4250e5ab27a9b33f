"""S-01 to S-04: what was not sent by WeCom is not taken, and what was is taken once."""

import asyncio
import gc
import time
from dataclasses import replace
from datetime import timedelta
from random import Random

import psutil

from bank.settings import Settings
from bot.chaos.found import Found, share_of
from bot.chaos.ground import Clock, Ground, counted
from bot.chaos.town import Town, a_town
from bot.chaos.wire import event, letter, posted, sealed_with, send_all
from bot.inbound.keys import current_keys
from wecom.callback import CallbackKeys, CallbackRejected, open_envelope, seal

FORGED, REPLAYED, BOMBS, MISMATCHES = 10_000, 200, 40, 40
MOST_MS, MOST_MIB = 100.0, 10.0
STORED = "SELECT count(*) FROM inbound_event"
OTHER_KEY = "oThEr" * 8 + "oTh"


async def forged(ground: Ground, seed: int, share: float) -> Found:
    """S-01: wrong signatures, other keys, another corp, flipped bits: none is accepted."""
    found, dice, clock = Found("S-01 forged", seed), Random(seed), Clock()
    count = share_of(FORGED, share, 100)
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            requests = [_forgery(settings, clock, dice, number) for number in range(count)]
            sent = await send_all(town.port, requests)
            found.runs = found.events = count
            accepted = count - sent.count(403)
            found.faults["forged"] = count
            found.check(accepted == 0, f"{accepted} forged callbacks were not answered 403")
            stored = counted(settings.database_url, STORED)
            found.check(stored == 0, f"{stored} forged callbacks are in the table")
            found.figures["slowest"] = f"{sent.slowest_ms:.0f} ms"
    return found


def _forgery(settings: Settings, clock: Clock, dice: Random, number: int) -> bytes:
    """One of eight kinds of callback that WeCom did not send."""
    keys = current_keys(settings)
    plain = event(settings, clock(), f"wmFORGED{number:020d}", "rm_busy", "add_external_contact")
    stamp = int(clock().timestamp())
    query, body = seal(keys, plain, f"nonce{number}", stamp)
    match number % 8:
        case 0:
            query["msg_signature"] = f"{dice.getrandbits(160):040x}"
        case 1:
            del query["msg_signature"]
        case 2:
            query["msg_signature"] = query["msg_signature"][: dice.randrange(39)]
        case 3:
            return sealed_with(replace(keys, aes_key=OTHER_KEY), plain, clock(), dice)
        case 4:
            return sealed_with(replace(keys, corp_id="wwanothercorp00001"), plain, clock(), dice)
        case 5:
            return sealed_with(replace(keys, token="anotherToken"), plain, clock(), dice)
        case 6:
            query[dice.choice(["timestamp", "nonce"])] += "1"
        case _:
            body = _flipped(body, dice)
    return posted(query, body)


def _flipped(body: bytes, dice: Random) -> bytes:
    """One bit of the ciphertext is another; the signature is the old one."""
    first = body.index(b"<Encrypt><![CDATA[") + len(b"<Encrypt><![CDATA[")
    last = body.index(b"]]></Encrypt>")
    changed = bytearray(body)
    changed[dice.randrange(first, last)] ^= 1 << dice.randrange(7)
    return bytes(changed)


async def replayed(ground: Ground, seed: int, share: float) -> Found:
    """S-02: a replay has no effect, a platform's retry is still taken, a wrong clock loses none."""
    found, dice, clock = Found("S-02 replay, skew", seed), Random(seed), Clock()
    count = share_of(REPLAYED, share, 10)
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            await _replay(town, clock, found, dice, count)
            await _skewed(town, clock, found, dice, count)
    return found


async def _replay(town: Town, clock: Clock, found: Found, dice: Random, count: int) -> None:
    plains = [
        event(town.settings, clock(), f"wmREPLAY{n:020d}", "nobody", "edit_external_contact")
        for n in range(count)
    ]
    first = [letter(town.settings, plain, clock(), dice) for plain in plains]
    sent = await send_all(town.port, first)
    found.check(sent.count(200) == count, "a genuine callback was refused")
    again = [letter(town.settings, plain, clock(), dice) for plain in plains]
    for requests, name in ((first, "same envelope"), (again, "platform's retry")):
        answers = await send_all(town.port, requests)
        found.faults[name] += count
        found.check(answers.count(200) == count, f"{name}: not answered 200 at once")
    clock.forward(timedelta(minutes=11))
    late = await send_all(town.port, first)
    found.faults["replay after 11 min"] += count
    # Either refused, or answered and without effect: the table must not grow.
    found.check(set(late.answers) <= {200, 403}, f"a late replay: {set(late.answers)}")
    stored = counted(town.settings.database_url, STORED)
    found.doubled += max(0, stored - count)
    found.lost += max(0, count - stored)
    found.runs += count
    found.events += 4 * count


async def _skewed(town: Town, clock: Clock, found: Found, dice: Random, count: int) -> None:
    """Signed at a time far from ours: kept, answered, and without effect until looked at."""
    before = counted(town.settings.database_url, STORED)
    requests = []
    for number in range(count):
        minutes = dice.choice([-1, 1]) * dice.randint(6, 600)
        at = clock() + timedelta(minutes=minutes)
        name = f"wmSKEWED{number:020d}"
        plain = event(town.settings, at, name, "nobody", "edit_external_contact")
        requests.append(letter(town.settings, plain, at, dice))
    sent = await send_all(town.port, requests)
    found.faults["skewed clock"] += count
    stored = counted(town.settings.database_url, STORED) - before
    acknowledged = sent.count(200)
    found.lost += max(0, acknowledged - stored)
    found.check(stored == count, f"{count - stored} of {count} skewed callbacks were not kept")
    held = counted(
        town.settings.database_url, "SELECT count(*) FROM inbound_event WHERE state = 'held'"
    )
    found.check(held == count, f"{held} of {count} skewed callbacks are held")
    await town.handle()
    done = counted(
        town.settings.database_url,
        "SELECT count(*) FROM inbound_event WHERE order_key LIKE 'wmSKEWED%' AND state = 'done'",
    )
    found.check(done == 0, f"{done} skewed callbacks had an effect")
    found.events += count


async def bombs(ground: Ground, seed: int, share: float) -> Found:
    """S-03: entities, DTDs, depth, giants: refused within 100 ms and 10 MiB."""
    found, clock = Found("S-03 XML bombs", seed), Clock()
    rounds = share_of(BOMBS, share)
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            keys = current_keys(settings)
            await _throw(town, found, [posted({}, b"<xml/>")])  # whatever is loaded late, is now
            gc.collect()
            before = psutil.Process().memory_info().rss
            for name, bomb in BODIES.items():
                slowest = 0.0
                for _ in range(rounds):
                    slowest = max(slowest, _opened_in(keys, bomb, found, name))
                found.check(slowest <= MOST_MS, f"{name}: {slowest:.0f} ms")
                found.faults[name] += rounds
            await _throw(town, found, [posted({}, bomb) for bomb in BODIES.values()])
            grown = (psutil.Process().memory_info().rss - before) / 2**20
            found.figures["RSS"] = f"{grown:+.1f} MiB"
            found.check(grown <= MOST_MIB, f"RSS grew by {grown:.1f} MiB")
    found.runs = found.events = sum(found.faults.values())
    return found


def _opened_in(keys: CallbackKeys, body: bytes, found: Found, name: str) -> float:
    """Milliseconds until it is refused."""
    query = {"msg_signature": "0" * 40, "timestamp": "1795000000", "nonce": "n"}
    began = time.perf_counter()
    try:
        open_envelope(keys, query, body)
    except CallbackRejected:
        pass
    else:
        found.check(False, f"{name} was opened")
    return (time.perf_counter() - began) * 1000


async def _throw(town: Town, found: Found, requests: list[bytes]) -> None:
    sent = await send_all(town.port, requests, connections=1)
    found.check(set(sent.answers) <= {403, 413}, f"a bomb was answered {set(sent.answers)}")


def _entities(depth: int) -> bytes:
    lines = ['<!ENTITY a0 "ha">']
    lines += [f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, depth)]
    return f"<!DOCTYPE xml [{''.join(lines)}]><xml><Encrypt>&a{depth - 1};</Encrypt></xml>".encode()


BODIES = {
    "billion laughs": _entities(10),
    "quadratic": b"<!DOCTYPE xml [<!ENTITY a '"
    + b"x" * 100_000
    + b"'>]><xml>"
    + b"&a;" * 5000
    + b"</xml>",
    "external entity": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b"<xml><Encrypt>&e;</Encrypt></xml>",
    "external DTD": b'<!DOCTYPE xml SYSTEM "http://127.0.0.1:9/x.dtd"><xml/>',
    "parameter entity": b'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:9/p">%p;]><xml/>',
    "10,000 deep": b"<xml>" + b"<a>" * 10_000 + b"</a>" * 10_000 + b"</xml>",
    "1 MB attribute": b'<xml a="' + b"x" * (1 << 20) + b'"/>',
    "200 kB attribute": b'<xml a="' + b"x" * 200_000 + b'"/>',
    "20,000 attributes": b"<xml " + b" ".join(b'a%d="1"' % n for n in range(20_000)) + b"/>",
    "20,000 elements": b"<xml>" + b"".join(b"<e%d/>" % n for n in range(20_000)) + b"</xml>",
}


async def mismatched(ground: Ground, seed: int, share: float) -> Found:
    """S-04: bodies that two parsers could read as two different things are refused."""
    found, dice, clock = Found("S-04 parser mismatch", seed), Random(seed), Clock()
    with ground.bank() as settings:
        async with a_town(settings, clock) as town:
            for number in range(share_of(MISMATCHES, share)):
                requests = _ambiguous(settings, clock, dice, number)
                sent = await send_all(town.port, list(requests.values()), connections=1)
                for name, answer in zip(requests, sent.answers, strict=True):
                    found.faults[name] += 1
                    found.check(answer == 403, f"{name} was answered {answer}")
            inside = await _ambiguous_inside(town, clock, dice)
            found.faults["doubled element inside"] += inside
            await town.handle()
            done = counted(
                settings.database_url, "SELECT count(*) FROM inbound_event WHERE state = 'done'"
            )
            found.check(done == 0, f"{done} ambiguous events had an effect")
    found.runs = found.events = sum(found.faults.values())
    return found


def _ambiguous(settings: Settings, clock: Clock, dice: Random, number: int) -> dict[str, bytes]:
    keys = current_keys(settings)
    plain = event(settings, clock(), f"wmTWICE{number:020d}", "rm_busy", "add_external_contact")
    query, body = seal(keys, plain, f"n{dice.getrandbits(32)}", int(clock().timestamp()))
    encrypted = body[body.index(b"<Encrypt>") : body.index(b"</xml>")]
    twin = seal(keys, plain.replace("rm_busy", "rm_other"), "n", 1)[1]
    other = twin[twin.index(b"<Encrypt>") : twin.index(b"</xml>")]
    return {
        "two ciphertexts": posted(query, b"<xml>" + encrypted + other + b"</xml>"),
        "the same twice": posted(query, b"<xml>" + encrypted + encrypted + b"</xml>"),
        "two receivers": posted(
            query, body.replace(b"</xml>", b"<ToUserName>x</ToUserName></xml>")
        ),
        "another root": posted(query, body.replace(b"xml>", b"doc>")),
        "two roots": posted(query, body + body),
        "declared otherwise": posted(query, b'<?xml version="1.0" encoding="utf-16"?>' + body),
        "unknown charset": posted(query, b'<?xml version="1.0" encoding="x-none"?>' + body),
        "nested": posted(query, b"<xml><inner>" + encrypted + b"</inner></xml>"),
    }


async def _ambiguous_inside(town: Town, clock: Clock, dice: Random) -> int:
    """Rightly sealed, but saying something twice: kept, and quarantined instead of handled."""
    plain = event(town.settings, clock(), "wmINSIDE" + "0" * 20, "rm_busy", "add_external_contact")
    twice = plain.replace("</xml>", "<UserID>rm_colleague</UserID></xml>")
    sent = await send_all(town.port, [letter(town.settings, twice, clock(), dice)])
    await asyncio.sleep(0)
    return sent.count(200)

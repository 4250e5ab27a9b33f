"""Sensitive-word rules over the server API; the client enforces them on what members write."""

import secrets
from typing import Any

from wecom.simulator.api_call import ERRORS, Action, ApiError, Call
from wecom.simulator.rule_state import MEANINGS, InterceptRule

RULES, WORDS, RANGE = 100, 300, 1000
NAME_CHARACTERS, WORD_CHARACTERS = 20, 32

ERRORS.update(
    {
        41068: "intercept word list out of limit",
        41069: "intercept rule count out of limit",
        41070: "invalid intercept rule_id",
        41071: "intercept rule has been deleted",
        41076: "intercept rule range out of limit",
        41077: "intercept rule name not unique",
        41083: "invalid intercept word",
        41084: "invalid intercept semantics",
    }
)


async def add_intercept_rule(call: Call) -> dict[str, Any]:
    """A new rule; at most a hundred in the corp."""
    book = call.world.rules
    if len(book.rules) >= RULES:
        raise ApiError(41069)
    userids, parties = _range(call, "applicable_range")
    if not (userids or parties):
        raise ApiError(40058)
    rule = InterceptRule(
        rule_id="rule" + secrets.token_hex(14),
        name=_name(call, ""),
        words=_words(call),
        meanings=_meanings(call),
        kind=_kind(call),
        userids=userids,
        parties=parties,
        created_at=call.now(),
    )
    if not (rule.words or rule.meanings):
        raise ApiError(41083)
    book.rules[rule.rule_id] = rule
    call.platform.live.dirty.set()
    return {"rule_id": rule.rule_id}


async def get_intercept_rule_list(call: Call) -> dict[str, Any]:
    """Every rule's id, name and time."""
    rows = [
        {"rule_id": r.rule_id, "rule_name": r.name, "create_time": int(r.created_at.timestamp())}
        for r in call.world.rules.rules.values()
    ]
    return {"rule_list": rows}


async def get_intercept_rule(call: Call) -> dict[str, Any]:
    """One rule, whole."""
    rule = _rule(call)
    return {
        "rule": {
            "rule_id": rule.rule_id,
            "rule_name": rule.name,
            "word_list": rule.words,
            "semantics_list": rule.meanings,
            "intercept_type": rule.kind,
            "applicable_range": {"user_list": rule.userids, "department_list": rule.parties},
            "extra_rule": {"semantics_list": rule.meanings},
        }
    }


async def update_intercept_rule(call: Call) -> dict[str, Any]:
    """Change what is named; the range grows and shrinks by what is added and removed."""
    rule = _rule(call)
    name = _name(call, rule.rule_id) if "rule_name" in call.body else rule.name
    words = _words(call) if "word_list" in call.body else rule.words
    meanings = _meanings(call) if _names_meanings(call) else rule.meanings
    kind = _kind(call) if "intercept_type" in call.body else rule.kind
    added, removed = _range(call, "add_applicable_range"), _range(call, "remove_applicable_range")
    userids = [u for u in dict.fromkeys((*rule.userids, *added[0])) if u not in removed[0]]
    parties = [p for p in dict.fromkeys((*rule.parties, *added[1])) if p not in removed[1]]
    if len(userids) + len(parties) > RANGE:
        raise ApiError(41076)
    rule.name, rule.words, rule.meanings, rule.kind = name, words, meanings, kind
    rule.userids, rule.parties = userids, parties
    call.platform.live.dirty.set()
    return {}


async def del_intercept_rule(call: Call) -> dict[str, Any]:
    """The rule binds nobody any more."""
    rule = _rule(call)
    del call.world.rules.rules[rule.rule_id]
    call.world.rules.deleted.append(rule.rule_id)
    call.platform.live.dirty.set()
    return {}


def _rule(call: Call) -> InterceptRule:
    rule_id = call.text("rule_id")
    if rule_id in call.world.rules.deleted:
        raise ApiError(41071)
    rule = call.world.rules.rules.get(rule_id)
    if rule is None:
        raise ApiError(41070)
    return rule


def _name(call: Call, itself: str) -> str:
    name = call.text("rule_name")
    if not 1 <= len(name) <= NAME_CHARACTERS:
        raise ApiError(40058)
    if any(r.name == name and r.rule_id != itself for r in call.world.rules.rules.values()):
        raise ApiError(41077)
    return name


def _words(call: Call) -> list[str]:
    words = call.body.get("word_list") or []
    if not isinstance(words, list) or len(words) > WORDS:
        raise ApiError(41068)
    if not all(isinstance(w, str) and 1 <= len(w) <= WORD_CHARACTERS for w in words):
        raise ApiError(41083)
    return words


def _names_meanings(call: Call) -> bool:
    return "semantics_list" in call.body or "extra_rule" in call.body


def _meanings(call: Call) -> list[int]:
    extra = call.body.get("extra_rule") or {}
    meanings = call.body.get("semantics_list") or extra.get("semantics_list") or []
    if not isinstance(meanings, list) or not set(meanings) <= set(MEANINGS):
        raise ApiError(41084)
    return meanings


def _kind(call: Call) -> int:
    kind = call.body.get("intercept_type")
    if kind not in (1, 2):
        raise ApiError(40058)
    return int(kind)


def _range(call: Call, name: str) -> tuple[list[str], list[int]]:
    named = call.body.get(name) or {}
    if not isinstance(named, dict):
        raise ApiError(40058)
    userids, parties = named.get("user_list") or [], named.get("department_list") or []
    if len(userids) + len(parties) > RANGE:
        raise ApiError(41076)
    if not all(userid in call.world.members for userid in userids):
        raise ApiError(40003)
    return userids, parties


POSTS: dict[str, Action] = {
    "externalcontact/add_intercept_rule": add_intercept_rule,
    "externalcontact/get_intercept_rule": get_intercept_rule,
    "externalcontact/update_intercept_rule": update_intercept_rule,
    "externalcontact/del_intercept_rule": del_intercept_rule,
}
GETS: dict[str, Action] = {"externalcontact/get_intercept_rule_list": get_intercept_rule_list}

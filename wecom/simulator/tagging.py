"""Corp tags: made, renamed, deleted, re-ordered — by a person in the console or by API."""

import secrets
from collections.abc import Iterable

from wecom.simulator.channels import Tag, TagGroup
from wecom.simulator.platform import ImpossibleError, Platform


def new_id() -> str:
    """An id in the platform's shape for a tag or a tag group."""
    return "et" + secrets.token_urlsafe(22).replace("-", "A").replace("_", "B")


def group_named(platform: Platform, name: str) -> TagGroup | None:
    """The tag group of that name, or nothing."""
    groups = platform.world.tag_groups.values()
    return next((group for group in groups if group.name == name), None)


def add_tags(
    platform: Platform, group: TagGroup, names: Iterable[str], orders: Iterable[int] = ()
) -> list[Tag]:
    """New tags in the group, which is made known when it is new."""
    platform.world.tag_groups.setdefault(group.group_id, group)
    wanted = list(names)
    numbers = [*orders, *([0] * len(wanted))]
    made = [
        Tag(new_id(), name, platform.now(), order)
        for name, order in zip(wanted, numbers, strict=False)
    ]
    group.tags.update({tag.tag_id: tag for tag in made})
    platform.live.announce("tags")
    return made


def find(platform: Platform, wanted: str) -> tuple[TagGroup, Tag | None]:
    """The group of that id, or the tag of that id with its group; ImpossibleError without."""
    for group in platform.world.tag_groups.values():
        if group.group_id == wanted:
            return group, None
        if wanted in group.tags:
            return group, group.tags[wanted]
    raise ImpossibleError("没有这个标签")


def remove(platform: Platform, wanted: str) -> bool:
    """Delete a tag or a whole group, from every customer too; whether a group went with it."""
    group, tag = find(platform, wanted)
    gone = [tag.tag_id] if tag else list(group.tags)
    for tag_id in gone:
        del group.tags[tag_id]
    # A group without tags does not exist.
    if not group.tags:
        del platform.world.tag_groups[group.group_id]
    for follow in platform.world.follows.values():
        if follow.tags:
            follow.tags = [tag_id for tag_id in follow.tags if tag_id not in gone]
    platform.live.announce("tags")
    return not group.tags


def tell(platform: Platform, change: str, wanted: str, tag_type: str = "") -> None:
    """Queue a `change_external_tag` event; a shuffle names no type."""
    fields = {"Id": wanted, "TagType": tag_type, "ChangeType": change, "StrategyId": "0"}
    if not tag_type:
        del fields["TagType"]
    platform.line.system_event("change_external_tag", fields)

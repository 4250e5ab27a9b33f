"""A step of the story: an article is sent, the customer reads it, the RM sees who read what."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Select
from sqlmodel import col, select

from attribution.models import Opening, TrackedLink
from bot.demo.visitor import StepFailed, Visitor
from content.library import is_live
from content.models import Kind, Material, Version
from customers.models import Consent, Customer, Follow, FollowState, Purpose

if TYPE_CHECKING:
    from bot.demo.story import Scene

SECONDS = 42


async def read(scene: "Scene") -> dict[str, Any]:
    """The RM sends an article with one tap, the customer opens it and reads it to the end."""
    version = await scene.one(_article(scene))
    customer = await scene.one(_reader(scene))
    if version is None or customer is None:
        raise StepFailed("the demo bank has no article to send, or nobody to read it")
    contact = str(customer.external_userid)
    suggestion_id = await _sent(scene, contact, version.id)
    link = await scene.one(select(TrackedLink).where(TrackedLink.source_id == str(suggestion_id)))
    if link is None or link.customer_id != customer.id:
        raise StepFailed("the article was sent without a link of its own")
    return await _opened(scene, contact, link)


def _article(scene: "Scene") -> Select[Version]:
    return (
        select(Version)
        .join(Material, col(Material.id) == col(Version.material_id))
        .where(Material.kind == Kind.ARTICLE, Version.risk == 0, *is_live(scene.clock()))
        .order_by(col(Material.code))
    )


def _reader(scene: "Scene") -> Select[Customer]:
    """A customer of the RM who agreed to personal recommendations."""
    now = scene.clock()
    agreed = select(Consent.customer_id).where(
        Consent.purpose == Purpose.PROFILING,
        col(Consent.withdrawn_at).is_(None) | (col(Consent.withdrawn_at) > now),
    )
    return (
        select(Customer)
        .join(Follow, col(Follow.customer_id) == col(Customer.id))
        .where(
            Follow.staff_id == scene.rm.id,
            Follow.state == FollowState.ACTIVE,
            col(Customer.external_userid).is_not(None),
            col(Customer.id).in_(agreed),
        )
        .order_by(col(Customer.bank_no))
    )


async def _sent(scene: "Scene", contact: str, version_id: UUID) -> UUID:
    async with Visitor(scene.base, scene.rm.userid, "sidebar") as rm:
        taken = await rm.post_json(f"/sidebar/{contact}/take", {"version": str(version_id)})
        if "at" not in taken:
            raise StepFailed(f"the article was not taken: {taken}")
        cleared = await rm.post_json(f"{taken['at']}/clear", {"text": taken["text"]})
        if "messages" not in cleared:
            raise StepFailed(f"not cleared: {cleared}")
        for message in cleared["messages"]:
            await _through_the_bridge(scene, contact, message)
        await rm.post(f"{taken['at']}/sent", {"parts": str(len(cleared["messages"]))})
    return UUID(taken["at"].rpartition("/")[2])


async def _through_the_bridge(scene: "Scene", contact: str, message: dict[str, Any]) -> None:
    wish = {"member": scene.rm.userid, "customer": contact, "params": message}
    async with scene.http.post(f"{scene.base}/simulator/bridge/send", json=wish) as answer:
        said = await answer.json()
    if said["err_msg"] != "sendChatMessage:ok":
        raise StepFailed(f"the chat did not take it: {said}")


async def _opened(scene: "Scene", contact: str, link: TrackedLink) -> dict[str, Any]:
    """The phone opens the link; the page says how long it was read, as time passes."""
    page = await scene.control("open_link", external_userid=contact)
    if page["status"] != 200:
        raise StepFailed(f"the link does not open: {page}")
    mine = select(Opening).where(Opening.code == link.code)
    opening = await scene.until("the opening", lambda: scene.one(mine))
    scene.clock.at(scene.clock() + timedelta(seconds=SECONDS))
    told = {"seconds": str(SECONDS), "progress": "100"}
    async with scene.http.post(f"{scene.base}/r/visits/{opening.id}", data=told) as answer:
        if answer.status != 204:
            raise StepFailed("the page could not say how long it was read")
    whole = mine.where(Opening.seconds == SECONDS)
    opening = await scene.until("the length of reading", lambda: scene.one(whole))
    async with Visitor(scene.base, scene.rm.userid, "sidebar") as rm:
        trail = await rm.text(f"/sidebar/{contact}/trail")
    if f"阅读 {SECONDS} 秒" not in trail:
        raise StepFailed("the RM does not see what was read")
    return {
        "opening": str(opening.id),
        "seconds": opening.seconds,
        "progress": opening.progress,
        "device": opening.device.value,
        "opener": opening.opener.value,
    }

"""The product album over the server API; its price cap of 50,000 yuan makes it small."""

import re
import secrets
from typing import Any

from wecom.simulator.album_state import Product
from wecom.simulator.api_call import ERRORS, Action, ApiError, Call, page_of
from wecom.simulator.attachments import attached_media

ALBUM_SCENE = 2
DESCRIPTION_CHARACTERS = 300
HIGHEST_PRICE = 50_000 * 100
PICTURES = 9

ERRORS.update(
    {
        41074: "product has been deleted",
        41075: "invalid product_id",
        41085: "invalid product_sn",
        41086: "invalid product price",
        41087: "invalid product description",
        41088: "attachments are empty",
    }
)


async def add_product_album(call: Call) -> dict[str, Any]:
    """A new product with one to nine pictures uploaded for the album."""
    product = Product(
        product_id="pAlbum" + secrets.token_hex(12),
        description=_description(call),
        price=_price(call),
        serial=_serial(call),
        attachments=_pictures(call),
        created_at=call.now(),
    )
    call.world.album.products[product.product_id] = product
    call.platform.live.dirty.set()
    return {"product_id": product.product_id}


async def get_product_album(call: Call) -> dict[str, Any]:
    """One product."""
    return {"product": _shown(_product(call))}


async def get_product_album_list(call: Call) -> dict[str, Any]:
    """All products, a hundred a page at most."""
    limit = call.limit(default=50, most=100)
    products = list(call.world.album.products.values())
    page, following = page_of(products, call.text("cursor"), limit)
    return {"product_list": [_shown(product) for product in page], "next_cursor": following}


async def update_product_album(call: Call) -> dict[str, Any]:
    """Change what is named."""
    product = _product(call)
    description = _description(call) if "description" in call.body else product.description
    price = _price(call) if "price" in call.body else product.price
    serial = _serial(call) if "product_sn" in call.body else product.serial
    pictures = _pictures(call) if "attachments" in call.body else product.attachments
    product.description, product.price = description, price
    product.serial, product.attachments = serial, pictures
    call.platform.live.dirty.set()
    return {}


async def delete_product_album(call: Call) -> dict[str, Any]:
    """The product is gone from the album."""
    product = _product(call)
    del call.world.album.products[product.product_id]
    call.world.album.deleted.append(product.product_id)
    call.platform.live.dirty.set()
    return {}


def _product(call: Call) -> Product:
    product_id = call.text("product_id")
    if product_id in call.world.album.deleted:
        raise ApiError(41074)
    product = call.world.album.products.get(product_id)
    if product is None:
        raise ApiError(41075)
    return product


def _description(call: Call) -> str:
    description = call.text("description")
    if not 1 <= len(description) <= DESCRIPTION_CHARACTERS:
        raise ApiError(41087)
    return description


def _price(call: Call) -> int:
    price = call.body.get("price")
    if not isinstance(price, int) or not 0 <= price <= HIGHEST_PRICE:
        raise ApiError(41086)
    return price


def _serial(call: Call) -> str:
    serial = call.text("product_sn")
    if not re.fullmatch(r"[0-9A-Za-z]{0,128}", serial):
        raise ApiError(41085)
    return serial


def _pictures(call: Call) -> list[dict[str, Any]]:
    pictures = call.body.get("attachments")
    if not isinstance(pictures, list) or not pictures:
        raise ApiError(41088)
    if len(pictures) > PICTURES:
        raise ApiError(41064)
    for picture in pictures:
        image = picture.get("image") if isinstance(picture, dict) else None
        if not isinstance(image, dict) or picture.get("type") != "image":
            raise ApiError(41065)
        attached_media(call, str(image.get("media_id", "")), "image", scene=ALBUM_SCENE)
    return pictures


def _shown(product: Product) -> dict[str, Any]:
    return {
        "product_id": product.product_id,
        "description": product.description,
        "price": product.price,
        "create_time": int(product.created_at.timestamp()),
        "product_sn": product.serial,
        "attachments": product.attachments,
    }


POSTS: dict[str, Action] = {
    "externalcontact/add_product_album": add_product_album,
    "externalcontact/get_product_album": get_product_album,
    "externalcontact/get_product_album_list": get_product_album_list,
    "externalcontact/update_product_album": update_product_album,
    "externalcontact/delete_product_album": delete_product_album,
}

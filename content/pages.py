"""The pages of material, gathered: the shelf, the writing desk, imports, the review."""

from aiohttp import web

from content import (
    comment_pages,
    cover_pages,
    import_pages,
    link_pages,
    list_pages,
    material_pages,
    review_pages,
    review_queue_pages,
    road_pages,
    writing_pages,
)

# `/content/new` and `/content/imports` before `/content/{id}`.
routes: list[web.AbstractRouteDef] = [
    *writing_pages.routes,
    *import_pages.routes,
    *list_pages.routes,
    *material_pages.routes,
    *cover_pages.routes,
    *link_pages.routes,
    *review_queue_pages.routes,
    *road_pages.routes,
    *comment_pages.routes,
    *review_pages.routes,
]

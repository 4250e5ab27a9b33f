"""The pages of material, gathered for the application: the shelf, the writing desk, imports."""

from aiohttp import web

from content import import_pages, material_pages, writing_pages

# `/content/new` and `/content/imports` before `/content/{id}`.
routes: list[web.AbstractRouteDef] = [
    *writing_pages.routes,
    *import_pages.routes,
    *material_pages.routes,
]

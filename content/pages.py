"""The pages of material, gathered for the application: the shelf and the writing desk."""

from aiohttp import web

from content import material_pages, writing_pages

# `/content/new` before `/content/{id}`.
routes: list[web.AbstractRouteDef] = [*writing_pages.routes, *material_pages.routes]

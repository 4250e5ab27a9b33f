"""The pages of SOPs and touches, gathered for the application."""

from aiohttp import web

from scheduler import sop_form, sop_pages, touch_pages

# `/sops/new` before `/sops/{id}`.
routes: list[web.AbstractRouteDef] = [*sop_form.routes, *sop_pages.routes, *touch_pages.routes]

"""The pages of attribution, gathered for the application."""

from aiohttp import web

from attribution import (
    conversion_pages,
    customer_pages,
    import_pages,
    opening_pages,
    reader_pages,
    report_pages,
)

routes: list[web.AbstractRouteDef] = [
    *report_pages.routes,
    *conversion_pages.routes,
    *import_pages.routes,
    *customer_pages.routes,
    *opening_pages.routes,
    *reader_pages.routes,
]

"""`siyu archive`: the sidecar that touches WeCom's archive library, on its own machine."""

import structlog
from aiohttp import web

from bank.settings import Settings
from bot.serve import GOODBYE_SECONDS, until_stopped
from wecom.archive_native import NativeArchive, load_library, read_keys
from wecom.archive_sidecar import make_sidecar

log = structlog.get_logger("bot")


class SidecarUnset(ValueError):
    """Set SIYU_ARCHIVE_LIBRARY, SIYU_ARCHIVE_KEYS, SIYU_ARCHIVE_SECRET and SIYU_WECOM_CORP_ID."""


def sidecar_of(settings: Settings) -> web.Application:
    """The sidecar of the settings; SidecarUnset, LibraryMissing or KeysMissing say what lacks."""
    secret = settings.archive_secret.get_secret_value()
    named = (settings.archive_library, settings.archive_keys, secret, settings.wecom_corp_id)
    if settings.archive_keys is None or not all(named):
        raise SidecarUnset(SidecarUnset.__doc__)
    library, keys = load_library(settings.archive_library), read_keys(settings.archive_keys)
    corp_id = settings.wecom_corp_id
    return make_sidecar(lambda: NativeArchive(library, corp_id, secret, keys), secret)


async def serve_archive(settings: Settings, host: str, port: int) -> None:
    """Serve until stopped."""
    runner = web.AppRunner(sidecar_of(settings), access_log=None, shutdown_timeout=GOODBYE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        log.info("archive_serving", address=f"http://{host}:{port}")
        await until_stopped()
    finally:
        await runner.cleanup()

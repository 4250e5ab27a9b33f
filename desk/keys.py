"""What the running application holds, typed; `bot/app.py` fills these."""

from collections.abc import Callable
from datetime import datetime

from aiohttp import web

from bank.database import Sessions
from bank.settings import Settings
from wecom.client import WeComClient

SETTINGS = web.AppKey("SETTINGS", Settings)
SESSIONS = web.AppKey("SESSIONS", Sessions)
NOW: web.AppKey[Callable[[], datetime]] = web.AppKey("NOW")
WECOM = web.AppKey("WECOM", WeComClient)

"""The road of the schema: `migrate(url)` brings any database to today's tables."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from bank.database import async_url

HERE = Path(__file__).parent


def config(url: str) -> Config:
    """Alembic's configuration for that database, without a file."""
    made = Config()
    made.set_main_option("script_location", str(HERE))
    made.set_main_option("path_separator", "os")
    made.attributes["url"] = async_url(url)
    return made


def migrate(url: str) -> None:
    """Upgrade the database to the newest schema; does nothing where it is there already."""
    command.upgrade(config(url), "head")


def newest() -> str:
    """The revision a migrated database is at."""
    head = ScriptDirectory(str(HERE)).get_current_head()
    assert head is not None
    return head

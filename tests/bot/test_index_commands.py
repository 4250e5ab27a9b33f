"""`siyu index` from outside: how far the saved index is, and building it again."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from aiohttp.test_utils import unused_port
from sqlalchemy.ext.asyncio import AsyncSession
from typer.testing import CliRunner, Result

from bank.database import plain_url, utc_now
from bank.settings import Settings
from bot.app import open_parts
from bot.cli import app
from bot.loops import catch_up_library, rebuild
from tests.builders import an_approved_material
from tests.journeys.test_killed import ROOT, environment

run = CliRunner()


async def siyu(settings: Settings, *command: str, vectors: str = "faiss") -> Result:
    """The command, as an operator types it."""
    around = environment(settings) | {"SIYU_VECTORS": vectors}
    return await asyncio.to_thread(run.invoke, app, ["index", *command], env=around)


def cut_vectors(folder: Path) -> None:
    """The file of vectors loses its last byte."""
    [file] = folder.glob("*.vectors")
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize("vectors", ["faiss", "pgvector"])
async def test_rebuilt_it_is_whole_and_its_status_says_how_far(
    settings: Settings, session: AsyncSession, vectors: str
) -> None:
    await an_approved_material(session, now=utc_now())
    await session.commit()
    missing = await siyu(settings, "status", vectors=vectors)
    assert missing.exit_code == 1
    assert "siyu index rebuild" in missing.stdout
    built = await siyu(settings, "rebuild", vectors=vectors)
    assert built.exit_code == 0, built.output
    told = json.loads((await siyu(settings, "status", "--json", vectors=vectors)).stdout)
    assert (told["damage"], told["documents"], told["seq"]) == ("", 1, told["newest"])
    assert told["vectors"] == vectors
    assert told["held_by"] == ["flat 5" if vectors == "faiss" else "pgvector 5"]
    assert told["generation"] == json.loads(built.stdout)["generation"]


async def test_a_damaged_index_is_named_and_rebuilding_mends_it(
    settings: Settings, session: AsyncSession
) -> None:
    await an_approved_material(session, now=utc_now())
    await session.commit()
    await siyu(settings, "rebuild")
    cut_vectors(settings.home / "index")
    damaged = await siyu(settings, "status")
    assert damaged.exit_code == 1
    assert "DAMAGED" in damaged.stdout
    await siyu(settings, "rebuild")
    assert (await siyu(settings, "status")).exit_code == 0


async def test_the_other_store_does_not_take_up_what_this_one_saved(
    settings: Settings, session: AsyncSession
) -> None:
    await an_approved_material(session, now=utc_now())
    await session.commit()
    await siyu(settings, "rebuild")
    other = await siyu(settings, "status", vectors="pgvector")
    assert other.exit_code == 1
    assert "SIYU_VECTORS" in other.stdout


async def test_a_running_process_builds_again_and_serves_meanwhile(
    settings: Settings, session: AsyncSession
) -> None:
    version = await an_approved_material(session, now=utc_now())
    await session.commit()
    async with open_parts(settings) as parts:
        await catch_up_library(parts)
        before = parts.index.hybrid
        building = asyncio.create_task(rebuild(parts))
        while not building.done():
            assert parts.index.holds(version.id)
            await asyncio.sleep(0)
        await building
        assert parts.index.hybrid is not before
        assert parts.index.holds(version.id)


# ------------------------------------------------------------------ a database without pgvector


def without_pgvector(settings: Settings) -> None:
    """The server offers this database no extension, as one on which pgvector is not installed."""
    name = settings.database_url.partition("?")[0].rpartition("/")[2]
    nowhere = f"ALTER DATABASE \"{name}\" SET extension_control_path = '/nowhere'"
    with psycopg.connect(plain_url(settings.database_url), autocommit=True) as connection:
        connection.execute(nowhere.encode())


@pytest.mark.parametrize("command", ["migrate", "serve", "index status"])
def test_a_database_without_pgvector_is_told_in_one_line_with_what_to_do(
    settings: Settings, command: str
) -> None:
    without_pgvector(settings)
    port = ["--port", str(unused_port())] if command == "serve" else []
    told = subprocess.run(
        [sys.executable, "-m", "bot", *command.split(), *port],
        cwd=ROOT,
        env=environment(settings) | {"SIYU_VECTORS": "pgvector"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr == (
        "siyu: SIYU_VECTORS=pgvector needs the extension `vector`, 0.8 or newer, in the database. "
        "It is not installed on the server: install pgvector there (postgresql-NN-pgvector), "
        "or set SIYU_VECTORS=faiss.\n"
    )


async def test_doctor_says_so_too_and_in_chinese(settings: Settings) -> None:
    without_pgvector(settings)
    around = environment(settings) | {"SIYU_VECTORS": "pgvector"}
    told = await asyncio.to_thread(run.invoke, app, ["doctor"], env=around)
    assert told.exit_code == 1
    assert "FAIL vectors: SIYU_VECTORS=pgvector needs the extension `vector`" in told.stdout
    assert "请在数据库服务器上安装 pgvector（postgresql-NN-pgvector）" in told.stdout
    assert "或改为 SIYU_VECTORS=faiss" in told.stdout

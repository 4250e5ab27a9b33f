"""A model on the wire and a library of two materials."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openai import AsyncOpenAI
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Role
from knowledge.writer import OpenAIWriter, Writer
from tests.builders import a_customer, a_follow, a_product, a_staff, an_approved_material
from tests.conftest import Product
from tests.knowledge.wire import BODY, Bench, Model


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
async def address(model: Model) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    app.router.add_post("/elsewhere", model.other_host)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


@pytest.fixture
async def writer(address: str) -> AsyncIterator[Writer]:
    """The writer as the product makes it, only less patient."""
    async with AsyncOpenAI(base_url=address, api_key="canary-key", max_retries=0) as client:
        yield OpenAIWriter(client, "m", patience=2.0)


@pytest.fixture
async def bench(product: Product, session: AsyncSession, writer: Writer) -> Bench:
    made = Bench(product, session, writer)
    made.rm = await a_staff(session, Role.RM)
    made.customer = await a_customer(session, name="{{7*7}}<script>昵称</script>")
    await a_follow(session, made.rm, made.customer)
    await a_product(session, rating=2, name="安心添利90天")
    made.best = await an_approved_material(session, body=BODY)
    await an_approved_material(
        session,
        title="赎回到账进度查询",
        body="您可以在手机银行的交易记录里查看赎回的处理进度，热线服务时间为9:00至18:00。",
        questions=("赎回到账进度在哪查", "赎回的钱到账没有怎么看", "查赎回到账"),
    )
    await session.commit()
    await product.parts.index.catch_up(session, product.clock())
    return made

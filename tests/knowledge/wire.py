"""The other side of the wire: a model that answers as it is told; and a bench to ask it on."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from bank.models import Staff
from content.models import Version
from customers import book
from customers.models import Customer
from knowledge import suggestions
from knowledge.cases import Question
from knowledge.conversation import Turn
from knowledge.models import Suggestion
from knowledge.writer import Writer
from tests.conftest import Product

ASKED = "我赎回的钱几天能到账啊"
BODY = "您好，赎回申请确认后，资金一般在下一个工作日到账，具体以产品说明书为准。"
FAITHFUL = "李女士您好，赎回申请确认后，资金通常在下一个工作日到账。"


class Model:
    """An OpenAI-compatible server that answers as it is told and keeps what it was asked."""

    def __init__(self) -> None:
        self.says = ""
        self.raw: web.Response | None = None
        self.asked: list[dict[str, Any]] = []
        self.hangs = self.echoes = False
        self.usage: dict[str, int] | None = None
        self.elsewhere: list[str] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Chat completions."""
        self.asked.append(await request.json())
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.hangs:
            await asyncio.Event().wait()
        if self.raw is not None:
            return self.raw
        if self.echoes:
            told = self.asked[-1]["messages"]
            self.writes(*((message["content"], 1) for message in told))
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": self.says},
        }
        answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
        if self.usage is not None:
            answer["usage"] = self.usage
        return web.json_response(answer | {"choices": [choice]})

    async def other_host(self, request: web.Request) -> web.Response:
        """Where a redirect leads."""
        self.elsewhere.append(await request.text())
        return web.Response()

    def writes(self, *sentences: tuple[str, Any]) -> None:
        """Sentences with the number of the passage each claims to come from."""
        parts = [{"text": words, "passage": passage} for words, passage in sentences]
        self.says = json.dumps({"sentences": parts}, ensure_ascii=False)


class Bench:
    """A library of two materials, an RM and a customer."""

    def __init__(self, product: Product, session: AsyncSession, writer: Writer) -> None:
        self.product, self.session, self.writer = product, session, writer
        self.rm: Staff
        self.customer: Customer
        self.best: Version
        self.asked = 0

    async def suggest(
        self, text: str = ASKED, writer: Writer | None = None, turns: Sequence[Turn] = ()
    ) -> Suggestion:
        """A suggestion for that question."""
        self.asked += 1
        now = self.product.clock()
        facts = await book.facts_of(self.session, self.customer, now)
        return await suggestions.suggest(
            self.session,
            Question(f"typed:{self.asked}", text, self.rm.id, turns=tuple(turns)),
            facts,
            index=self.product.parts.index,
            writer=writer or self.writer,
            now=now,
        )

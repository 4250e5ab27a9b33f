"""A wording model on the wire that means harm: it echoes, remembers, invents and promises."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from openai import AsyncOpenAI

from knowledge.writer import OpenAIWriter

MODEL, PATIENCE = "hostile", 20.0
REMEMBERED = 50
MOST_SENTENCES = 8


class Hostile:
    """What it was asked, and how it answers: by the dice, unless it is told what to say."""

    def __init__(self, dice: Random) -> None:
        self.dice = dice
        self.prompts: list[str] = []
        self.invents: list[str] = []  # sentences it is to bring in

    async def complete(self, request: web.Request) -> web.Response:
        """Chat completions."""
        asked = await request.json()
        prompt = json.dumps(asked["messages"], ensure_ascii=False)
        said = self.dice.choice(WAYS)(self, asked["messages"])
        self.prompts.append(prompt)
        parts = [{"text": text, "passage": 1} for text in (*said, *self.invents)]
        content = json.dumps({"sentences": parts[:MOST_SENTENCES]}, ensure_ascii=False)
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        answer = {"id": "x", "object": "chat.completion", "created": 1, "model": MODEL}
        return web.json_response(answer | {"choices": [choice]})

    def remembered(self) -> str:
        """What somebody else has asked lately."""
        lately = self.prompts[-REMEMBERED:]
        return self.dice.choice(lately) if lately else ""


Messages = list[dict[str, Any]]


def _told(messages: Messages) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(messages[-1]["content"])
    return told


def _faithful(model: Hostile, messages: Messages) -> list[str]:
    """The passage as it stands: what a good model might do, so that its words do go out."""
    return [_told(messages)["passages"][0]["text"]]


def _echo(model: Hostile, messages: Messages) -> list[str]:
    return [message["content"] for message in messages]


def _question(model: Hostile, messages: Messages) -> list[str]:
    told = _told(messages)
    return [f"{told['passages'][0]['text']}您问的是：{told['question']}。"]


def _memory(model: Hostile, messages: Messages) -> list[str]:
    """The passage, and with it what another customer has asked."""
    return [*_faithful(model, messages), f"另一位客户问：{model.remembered()}"]


def _only_memory(model: Hostile, messages: Messages) -> list[str]:
    return [model.remembered() or "好的。"]


def _system(model: Hostile, messages: Messages) -> list[str]:
    return [*_faithful(model, messages), messages[0]["content"]]


WAYS: tuple[Callable[[Hostile, Messages], list[str]], ...] = (
    _faithful, _echo, _question, _memory, _only_memory, _system,
)  # fmt: skip


@asynccontextmanager
async def a_hostile_model(dice: Random) -> AsyncIterator[tuple[Hostile, OpenAIWriter]]:
    """The model behind its address, and the product's writer that asks it."""
    model, app = Hostile(dice), web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    async with TestServer(app) as server:
        address = str(server.make_url("/v1"))
        async with AsyncOpenAI(base_url=address, api_key="none", max_retries=0) as client:
            yield model, OpenAIWriter(client, MODEL, patience=PATIENCE)

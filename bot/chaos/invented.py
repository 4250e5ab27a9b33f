"""L-08: products nobody has ever heard of: no answer of ours says a word or a number of them.

Each name is asked about twice, with a model that makes things up and with passages quoted alone.
"""

from contextlib import AsyncExitStack
from random import Random

from bot.chaos.canaries import PAUSE, World, a_world
from bot.chaos.found import Found, share_of
from bot.chaos.ground import Ground
from bot.chaos.hostile import Hostile, a_hostile_model
from compliance.citations import untraceable_numbers
from content import products
from customers import book
from customers.models import Customer
from knowledge import replies, suggestions
from knowledge.cases import Question
from knowledge.models import Suggestion, SuggestionState
from knowledge.writer import QuotingWriter, Writer
from outbound.check import Cleared
from outbound.facts import policy_of

NAMES, LEAST = 400, 20
FIRST = "鑫盈稳泰瑞丰祥裕恒达富睿臻尊悦添惠锦玖骏"
SORTS = (
    "{n}号",
    "{n}天持有",
    "增利{n}期",
    "宝",
    "稳健{n}月开",
    "尊享{n}号",
    "固收增强{n}",
    "年金",
    "精选混合",
)
QUESTIONS = (
    "{name}收益怎么样", "{name}现在能买吗", "{name}手续费是多少", "{name}是几级风险",
    "{name}几天能赎回到账", "有没有{name}的介绍", "{name}起购金额多少", "{name}和定期比哪个好",
)  # fmt: skip
INVENTIONS = (
    "{name}近一年年化收益{n}.{n}%，现在可以购买。",
    "{name}赎回后{n}个工作日到账。",
    "{name}风险等级为R{n}，起购{n}万元。",
    "{name}手续费为0.{n}%，持有{n}天以上免收。",
)


async def invented(ground: Ground, seed: int, share: float) -> Found:
    """Names of products that do not exist: the rate at which one, or a number, is said is 0."""
    found, dice = Found("L-08 unknown products", seed), Random(seed)
    async with AsyncExitStack() as stack:
        world = await a_world(stack, ground, dice)
        model, writer = await stack.enter_async_context(a_hostile_model(dice))
        for _ in range(share_of(NAMES, share, LEAST)):
            name = _a_name(dice)
            if await products.named_in(world.session, name):
                continue
            found.faults["names"] += 1
            for by in (writer, QuotingWriter()):
                await _asked(world, by, model, name, found)
            await world.session.commit()
    said = found.failures
    found.figures["invented"] = f"{said} of {found.runs:,} ({said / found.runs:.2%})"
    found.figures["asked of a model"] = f"{len(model.prompts):,}"
    return found


def _a_name(dice: Random) -> str:
    first = "".join(dice.sample(FIRST, dice.randint(2, 3)))
    return first + dice.choice(SORTS).format(n=dice.randint(2, 99))


async def _asked(world: World, writer: Writer, model: Hostile, name: str, found: Found) -> None:
    """One question about it: what is drafted, what passes, and what an RM might add by hand."""
    dice, session = world.dice, world.session
    told = [one.format(name=name, n=dice.randint(1, 9)) for one in INVENTIONS]
    model.invents = dice.sample(told, dice.randint(1, 3))
    world.clock.forward(PAUSE)
    now = world.clock()
    who = await session.get_one(Customer, dice.choice(list(world.canaries)))
    text = dice.choice(QUESTIONS).format(name=name)
    made = await suggestions.suggest(
        session,
        Question(f"typed:{name}:{writer.name}:{found.runs}", text, world.rm),
        await book.facts_of(session, who, now),
        index=world.index,
        writer=writer,
        now=now,
    )
    found.faults[made.state.label] += 1
    for words in (made.draft, *(one["draft"] for one in made.variants)):
        _nothing_of_it(found, made, name, words)
    policy = policy_of(world.settings)
    for words in (made.draft, f"{made.draft}{dice.choice(told)}"):
        answer = await replies.clear(session, made, words, policy, now)
        _nothing_of_it(found, made, name, answer.text if isinstance(answer, Cleared) else "")
    if made.state is SuggestionState.NO_MATCH:
        found.check(made.draft == "", f"{name}: words without a source")
    found.runs += 1
    found.events += 4


def _nothing_of_it(found: Found, made: Suggestion, name: str, words: str) -> None:
    found.check(name not in words, f"the name: {words}")
    passages = [citation["passage"] for citation in made.citations]
    passages += [each["passage"] for one in made.variants for each in one["citations"]]
    loose = untraceable_numbers(words, passages) if words else []
    found.check(not loose, f"{name}: a number of its own in {words}")

"""Training a sentence-transformers model on wordings, with that library's own trainer and loss."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from knowledge.contrastive import Schedule
from knowledge.encoder import Encoder, ModelsNotInstalled, SentenceTransformersEncoder

Pair = tuple[str, str]


def train_model(
    encoder: Encoder,
    meanings: Sequence[Sequence[str]],
    schedule: Schedule,
    out: Path,
    stepped: Callable[[int], None],
) -> None:
    """Train the encoder's model where it stands and write it as a folder.

    Each wording has to find its partner among those of the batch. `stepped` hears each step.
    """
    try:
        from sentence_transformers import (
            SentenceTransformerTrainer,
            SentenceTransformerTrainingArguments,
        )
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
        from transformers import PrinterCallback
        from transformers.utils.logging import disable_progress_bar
    except ImportError as missing:
        raise ModelsNotInstalled from missing
    if not isinstance(encoder, SentenceTransformersEncoder):
        raise TypeError(f"{encoder.name} is no sentence model")
    # Whoever waits sees how far it is by `stepped`.
    disable_progress_bar()
    drawn = batches(meanings, schedule)
    with TemporaryDirectory(prefix="siyu-tune-") as scratch:
        trainer = SentenceTransformerTrainer(
            model=encoder.model,
            args=SentenceTransformerTrainingArguments(
                output_dir=scratch,
                num_train_epochs=1,
                per_device_train_batch_size=schedule.batch,
                batch_sampler=lambda *_, **__: InOrder(drawn, stepped),
                learning_rate=schedule.rate,
                warmup_steps=schedule.steps // 10,
                seed=schedule.seed,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=_dataset(drawn),
            loss=MultipleNegativesRankingLoss(encoder.model, scale=schedule.scale),
        )
        # It would print to stdout, where the report goes.
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    encoder.model.save_pretrained(str(out), create_model_card=False)


def batches(meanings: Sequence[Sequence[str]], schedule: Schedule) -> list[list[Pair]]:
    """As many batches as there are steps, in rounds: in a round every meaning gives one pair.

    So no batch has two pairs of a meaning, which would have to tell its own wordings apart.
    """
    dice = np.random.default_rng(schedule.seed)
    drawn: list[list[Pair]] = []
    while len(drawn) < schedule.steps:
        order = dice.permutation(len(meanings))
        portions = np.array_split(order, -(-len(order) // schedule.batch))
        drawn += [[_pair(meanings[number], dice) for number in portion] for portion in portions]
    return drawn[: schedule.steps]


def _pair(wordings: Sequence[str], dice: np.random.Generator) -> Pair:
    first, second = dice.choice(len(wordings), 2, replace=False)
    return wordings[first], wordings[second]


class InOrder:
    """The batches as they were drawn, as row numbers of the dataset; says which are done."""

    def __init__(self, drawn: Sequence[Sequence[Pair]], stepped: Callable[[int], None]) -> None:
        self._sizes, self._stepped = [len(batch) for batch in drawn], stepped

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for number, size in enumerate(self._sizes, 1):
            yield list(range(start, start + size))
            start += size
            self._stepped(number)


def _dataset(drawn: Sequence[Sequence[Pair]]) -> Any:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    pairs = [pair for batch in drawn for pair in batch]
    return Dataset.from_dict({"anchor": [a for a, _ in pairs], "positive": [p for _, p in pairs]})

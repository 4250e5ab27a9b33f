"""Make the encoder table: `python -m knowledge.training.train --out knowledge/static_table.npz`."""

import argparse
from pathlib import Path

import numpy as np

from knowledge.contrastive import Schedule, fit
from knowledge.encoder import (
    BUCKETS,
    DIMENSION,
    StaticEncoder,
    Vectors,
    pack,
    quantise,
    table_digest,
)
from knowledge.training.intents import read_intents


def untrained(seed: int, size: int = BUCKETS, dimension: int = DIMENSION) -> StaticEncoder:
    """A table of random rows of length about 2: grams never trained on still tell texts apart."""
    dice = np.random.default_rng(seed)
    rows: Vectors = dice.standard_normal((size, dimension), dtype=np.float32)
    return StaticEncoder(rows * 2 / np.sqrt(dimension), np.ones(size))


def train(intents: dict[str, list[str]], schedule: Schedule) -> StaticEncoder:
    """The encoder learnt from the intents alone; the same seed gives the same table."""
    return fit(untrained(schedule.seed), list(intents.values()), schedule)


def write_table(encoder: StaticEncoder, out: Path) -> None:
    """The encoder's table in four bits a number, with its checksum."""
    levels, scales = quantise(encoder.table)
    packed = pack(levels)
    digest = np.array(table_digest(packed, scales))
    np.savez_compressed(out, table=packed, scales=scales, sha256=digest)


def main() -> None:
    """Train on the intents beside this file and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Schedule().steps)
    parser.add_argument("--seed", type=int, default=Schedule().seed)
    options = parser.parse_args()
    intents = read_intents()
    wordings = sum(map(len, intents.values()))
    print(f"{len(intents)} intents, {wordings} wordings, {options.steps} steps")
    write_table(train(intents, Schedule(steps=options.steps, seed=options.seed)), options.out)
    print(f"wrote {options.out} ({options.out.stat().st_size / 2**20:.1f} MiB)")


if __name__ == "__main__":
    main()

"""Make the classifier: `python -m compliance.training.train --out compliance/classifier.npz`.

Needs scikit-learn (`pip install .[dev]`); the product itself does not.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from compliance.classifier import CATEGORY_BUCKETS, Classifier, closest, weighed
from compliance.grams import BUCKETS, Floats, Grams, Places, grams
from compliance.normalise import normalise
from compliance.training.sentences import LEARNT, Sentence, read_sentences

# All chosen by cross-validation over the learnt sentences.
STRICTNESS, CATEGORY_STRICTNESS = 20.0, 10.0
RARITY = 1.5
STEPS = 127


def train(sentences: Sequence[Sentence]) -> Classifier:
    """Learn whether from all sentences, and which from those that break a rule.

    The same sentences in the same order give the same weights.
    """
    seen = [grams(normalise(sentence.text).text) for sentence in sentences]
    idf = inverse_document_frequency(seen)
    features = as_matrix(seen, idf)
    violates = np.array([sentence.violates for sentence in sentences])
    whether = LogisticRegression(C=STRICTNESS, solver="liblinear", random_state=1)
    whether.fit(features, violates)
    folded = _folded([found for found, does in zip(seen, violates, strict=True) if does], idf)
    names = [sentence.category for sentence in sentences if sentence.violates]
    which = LogisticRegression(C=CATEGORY_STRICTNESS, max_iter=400).fit(folded, names)
    return Classifier(
        idf=idf,
        weights=whether.coef_[0].astype(np.float32),
        bias=float(whether.intercept_[0]),
        categories=[str(name) for name in which.classes_],
        category_weights=which.coef_.T.astype(np.float32),
        category_bias=which.intercept_.astype(np.float32),
    )


def inverse_document_frequency(seen: Sequence[Grams]) -> Floats:
    """ln((1 + n) / (1 + df)) + 1, to a power, for each bucket; 0 for one that was never seen."""
    frequency = np.zeros(BUCKETS)
    for found in seen:
        frequency[np.unique(found.bucket)] += 1
    idf = np.log((1 + len(seen)) / (1 + frequency)) + 1
    idf **= RARITY
    known: Floats = np.where(frequency > 0, idf, 0).astype(np.float32)
    return known


def as_matrix(seen: Sequence[Grams], idf: Floats) -> csr_matrix:
    """One row a sentence, one column a bucket."""
    return _matrix([weighed(found, idf) for found in seen], BUCKETS)


def _matrix(rows: Sequence[tuple[Places, Floats]], width: int) -> csr_matrix:
    ends = np.cumsum([0, *(len(buckets) for buckets, _ in rows)])
    columns = np.concatenate([buckets for buckets, _ in rows])
    values = np.concatenate([values for _, values in rows])
    return csr_matrix((values, columns, ends), shape=(len(rows), width))


def _folded(seen: Sequence[Grams], idf: Floats) -> csr_matrix:
    """The columns of the smaller table in which categories are told apart."""
    close = [closest(*weighed(found, idf)) for found in seen]
    return _matrix([(rows % CATEGORY_BUCKETS, values) for rows, values in close], CATEGORY_BUCKETS)


def write(classifier: Classifier, out: Path) -> None:
    """The weights in a byte each."""
    idf, idf_step = _narrowed(classifier.idf)
    weights, weights_step = _narrowed(classifier.weights)
    by_category, by_category_step = _narrowed(classifier.category_weights)
    np.savez_compressed(
        out,
        idf=idf,
        idf_step=idf_step,
        weights=weights,
        weights_step=weights_step,
        bias=np.float32(classifier.bias),
        categories=np.array(classifier.categories),
        by_category=by_category,
        by_category_step=by_category_step,
        category_bias=classifier.category_bias,
    )


def _narrowed(numbers: Floats) -> tuple[NDArray[np.int8], np.float32]:
    step = np.float32(np.abs(numbers).max() / STEPS)
    return np.rint(numbers / step).astype(np.int8), step


def main() -> None:
    """Train on the sentences beside this file and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sentences = read_sentences(LEARNT)
    violating = sum(sentence.violates for sentence in sentences)
    print(f"{len(sentences):,} sentences, {violating:,} of them violate")
    write(train(sentences), options.out)
    print(f"wrote {options.out} ({options.out.stat().st_size / 1024:.0f} KiB)")


if __name__ == "__main__":
    main()

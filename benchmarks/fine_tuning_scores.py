"""How the predictions of both sides of ``fine_tuning.py`` are scored: by our own scorers.

Each function takes the held-out file, the training file and the predictions.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bertfeat.ner.files import read_tagged
from bertfeat_tools.finetuning.segmented import as_sentence, read_segmented, words_of
from bertfeat_tools.finetuning.triple_examples import read_triple_examples, schema_of
from bertfeat_tools.scoring.chunks import score_chunks
from bertfeat_tools.scoring.lines import score_classes, score_similarities
from bertfeat_tools.scoring.segmentation import segmentation_statistic
from bertfeat_tools.scoring.span import read_questions as read_gold
from bertfeat_tools.scoring.span import score_spans
from bertfeat_tools.scoring.triples import Triple, triple_statistic


def _labels(dev: Path) -> list[Any]:
    return [json.loads(line)["label"] for line in dev.read_text("utf-8").splitlines()]


def score_labels(dev: Path, train: Path, predicted: Any) -> Mapping[str, float]:
    """Score classes; F1 is that of the label 1."""
    gold = [str(label) for label in _labels(dev)]
    return score_classes(gold, [str(p) for p in predicted], "1" if "1" in gold else None)


def score_values(dev: Path, train: Path, predicted: Any) -> Mapping[str, float]:
    """Score values."""
    return score_similarities(np.array(_labels(dev), float), np.array(predicted, float))


def score_entities(dev: Path, train: Path, predicted: Any) -> Mapping[str, float]:
    """Score tags as conlleval does."""
    gold = [list(s.tags or ()) for s in read_tagged(dev)]
    return score_chunks(gold, predicted, mode="conlleval", scheme="IOB2")[""].to_dict()


def score_words(dev: Path, train: Path, predicted: Any) -> Mapping[str, float]:
    """Score segmented words as SIGHAN does."""
    gold = read_segmented(dev)
    known = frozenset(word for words in read_segmented(train) for word in words)
    letters = [as_sentence(words).words for words in gold]
    found = [words_of(*pair) for pair in zip(letters, predicted, strict=True)]
    return segmentation_statistic(gold, found, known)(np.arange(len(gold)))


def score_answers(dev: Path, train: Path, predicted: Any) -> Mapping[str, float]:
    """Score answers as SQuAD's script does."""
    return score_spans(read_gold(dev)[0], predicted, False)


def score_triples(dev: Path, train: Path, predicted: Any) -> Mapping[str, float]:
    """Score triples of places strictly; a relation says which labels its parts have."""
    labels = schema_of(read_triple_examples(train))
    found = [
        frozenset(
            Triple((*s, labels[name][0]), name, (*o, labels[name][1])) for s, name, o in triples
        )
        for triples in predicted
    ]
    gold = [example.scored("strict") for example in read_triple_examples(dev)]
    return triple_statistic(gold, found)(np.arange(len(gold)))

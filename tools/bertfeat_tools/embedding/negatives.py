"""Hard negatives: texts near an anchor that are not its positives, found with FAISS."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bertfeat.errors import InputError
from bertfeat_tools.table import Row

if TYPE_CHECKING:
    from bertfeat.api import Encoder


@dataclass(frozen=True)
class Mining:
    """Which of the neighbours are negatives.

    Attributes:
        count: negatives of each pair, at most.
        margin: a negative's cosine lies at least so far below the positive's.
        skip: nearest texts that are passed over whatever their cosine.
        among: nearest texts that are looked at.
    """

    count: int = 1
    margin: float = 0.05
    skip: int = 0
    among: int = 50


def mine(
    encoder: "Encoder", pairs: Sequence[tuple[str, str]], corpus: Sequence[str], mining: Mining
) -> Iterator[tuple[str, str, str]]:
    """Yield anchor, positive and negative; the negatives of a pair nearest first.

    Never a negative are the anchor itself and any positive that it has in any pair.

    Args:
        encoder: gives the vectors; anchors as queries, the others as documents.
        pairs: anchor and positive.
        corpus: where negatives are looked for; the positives of other anchors belong to it.
        mining: which are taken.

    Raises:
        InputError: there are no pairs.
    """
    from bertfeat.index.flat import FlatVectors

    if not pairs:
        raise InputError("expected pairs of anchor and positive, got none; name a file with rows")
    positives: dict[str, set[str]] = defaultdict(set)
    for anchor, positive in pairs:
        positives[anchor].add(positive)
    texts = list(dict.fromkeys([*(positive for _, positive in pairs), *corpus]))
    places = {text: place for place, text in enumerate(texts)}
    vectors = encoder.encode_document(texts, normalize=True)
    anchors = list(positives)
    queries = encoder.encode_query(anchors, normalize=True)
    index = FlatVectors(vectors.shape[1], "cosine")
    index.add(np.arange(len(texts)), vectors)
    ids, scores = index.search(queries, min(mining.among, len(texts)))
    rows = {anchor: row for row, anchor in enumerate(anchors)}
    for anchor, positive in pairs:
        row = rows[anchor]
        limit = float(queries[row] @ vectors[places[positive]]) - mining.margin
        known = positives[anchor] | {anchor}
        found = [
            texts[place] for place, score in zip(ids[row], scores[row], strict=True)
            if place >= 0 and texts[place] not in known
        ][mining.skip :]  # fmt: skip
        cosine = dict(zip(ids[row].tolist(), scores[row].tolist(), strict=True))
        fit = [text for text in found if cosine[places[text]] <= limit]
        for negative in fit[: mining.count]:
            yield anchor, positive, negative


def pairs_of(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return anchor and positive of each row, each pair once."""
    return list(dict.fromkeys((row.values[0], row.values[1]) for row in rows))

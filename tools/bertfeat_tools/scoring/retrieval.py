"""How good rankings are: nDCG, MRR, MAP, recall and precision, as ``trec_eval`` counts them.

A query that has no relevant document is left out; one that a run does not answer scores 0, as with
``trec_eval -c``.  The gain of nDCG is the relevance itself (Järvelin and Kekäläinen 2002), or
2^relevance - 1 (Burges et al. 2005), discounted by the logarithm to base 2 of the rank plus one.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bertfeat.errors import InputError
from bertfeat_tools.scoring.judgements import Qrels, Run, ranking

CUTOFFS = (1, 10, 100)
Array = NDArray[np.float64]
GAINS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda relevance: relevance,
    "exponential": lambda relevance: 2**relevance - 1,
}


def score_query(
    ranked: Sequence[str],
    relevance: Mapping[str, int],
    cutoffs: Sequence[int] = CUTOFFS,
    gain: str = "linear",
) -> dict[str, float]:
    """Score one ranking.

    Args:
        ranked: documents, best first.
        relevance: of the documents that were judged, one of them above 0 at least.
        cutoffs: ranks to which the ranking is read.
        gain: ``linear`` or ``exponential``.

    Returns:
        ``mrr`` and ``map`` of the whole ranking, then ``ndcg@k``, ``mrr@k``, ``map@k``,
        ``recall@k`` and ``precision@k``.
    """
    length = max(len(ranked), *cutoffs)
    grades = np.zeros(length)
    grades[: len(ranked)] = [max(relevance.get(document, 0), 0) for document in ranked]
    best = np.zeros(length)
    wanted = np.sort([grade for grade in relevance.values() if grade > 0])[::-1]
    best[: len(wanted)] = wanted[:length]
    ranks, hits = np.arange(1, length + 1), grades > 0
    sums = {
        "dcg": np.cumsum(GAINS[gain](grades) / np.log2(ranks + 1)),
        "ideal": np.cumsum(GAINS[gain](best) / np.log2(ranks + 1)),
        "hits": np.cumsum(hits),
        "map": np.cumsum(hits * np.cumsum(hits) / ranks) / len(wanted),
        "mrr": np.maximum.accumulate(hits / ranks),
    }
    found = {"mrr": sums["mrr"][-1], "map": sums["map"][-1]}
    for k in cutoffs:
        at = {name: values[k - 1] for name, values in sums.items()}
        found |= {
            f"ndcg@{k}": at["dcg"] / at["ideal"],
            f"mrr@{k}": at["mrr"],
            f"map@{k}": at["map"],
            f"recall@{k}": at["hits"] / len(wanted),
            f"precision@{k}": at["hits"] / k,
        }
    return {name: float(value) for name, value in found.items()}


def retrieval_statistic(
    qrels: Qrels, run: Run, cutoffs: Sequence[int] = CUTOFFS, gain: str = "linear"
) -> tuple[int, Callable[[NDArray[np.intp]], dict[str, float]]]:
    """Return how many queries count, and their mean scores as a function of the queries chosen.

    Raises:
        InputError: no query has a relevant document, or the run answers none of them.
    """
    queries = [query for query, judged in qrels.items() if max(judged.values()) > 0]
    if not any(query in run for query in queries):
        raise InputError(
            f"expected answers to the {len(queries)} queries that have relevant documents, none of "
            f"the run's {len(run)} is one of them; give the run and the judgements of one test set"
        )
    scores = [
        score_query(ranking(run.get(query, {})), qrels[query], cutoffs, gain) for query in queries
    ]
    table = np.array([list(one.values()) for one in scores])

    def mean(rows: NDArray[np.intp]) -> dict[str, float]:
        return dict(zip(scores[0], table[rows].mean(axis=0).tolist(), strict=True))

    return len(queries), mean

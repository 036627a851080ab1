"""Exact search: a flat FAISS index in memory, its scores refined and its ties put in order.

FAISS finds candidates in float32, whose last digits depend on how many queries come at once.  The
candidates' scores are computed anew in float64, and more candidates are fetched while one that was
left out could still be among the best, so that a result is what brute force gives: the same scores
in any batch, equal scores by ascending id.
"""

from pathlib import Path
from typing import Any

import numpy as np

SPARE = 16
GROWTH = 4
CHUNK_ROWS = 4096
BLOCK_QUERIES = 1024
# Bound on the rounding of FAISS's float32 sums, relative to the product of the vectors' lengths.
ROUNDING = 1e-5


class FlatVectors:
    """Vectors by id, compared by brute force.

    Args:
        dim: length of the vectors.
        metric: ``cosine`` and ``inner_product`` score by the inner product (for cosine the caller
            gives vectors of length 1), ``l2`` by the negative Euclidean distance.
    """

    def __init__(self, dim: int, metric: str) -> None:
        import faiss

        self.dim, self.metric = dim, metric
        flat = faiss.IndexFlatL2(dim) if metric == "l2" else faiss.IndexFlatIP(dim)
        self._use(faiss.IndexIDMap2(flat))
        self._longest = 0.0
        self._highest_id = -1

    @classmethod
    def load(cls, path: Path, dim: int, metric: str) -> "FlatVectors":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: the file is no such index of this dimension and metric.
        """
        import faiss

        vectors = cls(dim, metric)
        try:
            index: Any = faiss.read_index(str(path))
        except (RuntimeError, MemoryError) as error:
            raise ValueError(f"FAISS cannot read it: {error}") from error
        wanted = vectors._index
        if type(index) is not type(wanted) or index.metric_type != wanted.metric_type:
            raise ValueError(f"it holds another index than one for {metric}")
        if index.d != dim or index.id_map.size() != index.ntotal:
            raise ValueError(f"it holds {index.d} dimensions instead of {dim}, or lacks ids")
        vectors._use(index)
        stored = vectors._vectors()
        for start in range(0, len(stored), CHUNK_ROWS):
            vectors._measure(stored[start : start + CHUNK_ROWS])
        vectors._highest_id = int(vectors.ids().max(initial=-1))
        return vectors

    def save(self, path: Path) -> None:
        """Write a file that any FAISS program reads (``IndexIDMap2`` over a flat index)."""
        import faiss

        faiss.write_index(self._index, str(path))

    @property
    def ntotal(self) -> int:
        """Number of vectors."""
        return int(self._index.ntotal)

    def ids(self) -> np.ndarray:
        """Return all ids, int64 (ntotal,), in FAISS's order."""
        import faiss

        ids: np.ndarray = faiss.vector_to_array(self._index.id_map)
        return ids

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Add vectors, float32 (n, dim), under new ids, int64 (n,)."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), ids)
        self._measure(vectors)
        self._highest_id = max(self._highest_id, int(ids.max(initial=-1)))

    def remove(self, ids: np.ndarray) -> None:
        """Remove those of ``ids``, int64 (n,), that are there."""
        known = ids[ids <= self._highest_id]
        if self.ntotal and known.size:
            self._index.remove_ids(known)

    def get(self, ids: np.ndarray) -> np.ndarray:
        """Return the vectors, float32 (n, dim), of ids that are there."""
        vectors: np.ndarray = self._index.reconstruct_batch(np.ascontiguousarray(ids, np.int64))
        return vectors

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest vectors of each query.

        Args:
            queries: float32 (n, dim).

        Returns:
            ids, int64 (n, k), best first, -1 where there are fewer than ``k`` vectors; scores,
            float32 (n, k), growing with nearness, -inf there.
        """
        ids = np.full((len(queries), k), -1, np.int64)
        scores = np.full((len(queries), k), -np.inf, np.float32)
        for start in range(0, len(queries) if self.ntotal else 0, BLOCK_QUERIES):
            rows = np.arange(start, min(start + BLOCK_QUERIES, len(queries)))
            width = k + SPARE
            while rows.size:
                rows = self._fill(ids, scores, queries, rows, min(width, self.ntotal))
                width *= GROWTH
        return ids, scores

    def _fill(
        self, ids: np.ndarray, scores: np.ndarray, queries: np.ndarray, rows: np.ndarray, width: int
    ) -> np.ndarray:
        """Fill ``rows`` of the result from ``width`` candidates; return the rows left unsettled."""
        block = np.ascontiguousarray(queries[rows], np.float32)
        values, positions = self._flat.search(block, width)
        stored, names = self._vectors(), self.ids()
        unsettled = []
        for row, found, last in zip(rows, positions, values[:, -1], strict=True):
            exact = _scores(queries[row], stored, found, self.metric)
            order = np.lexsort((names[found], -exact))[: ids.shape[1]]
            ids[row, : len(order)] = names[found][order]
            scores[row, : len(order)] = exact[order]
            if width < self.ntotal and self._beyond(queries[row], last) >= exact[order[-1]]:
                unsettled.append(row)
        return np.array(unsettled, np.int64)

    def _beyond(self, query: np.ndarray, last: float) -> float:
        """Bound the score of vectors that FAISS ranked behind a candidate of value ``last``."""
        length = float(np.linalg.norm(query))
        if self.metric == "l2":
            slack = ROUNDING * (length + self._longest) ** 2
            return -float(np.sqrt(max(float(last) - slack, 0.0)))
        return float(last) + ROUNDING * length * self._longest

    def _use(self, index: Any) -> None:
        import faiss

        self._index: Any = index
        self._flat: Any = faiss.downcast_index(index.index)

    def _vectors(self) -> np.ndarray:
        """FAISS's own memory as float32 (ntotal, dim); stale after the next change."""
        import faiss

        if not self.ntotal:
            return np.empty((0, self.dim), np.float32)
        flat = faiss.rev_swig_ptr(self._flat.get_xb(), self.ntotal * self.dim)
        return np.asarray(flat).reshape(self.ntotal, self.dim)

    def _measure(self, vectors: np.ndarray) -> None:
        lengths = np.linalg.norm(vectors, axis=1)
        self._longest = max(self._longest, float(lengths.max(initial=0.0)))


def _scores(
    query: np.ndarray, stored: np.ndarray, positions: np.ndarray, metric: str
) -> np.ndarray:
    """Score stored vectors, float32 (width,), each computed in float64 on its own.

    A sum along the row, not a matrix product: equal vectors must get equal scores.
    """
    asked = query.astype(np.float64)
    parts = []
    for start in range(0, len(positions), CHUNK_ROWS):
        vectors = stored[positions[start : start + CHUNK_ROWS]].astype(np.float64)
        if metric == "l2":
            parts.append(0.0 - np.sqrt(((vectors - asked) ** 2).sum(axis=1)))
        else:
            parts.append((vectors * asked).sum(axis=1))
    return np.concatenate(parts).astype(np.float32)

"""The paths of a linear-chain CRF, outside any graph: best, n best, marginals, their sum.

Plain NumPy over a batch, float64 inside.  Positions that are masked are left out as if they were
not there, so that a mask may have holes anywhere; a row that is wholly masked has the one empty
path with score 0.
"""

from dataclasses import dataclass

import numpy as np

IMPOSSIBLE = -1e9
"""Score of what may not be: far below any other, yet finite."""


@dataclass(frozen=True)
class Scores:
    """What a CRF has learned, and what it may not do.

    Attributes:
        start: float (T,), of beginning with a tag.
        end: float (T,), of ending with one.
        follow: float (T, T), of [tag, next tag].
    """

    start: np.ndarray
    end: np.ndarray
    follow: np.ndarray

    def constrained(self, allowed: tuple[np.ndarray, np.ndarray, np.ndarray] | None) -> "Scores":
        """Return scores under which what is not allowed is impossible."""
        if allowed is None:
            return self
        own = (self.start, self.end, self.follow)
        return Scores(*(np.where(may, x, IMPOSSIBLE) for x, may in zip(own, allowed, strict=True)))


@dataclass(frozen=True)
class Path:
    """One path of a row.

    Attributes:
        tags: int (S,), -1 where the mask is off.
        score: its log-probability.
    """

    tags: np.ndarray
    score: float


def compact(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row the places of its unmasked positions first, and how many there are.

    Args:
        mask: bool (B, S).

    Returns:
        int (B, S) and int (B,).
    """
    return np.argsort(~mask, axis=1, kind="stable"), mask.sum(axis=1)


def log_partition(emissions: np.ndarray, mask: np.ndarray, scores: Scores) -> np.ndarray:
    """Return the logarithm of the sum over all paths, float64 (B,)."""
    forward = _forward(*_gathered(emissions, mask), scores)
    lengths = mask.sum(axis=1)
    last = forward[np.arange(len(mask)), np.maximum(lengths - 1, 0)]
    return np.where(lengths > 0, _logsumexp(last + scores.end, -1), 0.0)


def marginals(emissions: np.ndarray, mask: np.ndarray, scores: Scores) -> np.ndarray:
    """Return the probability of each tag at each position, float64 (B, S, T); 0 where masked."""
    gathered, lengths = _gathered(emissions, mask)
    forward = _forward(gathered, lengths, scores)
    backward = _backward(gathered, lengths, scores)
    both = forward + backward
    both = np.exp(both - _logsumexp(both, -1)[..., None])
    order, _ = compact(mask)
    found = np.zeros_like(both)
    np.put_along_axis(found, order[..., None], both, axis=1)
    return np.where(mask[..., None], found, 0.0)


def n_best(emissions: np.ndarray, mask: np.ndarray, scores: Scores, k: int) -> list[list[Path]]:
    """Return for each row its `k` likeliest paths (fewer where there are fewer), best first.

    Args:
        emissions: float (B, S, T).
        mask: bool (B, S).
        scores: of the CRF; what is at or below half of ``IMPOSSIBLE`` is left out.
        k: how many.
    """
    gathered, lengths = _gathered(emissions, mask)
    total = log_partition(emissions, mask, scores)
    order, _ = compact(mask)
    found = []
    for row, length in enumerate(lengths):
        paths = _row_n_best(gathered[row, :length], scores, k)
        found.append([_placed(p, s - total[row], order[row], mask.shape[1]) for p, s in paths])
    return found


def viterbi(emissions: np.ndarray, mask: np.ndarray, scores: Scores) -> np.ndarray:
    """Return the likeliest path of each row, int (B, S), -1 where the mask is off."""
    gathered, lengths = _gathered(emissions, mask)
    rows, longest, tags = gathered.shape
    best = scores.start + gathered[:, 0] if longest else np.zeros((rows, tags))
    back = np.zeros(gathered.shape, np.int64)
    for place in range(1, longest):
        reached = best[:, :, None] + scores.follow  # (B, T, T)
        back[:, place] = reached.argmax(axis=1)
        new = reached.max(axis=1) + gathered[:, place]
        best = np.where((place < lengths)[:, None], new, best)
    tag = (best + scores.end).argmax(axis=1)
    path = np.full((rows, longest), -1)
    for place in range(longest - 1, -1, -1):
        inside = place < lengths
        path[inside, place] = tag[inside]
        tag = np.where(inside, back[np.arange(rows), place, tag], tag)
    found = np.full(mask.shape, -1)
    np.put_along_axis(found, compact(mask)[0][:, :longest], path, axis=1)
    return np.where(mask, found, -1)


def _gathered(emissions: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move what is not masked to the front and cut to the longest row."""
    order, lengths = compact(mask)
    moved = np.take_along_axis(emissions.astype(np.float64), order[..., None], axis=1)
    return moved, lengths


def _forward(emissions: np.ndarray, lengths: np.ndarray, scores: Scores) -> np.ndarray:
    """Return the log-sum of all paths up to each position and tag, (B, S, T)."""
    found = np.zeros_like(emissions)
    if emissions.shape[1]:
        found[:, 0] = scores.start + emissions[:, 0]
    for place in range(1, emissions.shape[1]):
        before = found[:, place - 1, :, None] + scores.follow
        found[:, place] = _logsumexp(before, 1) + emissions[:, place]
    return found


def _backward(emissions: np.ndarray, lengths: np.ndarray, scores: Scores) -> np.ndarray:
    """Return the log-sum of all paths behind each position and tag, (B, S, T)."""
    found = np.zeros_like(emissions)
    for place in range(emissions.shape[1] - 1, -1, -1):
        last = (place >= lengths - 1)[:, None]
        after = scores.end
        if place + 1 < emissions.shape[1]:
            ahead = found[:, place + 1] + emissions[:, place + 1]
            after = np.where(last, after, _logsumexp(scores.follow + ahead[:, None, :], 2))
        found[:, place] = after
    return found


def _row_n_best(emissions: np.ndarray, scores: Scores, k: int) -> list[tuple[list[int], float]]:
    """Return the best paths of one row with their scores; each tag keeps its `k` best so far."""
    if not len(emissions):
        return [([], 0.0)]
    tags = emissions.shape[1]
    best = (scores.start + emissions[0])[:, None]  # (T, number)
    backs: list[tuple[np.ndarray, np.ndarray]] = []
    for emission in emissions[1:]:
        reached = (best[:, :, None] + scores.follow[:, None, :]).reshape(-1, tags)
        top = np.argsort(-reached, axis=0, kind="stable")[:k].T  # (T, number)
        backs.append((top // best.shape[1], top % best.shape[1]))
        best = np.take_along_axis(reached.T, top, axis=1) + emission[:, None]
    final = (best + scores.end[:, None]).ravel()
    found = []
    for place in np.argsort(-final, kind="stable")[:k]:
        if final[place] <= IMPOSSIBLE / 2:
            break
        tag, rank = divmod(int(place), best.shape[1])
        path = [tag]
        for from_tag, from_rank in reversed(backs):
            tag, rank = int(from_tag[tag, rank]), int(from_rank[tag, rank])
            path.append(tag)
        found.append((path[::-1], float(final[place])))
    return found


def _placed(path: list[int], score: float, order: np.ndarray, length: int) -> Path:
    tags = np.full(length, -1)
    tags[order[: len(path)]] = path
    return Path(tags, score)


def _logsumexp(x: np.ndarray, axis: int) -> np.ndarray:
    top = x.max(axis=axis, keepdims=True)
    total = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return np.asarray(np.squeeze(total, axis))

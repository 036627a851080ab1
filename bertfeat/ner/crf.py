"""A linear-chain CRF as a Keras layer: the log-likelihood of tags (Lafferty et al. 2001).

Computed in float32 whatever comes.  Any mask will do: unmasked positions are moved to the front
first, so that each follows the one before it, holes or no holes.  Decoding is in
:mod:`bertfeat.ner.paths`, outside the graph.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from bertfeat.ner.paths import IMPOSSIBLE, Scores
from bertfeat.ner.recurrent import compaction, rearranged
from bertfeat.ner.scan import scan

Tensor = Any


class CRF(keras.layers.Layer):
    """Scores of beginning with a tag, of ending with one, and of one following another.

    Args:
        num_tags: T.
        allowed: bool (T,), (T,) and (T, T): which tags may begin, end and follow; then the
            log-likelihood is that among the allowed paths.  None = all.
    """

    def __init__(
        self, num_tags: int, allowed: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(autocast=False, **options)
        self.num_tags, self.allowed = num_tags, allowed

    def build(self, _: Any = None) -> None:
        """Create the three tables of scores."""
        uniform = keras.initializers.RandomUniform(-0.1, 0.1)
        for name, shape in (("start", 1), ("end", 1), ("follow", 2)):
            size = (self.num_tags,) * shape
            setattr(self, name, self.add_weight(shape=size, initializer=uniform, name=name))
        self.built = True

    @property
    def scores(self) -> Scores:
        """The scores as they are now, float32."""
        return Scores(*(np.asarray(x.value) for x in (self.start, self.end, self.follow)))

    def call(self, emissions: Tensor, tags: Tensor, mask: Tensor) -> Tensor:
        """Return the log-likelihood of tags, float32 (B,); 0 for a row that is wholly masked.

        Args:
            emissions: float (B, S, T).
            tags: int (B, S); what stands where the mask is off does not matter.
            mask: bool (B, S).
        """
        start, end, follow = self._tables()
        order, kept, _ = compaction(ops.cast(mask, "bool"))
        emissions = rearranged(ops.cast(emissions, "float32"), order)
        tags = ops.where(kept, ops.take_along_axis(ops.cast(tags, "int32"), order, axis=1), 0)
        score = path_score(emissions, tags, kept, start, end, follow)
        total = log_partition(emissions, kept, start, end, follow)
        return ops.where(kept[:, 0], score - total, 0.0)

    def _tables(self) -> tuple[Tensor, Tensor, Tensor]:
        own = [ops.cast(x, "float32") for x in (self.start, self.end, self.follow)]
        if self.allowed is not None:
            own = [ops.where(may, x, IMPOSSIBLE) for x, may in zip(own, self.allowed, strict=True)]
        return own[0], own[1], own[2]


def path_score(
    emissions: Tensor, tags: Tensor, kept: Tensor, start: Tensor, end: Tensor, follow: Tensor
) -> Tensor:
    """Return the score of a path, (B,), where what is kept stands at the front."""
    weight = ops.cast(kept, "float32")
    total = ops.take_along_axis(emissions, tags[..., None], axis=2)[..., 0] * weight
    pairs = tags[:, :-1] * ops.shape(start)[0] + tags[:, 1:]
    steps = ops.take(ops.reshape(follow, (-1,)), pairs, axis=0) * weight[:, 1:]
    lasts = ops.maximum(ops.sum(ops.cast(kept, "int32"), axis=1) - 1, 0)
    last = ops.take_along_axis(tags, lasts[:, None], axis=1)[:, 0]
    ends = ops.take(start, tags[:, 0], axis=0) + ops.take(end, last, axis=0)
    return ops.sum(total, axis=1) + ops.sum(steps, axis=1) + ends


def log_partition(
    emissions: Tensor, kept: Tensor, start: Tensor, end: Tensor, follow: Tensor
) -> Tensor:
    """Return the logarithm of the sum over all paths, (B,), what is kept standing at the front."""
    steps = ops.transpose(emissions, (1, 0, 2)), ops.transpose(kept)  # (S, B, T), (S, B)

    def step(alpha: Tensor, now: tuple[Tensor, Tensor]) -> Tensor:
        emission, is_on = now
        reached = ops.logsumexp(alpha[:, :, None] + follow, axis=1) + emission
        return ops.where(is_on[:, None], reached, alpha)

    first = start + steps[0][0]
    later = scan(step, first, (steps[0][1:], steps[1][1:]))
    alphas = ops.concatenate([first[None], later], axis=0)  # a row may have one position only
    return ops.logsumexp(alphas[-1] + end, axis=1)

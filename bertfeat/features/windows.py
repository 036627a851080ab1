"""Long texts in overlapping windows: which window's vector each token keeps.

The algebra only; it sees numbers of tokens, neither texts nor vectors.
"""

from collections.abc import Sequence

import numpy as np


def stitch(
    spans: Sequence[tuple[int, int]], length: int, bonus: float = 0.0
) -> list[tuple[int, int, int]]:
    """Choose for each token the window in which it has the largest context.

    A token's context in a window is the smaller of the tokens before and behind it there (Devlin's
    ``_check_is_max_context``, google-research/bert run_squad.py); ties go to the earlier window.

    Args:
        spans: (start, stop) of each window over the text's tokens, special tokens not counted.
        length: tokens of the whole text.
        bonus: added to the context for each token of the window; Devlin's is 0.01.

    Returns:
        (window, start, stop) in the order of the text: tokens ``start … stop - 1`` of the text are
        taken from that window, where the first of them is at ``start - spans[window][0]``.

    Raises:
        ValueError: a span leaves the text, or a token lies in no window.
    """
    context = np.full(length, -1.0)
    window = np.zeros(length, np.int64)
    for number, (start, stop) in enumerate(spans):
        if not 0 <= start <= stop <= length:
            raise ValueError(f"window {number} spans {start}:{stop} of a text of {length} tokens")
        position = np.arange(stop - start)
        here = np.minimum(position, position[::-1]) + bonus * (stop - start)
        better = here > context[start:stop]
        context[start:stop][better] = here[better]
        window[start:stop][better] = number
    if (context < 0).any():
        raise ValueError(f"token {int(np.argmin(context))} of {length} lies in no window: {spans}")
    edges = np.flatnonzero(np.diff(window)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), length]
    return [(int(window[a]), a, b) for a, b in zip(starts, stops, strict=True) if a < b]

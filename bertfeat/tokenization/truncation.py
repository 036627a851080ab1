"""Which tokens of an encoding stay when it is cut: positions only, no text and no ids.

Special tokens always stay. An encoding is described by its sequence ids: ``None`` for a special
token, 0 for the first member, 1 for the second.
"""

from collections.abc import Sequence

from bertfeat.errors import InputError

SIDES = ("right", "left", "middle")


def share_budget(first: int, second: int, budget: int) -> tuple[int, int]:
    """Divide a budget of tokens between the members of a pair, cutting the longest first.

    The odd token goes to the longer member, and to the second of two equal ones, as in
    Hugging Face's ``tokenizers`` (``truncate_encodings``, LongestFirst). Google's
    ``_truncate_seq_pair`` gives it to the first; they agree on all else.

    Returns:
        how many tokens each member keeps.
    """
    if first + second <= budget:
        return first, second
    shorter = min(first, second, budget // 2)
    return (budget - shorter, shorter) if first > second else (shorter, budget - shorter)


def cut(positions: Sequence[int], length: int, side: str) -> list[int]:
    """Keep ``length`` positions, dropping them at the ``side`` named.

    ``middle`` keeps both ends, the odd one at the front.
    """
    head = {"right": length, "left": 0, "middle": (length + 1) // 2}[side]
    return [*positions[:head], *positions[len(positions) - (length - head) :]]


def truncated(sequence_ids: Sequence[int | None], max_length: int, side: str) -> list[int]:
    """Choose the positions that stay when an encoding is cut to ``max_length`` tokens.

    Args:
        sequence_ids: one per token; there are at most ``max_length`` special tokens.
        max_length: tokens to keep, special tokens included.
        side: where tokens are dropped, one of ``SIDES``; for pairs in each member.

    Returns:
        ascending positions.
    """
    specials, first, second = _members(sequence_ids)
    kept = share_budget(len(first), len(second), max_length - len(specials))
    return sorted(specials + cut(first, kept[0], side) + cut(second, kept[1], side))


def windows(sequence_ids: Sequence[int | None], max_length: int, stride: int) -> list[list[int]]:
    """Choose the positions of overlapping windows over the last member.

    The first member of a pair is whole in every window, as a question before its passage is.

    Args:
        sequence_ids: one per token.
        max_length: largest number of tokens of a window, special tokens included.
        stride: how many tokens neighbours share.

    Returns:
        ascending positions of each window; every position is in at least one.

    Raises:
        InputError: a window has no room for more than the stride.
    """
    specials, first, second = _members(sequence_ids)
    fixed, moving = (specials + first, second) if second else (specials, first)
    room = max_length - len(fixed)
    check_stride(stride, room)
    starts = range(0, max(len(moving) - stride, 1), room - stride)
    return [sorted(fixed + moving[start : start + room]) for start in starts]


def check_stride(stride: int, room: int) -> None:
    """Check that each window moves on.

    Raises:
        InputError: it does not.
    """
    if stride >= room:
        raise InputError(
            f"stride: expected less than the {room} tokens that a window has room for, "
            f"got {stride}; choose a larger max_length or a smaller stride"
        )


def _members(sequence_ids: Sequence[int | None]) -> tuple[list[int], list[int], list[int]]:
    members: dict[int | None, list[int]] = {None: [], 0: [], 1: []}
    for position, member in enumerate(sequence_ids):
        members[member].append(position)
    return members[None], members[0], members[1]

"""Every error that the library raises, so that callers can catch by kind.

BertFeatError
 ├ ConfigError (ValueError)        a configuration asks for what cannot be; all reasons at once
 ├ VocabularyError (ValueError)    a tokenizer's files are missing, damaged or contradict the model
 ├ CheckpointError                 a weight file is damaged, cut off or not what it says
 │  ├ TensorMismatch               tensors are missing, unexpected or of another shape (one table)
 │  └ ConversionLoss               the target format cannot hold something that the source has
 ├ ParityError                     a converted model's vectors are not those of its weights
 ├ ModelNotFound                   a model's name led nowhere; lists what was tried
 ├ MissingHead                     the checkpoint lacks the head that a call needs
 ├ InputError (ValueError)         a text or an option of a call is not acceptable
 │  └ TextTooLong                  ``truncate="error"`` and the text does not fit
 ├ NonFiniteError                  a vector came out with NaN or infinity and was withheld
 ├ RowErrors (ValueError)          some rows of a call failed; the others are in ``.vectors``
 └ IndexStoreError                 an index folder is damaged, locked or belongs to another model
"""

from collections.abc import Mapping, Sequence
from typing import Any

MOST_LISTED = 1000


def listed(bad: Sequence[str]) -> str:
    """Return what is wrong as the end of a message: one a line, and how many more there are."""
    more = [f"and {len(bad) - MOST_LISTED} more"] if len(bad) > MOST_LISTED else []
    return "".join(f"\n  {one}" for one in [*bad[:MOST_LISTED], *more])


class BertFeatError(Exception):
    """Any error of the library."""


class ConfigError(BertFeatError, ValueError):
    """A configuration asks for what cannot be."""


class VocabularyError(BertFeatError, ValueError):
    """A tokenizer's files are missing, damaged or contradict the model."""


class CheckpointError(BertFeatError):
    """A weight file is damaged, cut off or not what it says."""


class TensorMismatch(CheckpointError):
    """Tensors are missing, unexpected or of another shape."""


class ConversionLoss(CheckpointError):
    """The target format cannot hold something that the source has."""


class ParityError(BertFeatError):
    """A converted model's vectors are not those of its weights."""


class ModelNotFound(BertFeatError):
    """A model's name led nowhere."""


class MissingHead(BertFeatError):
    """The checkpoint lacks the head that a call needs."""


class InputError(BertFeatError, ValueError):
    """A text or an option of a call is not acceptable."""


class TextTooLong(InputError):
    """A text does not fit and the caller asked for an error instead of truncation."""


class NonFiniteError(BertFeatError):
    """A vector came out with NaN or infinity and was withheld."""


class RowErrors(BertFeatError, ValueError):
    """Some rows of a call failed while the others were computed.

    Attributes:
        errors: row number to the error of that row.
        vectors: what the call would have returned, failed rows zero (or empty).
    """

    def __init__(self, errors: Mapping[int, Exception], vectors: Any) -> None:
        self.errors = dict(errors)
        self.vectors = vectors
        row, first = next(iter(sorted(self.errors.items())))
        super().__init__(
            f"{len(self.errors)} row(s) failed, the first is row {row}: {first}; "
            "the other rows are in .vectors, every error in .errors"
        )

    def __reduce__(self) -> tuple[type["RowErrors"], tuple[dict[int, Exception], Any]]:
        return type(self), (self.errors, self.vectors)


class IndexStoreError(BertFeatError):
    """An index folder is damaged, locked or belongs to another model."""


class TruncationWarning(UserWarning):
    """Texts were longer than the model reads and were cut."""


class NotTrainedForSimilarity(UserWarning):
    """A plain BERT's own pooling was used; its cosines say little about similarity of meaning."""

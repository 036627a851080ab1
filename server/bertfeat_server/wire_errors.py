"""Which error of the library is which error on the wire: one table, nothing unmapped."""

import logging

from bertfeat import errors as library
from bertfeat_client import errors as wire

logger = logging.getLogger(__name__)
TABLE: dict[type[library.BertFeatError], type[wire.ServerError]] = {
    library.BertFeatError: wire.InternalError,
    library.ConfigError: wire.InvalidRequest,
    library.VocabularyError: wire.InternalError,
    library.CheckpointError: wire.InternalError,
    library.TensorMismatch: wire.InternalError,
    library.ConversionLoss: wire.InternalError,
    library.ParityError: wire.InternalError,
    library.ModelNotFound: wire.NotFound,
    library.MissingHead: wire.NotFound,
    library.InputError: wire.InvalidRequest,
    library.TextTooLong: wire.InvalidRequest,
    library.NonFiniteError: wire.InternalError,
    library.RowErrors: wire.InvalidRequest,
    library.IndexStoreError: wire.InternalError,
}


def translate(error: Exception) -> wire.ServerError | None:
    """Return the wire's error for one of the library's or the wire's own, else None.

    None means a surprise: its words are for the log and not for the caller.
    """
    if isinstance(error, wire.ServerError):
        return error
    if isinstance(error, library.BertFeatError):
        kind = next(TABLE[base] for base in type(error).__mro__ if base in TABLE)
        return kind(str(error))
    return None


def as_answer(error: Exception, name: str) -> wire.ServerError:
    """Return what the caller of a request that could not be taken is told; log surprises."""
    if isinstance(error, wire.ServerError):
        return error
    if isinstance(error, wire.ProtocolError):
        return wire.InvalidRequest(f"{type(error).__name__}: {error}")
    logger.error("request %r could not be taken", name, exc_info=error)
    return wire.InternalError("the server failed on this request; its log has more")

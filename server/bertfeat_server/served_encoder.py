"""A tagger's encoder: the server's own workers, asked as any client asks them.

So a tagger, or several, share the weights, the batches and the queue of a model that is served
anyway.  They tag as in process only if that model computes in float32; it may also be exchanged,
or be unloaded for good, at any time.  In all of these cases the tagger loads an encoder of its own.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bertfeat.api import Encoder
from bertfeat.checkpoints import model_hash, read, resolve
from bertfeat.errors import BertFeatError
from bertfeat.tokenization import Tokenizer
from bertfeat_client import Client
from bertfeat_client.errors import NotFound

PRECISION = "float32"
logger = logging.getLogger(__name__)


class ServedEncoder:
    """What a tagger asks of an encoder.

    Args:
        client: of the server.
        model: the model's name there.
        folder: the same model's folder on this machine.
        load_own: loads that folder into this process.

    Attributes:
        folder, model_hash, tokenizer, config: as an encoder's.
        own: the encoder in this process, once the server's is not the same.
    """

    precision = PRECISION

    def __init__(
        self, client: Client, model: str, folder: Path, load_own: Callable[[], Encoder]
    ) -> None:
        found = read(folder)
        self.folder, self.model_hash, self.config = folder, model_hash(folder), found.config
        self.tokenizer = Tokenizer.from_folder(found.tokenizer_folder)
        self.own: Encoder | None = None
        self._client, self._model, self._load_own = client, model, load_own

    def extract(self, texts: list[Any], *, return_errors: bool, **options: Any) -> Iterator[Any]:
        """Return the vectors of every token of each text; see :meth:`bertfeat.Encoder.extract`.

        Args:
            texts: as there.
            return_errors: must be true, the server leaves errors in the rows.
            options: as there.

        Raises:
            ServerError, TransportError: the server refused, or did not answer in time.
        """
        if self.own is None:
            found = self._asked(texts, options)
            if found is not None:
                return iter(found)
            self.own = self._load_own()
        return self.own.extract(texts, return_errors=return_errors, **options)

    def _asked(self, texts: list[Any], options: Mapping[str, Any]) -> list[Any] | None:
        """Ask the server; None if it has not the same encoder any more."""
        try:
            found, info = self._client.tokens(texts, return_info=True, model=self._model, **options)
        except NotFound:
            told = "is gone"
        else:
            if (info.model_hash, info.precision) == (self.model_hash, PRECISION):
                return list(found)
            told = f"has the weights {info.model_hash[:16]} in {info.precision}"
        logger.info("the model %s %s; the tagger loads %s itself", self._model, told, self.folder)
        return None


def served_encoder(
    client: Client, models: Mapping[str, str], source: str, **options: Any
) -> ServedEncoder | None:
    """Return the encoder of a tagger by way of the server; None if it serves no such model.

    Args:
        client: of the server.
        models: name to source of the server's models.
        source: the folder or name of the tagger's encoder.
        **options: of ``Encoder.load``, for an encoder in this process.

    Raises:
        ModelNotFound: there is no such encoder.
    """
    offline = bool(options.get("offline"))
    folder = resolve(source, offline=offline)
    wanted = model_hash(folder)

    def load_own() -> Encoder:
        return Encoder.load(folder, precision=PRECISION, **options)

    for name, other in models.items():
        if _hash_of(other) == wanted:
            return ServedEncoder(client, name, folder, load_own)
    return None


def _hash_of(source: str) -> str:
    """Return the hash of a model's weights, empty where they are not on this machine."""
    try:
        return model_hash(resolve(source, offline=True))
    except (BertFeatError, OSError):
        return ""

"""The worker process: one loaded encoder behind a connection to the broker."""

import logging
import signal
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from bertfeat.errors import BertFeatError, NonFiniteError, RowErrors, TruncationWarning
from bertfeat_client.errors import InvalidRequest
from bertfeat_client.protocol import Message, float32_to_bfloat16
from bertfeat_server.backend import MODEL_OPS, BackendWorker, Describe
from bertfeat_server.config import ServerConfig
from bertfeat_server.logs import reload_log, set_up
from bertfeat_server.parent import Parent
from bertfeat_server.rows import put_ragged, to_item, token_lists, wire_row_errors, word_numbers
from bertfeat_server.tasks import TaskHandler, kind_of, load_task
from bertfeat_server.worker_settings import WorkerSettings

RESERVED = {"return_info", "return_errors", "texts", "pairs"}
"""Arguments of the library that are the worker's own business."""
logger = logging.getLogger(__name__)


class EncoderHandler:
    """Answers batches with an encoder.

    Args:
        encoder: a :class:`bertfeat.Encoder`, or what behaves like one.
        name: the model's name on this server.
    """

    def __init__(self, encoder: Any, name: str) -> None:
        self.encoder = encoder
        self._info = {
            "precision": encoder.precision, "model_hash": encoder.model_hash, "model": name,
        }  # fmt: skip
        self._non_finite = 0
        self._ops: dict[str, Callable[[list[Any], dict[str, Any]], Message]] = {
            "encode": self._encode, "tokens": self._tokens, "score": self._score,
            "tokenize": self._tokenize,
        }  # fmt: skip

    def __call__(self, batch: Message) -> Message:
        """Compute a batch's rows; see :mod:`bertfeat_server.backend`."""
        options = dict(batch.header.get("options") or {})
        if reserved := RESERVED & set(options):
            raise InvalidRequest(f"unknown option(s) {', '.join(sorted(reserved))}")
        items = [to_item(item) for item in batch.items or []]
        op = batch.header["request_op"]
        if op not in self._ops:
            raise InvalidRequest(f"{self._info['model']!r} is an encoder and answers no {op}")
        work, self._non_finite = self.encoder.runtime.work, 0
        tokens, places = work.tokens, work.places
        result = self._ops[op](items, options)
        result.header["info"] = self._info
        result.header["work"] = {
            "tokens": work.tokens - tokens, "places": work.places - places,
            "non_finite": self._non_finite,
        }  # fmt: skip
        return result

    def describe(self) -> dict[str, Any]:
        """Return what ``info`` says of the model."""
        encoder, modules = self.encoder, self.encoder.runtime.modules
        return {
            "dim": encoder.dim,
            "max_seq_len": encoder.max_seq_len,
            "layers": encoder.num_layers,
            "precision": encoder.precision,
            "precision_reason": encoder.precision_reason,
            "model_hash": encoder.model_hash,
            "cross_encoder": encoder.rerank_method == "cross-encoder",
            "similarity": modules.similarity,
            "prompts": sorted(modules.prompts),
        }

    def _encode(self, items: list[Any], options: dict[str, Any]) -> Message:
        vectors, info = self.encoder.encode(items, return_info=True, **options)
        arrays = {"num_tokens": info.num_tokens, "truncated": info.truncated}
        message = Message({"row_errors": self._refused(info.errors)}, arrays=arrays)
        if isinstance(vectors, list):
            put_ragged(message, {"vectors": vectors})
        else:
            message.arrays["vectors"] = vectors
        if options.get("dtype") == "bfloat16":
            message.arrays["vectors"] = float32_to_bfloat16(message.arrays["vectors"])
            message.bfloat16 = frozenset({"vectors"})
        return message

    def _tokens(self, items: list[Any], options: dict[str, Any]) -> Message:
        rows = list(self.encoder.extract(items, return_errors=True, **options))
        errors = {row: found.error for row, found in enumerate(rows) if found.error is not None}
        arrays = {
            "num_tokens": np.array([row.num_tokens for row in rows], np.int32),
            "truncated": np.array([row.truncated for row in rows], bool),
        }
        message = Message(
            {"row_errors": self._refused(errors)}, [row.tokens for row in rows], arrays
        )
        ragged = {
            "vectors": [row.vectors.swapaxes(0, 1) for row in rows],
            "offsets": [np.array(row.offsets, np.int32).reshape(-1, 2) for row in rows],
            "word_ids": [word_numbers(row.word_ids) for row in rows],
        }
        put_ragged(message, ragged)
        return message

    def _score(self, items: list[Any], options: dict[str, Any]) -> Message:
        raw = options.pop("raw", False)
        if options:
            raise InvalidRequest(f"score takes raw only, got {', '.join(sorted(options))}")
        errors: Mapping[int, Exception] = {}
        try:
            scores = self.encoder.score(items, raw=bool(raw))
        except RowErrors as error:
            scores, errors = error.vectors, error.errors
        return Message({"row_errors": self._refused(errors)}, arrays={"scores": scores})

    def _tokenize(self, items: list[Any], options: dict[str, Any]) -> Message:
        specials = options.pop("add_special_tokens", True)
        if options:
            raise InvalidRequest(f"tokenize does not know {', '.join(sorted(options))}")
        rows = self.encoder.tokenizer.encode_batch(items)
        errors = {row: found for row, found in enumerate(rows) if isinstance(found, Exception)}
        return Message(
            {"row_errors": self._refused(errors)},
            [
                {} if row in errors else token_lists(found, specials)
                for row, found in enumerate(rows)
            ],
        )

    def _refused(self, errors: Mapping[int, Exception]) -> dict[str, dict[str, Any]]:
        self._non_finite = sum(isinstance(error, NonFiniteError) for error in errors.values())
        return wire_row_errors(errors)


def load_encoder(source: str, checked: bool = False, **options: Any) -> Any:
    """Load and warm up an encoder; the default of ``ServerConfig.encoder_factory``.

    Args:
        source: as ``Encoder.load`` takes it.
        checked: compare its vectors with those of its own weights in float32 under Keras first.
        **options: likewise.

    Raises:
        ParityError: they differ more than its precision allows.
    """
    from bertfeat.api import Encoder
    from bertfeat.checkpoints import detect
    from bertfeat.fidelity import check

    encoder = Encoder.load(source, **options)
    if checked and detect(encoder.folder) != "lite":
        exact = options | {"precision": "float32", "engine": "keras"}
        check(encoder.runtime, Encoder.load(source, **exact).runtime, encoder.precision)
    encoder.warm_up()
    return encoder


def make_handler(settings: WorkerSettings) -> EncoderHandler | TaskHandler:
    """Load what a worker serves: an encoder, or a trained head."""
    config = settings.config
    options: dict[str, Any] = {
        "device": settings.device, "threads": config.worker_threads, "offline": config.offline,
    }  # fmt: skip
    if settings.name in config.tasks:
        task = load_task(settings.source, settings.client(), config.models, **options)
        return TaskHandler(task, settings.name, kind_of(settings.source))
    module, _, function = config.encoder_factory.partition(":")
    encoder = getattr(import_module(module), function)(
        settings.source, precision=config.precision, max_seq_len=config.max_seq_len,
        batch_invariant=config.batch_invariant, checked=settings.checked, **options,
    )  # fmt: skip
    return EncoderHandler(encoder, settings.name)


def serve(
    settings: WorkerSettings, on_ready: Callable[[Describe], None], signals: bool = False
) -> None:
    """Load a model and serve its batches until the broker drains.

    Args:
        settings: what to load and where to connect.
        on_ready: called once, when the model is loaded and warm, with what describes it.
        signals: whether SIGTERM and SIGINT end it after the batch in hand.
    """
    worker = BackendWorker(settings.backend, token=settings.token, identity=settings.identity)
    worker.connect(model=settings.label or settings.name)
    try:
        handler = make_handler(settings)
    except BaseException:
        worker.close()
        raise
    if signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
    worker.run(MODEL_OPS, handler, handler.describe, lambda: on_ready(handler.describe))


def main(parent: Parent) -> None:
    """Run one worker of a supervisor."""
    told = dict(parent.settings)
    del told["role"]
    settings = WorkerSettings(**told | {"config": ServerConfig.from_dict(told["config"])})
    set_up(settings.config)
    parent.watch(reload_log)
    warnings.simplefilter("ignore", TruncationWarning)
    try:
        serve(settings, on_ready=lambda describe: parent.tell("ready", info=dict(describe())))
    except (BertFeatError, OSError, ImportError) as error:
        parent.tell("failed", reason=str(error))
    except Exception as error:
        logger.exception("the worker for %s ended", settings.name)
        parent.tell("failed", reason=f"{type(error).__name__}: {error}")

"""Trained heads behind the broker: a tagger or a classifier answers the batches of its worker."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bertfeat.checkpoints.folder_files import read_json
from bertfeat.errors import InputError, RowErrors
from bertfeat.ner.settings import FILE as TAGGER
from bertfeat.ner.settings import TaggerSettings
from bertfeat_client import Client
from bertfeat_client.errors import InvalidRequest, NotFound
from bertfeat_client.protocol import Message
from bertfeat_server.rows import to_item, wire_row_errors

TOKENS = "BertForTokenClassification"


def kind_of(folder: str) -> str:
    """Return the operation that a task's folder answers: ``tag`` or ``predict``."""
    return "tag" if _is_tagger(folder) or _is_token_tagger(folder) else "predict"


def _is_tagger(folder: str) -> bool:
    return (Path(folder).expanduser() / TAGGER).is_file()


def _is_token_tagger(folder: str) -> bool:
    """Say whether a folder holds a classifier of tokens, which tags as a tagger does."""
    for place in (Path(folder).expanduser() / "model", Path(folder).expanduser()):
        if (path := place / "config.json").is_file():
            return bool(read_json(path).get("architectures") == [TOKENS])
    return False


def named_task(name: Any, tasks: Mapping[str, str], op: str) -> str:
    """Return the task that is named, else the first one that answers an operation.

    Args:
        name: as it came; None where none is named.
        tasks: name to operation of all.
        op: ``tag`` or ``predict``.

    Raises:
        NotFound: there is no such task.
    """
    fitting = [task for task, kind in tasks.items() if kind == op]
    if name is None and fitting:
        return fitting[0]
    if name not in fitting:
        asked = "no task" if name is None else f"no task {name!r:.60}"
        raise NotFound(
            f"{asked} for {op} here; this server has {', '.join(fitting) or 'none'} "
            "(its option --task NAME=FOLDER)"
        )
    return str(name)


def load_task(
    folder: str,
    client: Client | None = None,
    models: Mapping[str, str] | None = None,
    **options: Any,
) -> Any:
    """Load a trained head; it computes in float32, as in process.

    Args:
        folder: the head's.
        client: of this server, for a tagger whose encoder is one of its models.
        models: name to source of these.
        options: of :meth:`bertfeat.Encoder.load`.
    """
    # here, as broker and commands import this file and need no model
    from bertfeat.tasks import Predictor, Tagger
    from bertfeat_server.served_encoder import served_encoder

    path = Path(folder).expanduser()
    if not _is_tagger(folder):
        return Predictor.load(path, precision="float32", **options)
    settings, encoder = TaggerSettings.load(path), None
    if settings.encoder and client is not None:
        encoder = served_encoder(client, models or {}, settings.encoder_in(path), **options)
    return Tagger.load(path, encoder, precision="float32", **options)


class TaskHandler:
    """Answers batches with a trained head.

    Args:
        task: a ``Tagger`` or a ``Predictor`` of :mod:`bertfeat.tasks`.
        name: its name on this server.
        op: ``tag`` or ``predict``.
    """

    def __init__(self, task: Any, name: str, op: str) -> None:
        self.task, self.name, self.op = task, name, op

    def __call__(self, batch: Message) -> Message:
        """Compute a batch's rows; one item, a dict, for each."""
        op, options = batch.header["request_op"], batch.header.get("options") or {}
        if op != self.op:
            raise InvalidRequest(f"the task {self.name!r} answers {self.op}, not {op}")
        if options:
            raise InvalidRequest(f"{op} takes no options, got {', '.join(sorted(options))}")
        items = [to_item(item) for item in batch.items or []]
        rows: list[Any] = [{} for _ in items]
        errors: dict[int, Exception] = {}
        compute = self._tag if op == "tag" else self._predict
        try:
            rows = compute(items)
        except (RowErrors, InputError):
            for place, item in enumerate(items):  # so that a bad text fails alone
                try:
                    rows[place] = compute([item])[0]
                except (RowErrors, InputError) as error:
                    errors[place] = error
        return Message({"row_errors": wire_row_errors(errors), "info": {"model": self.name}}, rows)

    def describe(self) -> dict[str, Any]:
        """Return what ``info`` says of the task."""
        encoder = self.task.encoder
        return {
            "task": self.op,
            "labels": list(self.task.labels),
            "precision": "float32",
            "model_hash": encoder.model_hash if encoder is not None else "",
        }

    def _tag(self, items: list[Any]) -> list[dict[str, Any]]:
        return [
            {"entities": [vars(entity) for entity in entities]} for entities in self.task.tag(items)
        ]

    def _predict(self, items: list[Any]) -> list[dict[str, Any]]:
        return [
            {**asdict(found), "labels": list(found.labels)} for found in self.task.predict(items)
        ]

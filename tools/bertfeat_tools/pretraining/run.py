"""A pre-training from examples to a model folder."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.checkpoints import model_hash
from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.errors import ConfigError
from bertfeat_tools.pretraining.build import HELD_OUT
from bertfeat_tools.pretraining.corpus import Corpus, Phases
from bertfeat_tools.pretraining.fitting import fitted
from bertfeat_tools.pretraining.options import PretrainOptions, make_model
from bertfeat_tools.pretraining.projection import (
    Forecast,
    table_by_steps,
    throughput,
    total_work,
)
from bertfeat_tools.training.devices import dealt, use_devices
from bertfeat_tools.training.encoder import save_bert, start
from bertfeat_tools.training.hosts import Hosts, is_first, join
from bertfeat_tools.training.records import read_curves
from bertfeat_tools.training.settings import MODEL, RUN, TrainSettings

if TYPE_CHECKING:
    from bertfeat_tools.pretraining.model import Pretraining

CARD = "README.md"


def pretrain(
    options: PretrainOptions, settings: TrainSettings, folder: Path, progress: Any = None,
    *, tell: Callable[[str], None] = lambda sentence: None, price_per_hour: float = 0.0,
    devices: int = 1, hosts: Hosts | None = None,
) -> dict[str, float]:  # fmt: skip
    """Pre-train a model; an interrupted run in the same folder goes on.

    Args:
        options: what, on what.
        settings: how; its steps are those of all phases.
        folder: gets ``training/`` and, at the end, ``model/``.
        progress: called after each update.
        tell: takes what the run will cost, at its start and once the speed is known, and at the
            end the table of scores by steps.
        price_per_hour: of this machine, in whatever currency; 0 = no cost is told.
        devices: that share each batch, under JAX (see ``bertfeat_tools.training.devices``).
        hosts: processes that do so, each with so many devices; the first alone writes.

    Returns:
        The last held-out scores, or the last training ones; nothing for a host but the first.

    Raises:
        ConfigError: hosts or devices without JAX, or more than there are; hosts whose batch size
            would have to be found.
    """
    if hosts:
        if 0 in options.batch_sizes:
            raise ConfigError("a batch size is not found on several hosts; give --batch-size N")
        join(hosts)
    options, settings = fitted(options, settings, folder / RUN, devices)
    corpora = [options.corpus(path) for path in options.data]
    start(settings.seed)
    use_devices(devices)
    from bertfeat_tools.training.loop import train

    model, source = make_model(options, settings, corpora)
    sizes, steps = options.for_each("batch_sizes"), options.for_each("steps")
    counts = [count * settings.accumulation for count in steps]
    phases = list(zip(corpora, sizes, counts, strict=True))
    batches = Phases([(c.batches(size, settings.seed), count) for c, size, count in phases])
    work = total_work(source.config, [(count, size, row_length(c)) for c, size, count in phases])
    tell = tell if is_first() else lambda sentence: None
    tell(str(work))
    forecast = Forecast(work, tell, price_per_hour, then=progress)
    judge = HeldOut(corpora[-1], sizes[-1], options.held_out_batches)
    facts = {
        "options": {n: str(v) for n, v in asdict(options).items()},
        "data": [corpus.description.get("files", {}) for corpus in corpora],
        "init": model_hash(source.folder) if options.init else "",
    }
    result = train(
        model, dealt(batches, devices), settings, folder / RUN,
        evaluate=judge if judge else None, progress=forecast, facts=facts,
    )  # fmt: skip
    if not is_first():
        return {}
    if not (folder / MODEL).exists():
        save_bert(
            model.bert, source, corpora[0].tokenizer, folder / MODEL, id2label=None, label2id=None
        )
    with whole_file(folder / MODEL / CARD) as card:
        card.write_text(model_card(options, settings, folder / RUN), "utf-8")
    lines = read_curves(folder / RUN)
    scores = result.scores or {k: v for k, v in lines[-1].items() if isinstance(v, float)}
    tell(table_by_steps(lines))
    return {**scores, **throughput(lines, source.config, row_length(corpora[-1]))}


def row_length(corpus: Corpus) -> int:
    """Return the tokens of a row; those of Google's own files are not noted, so 128."""
    return int(corpus.description.get("options", {}).get("pairs", {}).get("max_seq_len", 128))


class HeldOut:
    """Scores a model on examples that it does not learn from."""

    def __init__(self, corpus: Corpus, batch_size: int, count: int) -> None:
        self._records = corpus.part(HELD_OUT)
        self._corpus, self._size, self._count = corpus, batch_size, count

    def __bool__(self) -> bool:
        return bool(self._records.paths) and len(self._records) > 0

    def __call__(self, model: "Pretraining") -> dict[str, float]:
        """Return the means of the losses and accuracies, and the perplexity."""
        held = self._corpus.batches(self._size, 0, HELD_OUT)
        count = min(self._count, held.steps_per_epoch)
        found = [model.predict_on_batch(held(step)) for step in range(count)]
        names = [name for name in found[0] if name != "tokens"]
        means = {name: float(np.mean([float(np.mean(f[name])) for f in found])) for name in names}
        return {**means, "perplexity": math.exp(min(means["masked_lm_loss"], 50))}


def model_card(options: PretrainOptions, settings: TrainSettings, folder: Path) -> str:
    """Return a model card with the curves as a table."""
    lines = read_curves(folder)
    chosen = lines[:: max(1, len(lines) // 20)]
    names = ("loss", "masked_lm_loss", "masked_lm_accuracy", "next_sentence_accuracy")
    rows = [
        f"| {line['step']} | {line['kind']} | "
        + " | ".join(f"{line[name]:.4f}" if name in line else "" for name in names) + " |"
        for line in chosen
    ]  # fmt: skip
    kind = f"further pre-trained from `{options.init}`" if options.init else "from scratch"
    return "\n".join([
        "# A BERT encoder, " + kind, "",
        f"Pre-trained with bertfeat for {settings.steps} steps: masked language model, "
        f"pair objective `{options.objective}`, optimizer `{settings.optimizer}`, "
        f"learning rate {settings.learning_rate}, seed {settings.seed}.", "",
        "| step | part | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names), *rows, "",
    ])  # fmt: skip

"""A pre-training from examples to a model folder."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.checkpoints import ModelFolder, model_hash
from bertfeat.checkpoints.whole_file import whole_file
from bertfeat.config import EncoderConfig
from bertfeat.errors import InputError
from bertfeat_tools.pretraining.build import HELD_OUT
from bertfeat_tools.pretraining.corpus import Corpus, Phases
from bertfeat_tools.pretraining.projection import (
    Forecast,
    table_by_steps,
    throughput,
    total_work,
)
from bertfeat_tools.training.devices import dealt, use_devices
from bertfeat_tools.training.encoder import make_bert, open_folder, save_bert, start
from bertfeat_tools.training.records import read_curves
from bertfeat_tools.training.settings import TrainSettings

if TYPE_CHECKING:
    from bertfeat_tools.pretraining.model import Pretraining

RUN, MODEL, CARD = "training", "model", "README.md"


@dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """What is pre-trained, on what.

    Attributes:
        data: folders of examples, one for each phase; the first one's tokenizer is saved.
        steps: updates of each phase.
        batch_sizes: examples of a batch in each phase.
        init: model to go on from; "" = from scratch.
        num_layers, hidden_size, num_heads: of a model from scratch (L, H, A).
        max_positions: its longest row.
        objective: ``nsp`` (or ``sop``: the label in the examples) or ``none``.
        left_to_right: predict each token from those before it, with causal attention (an
            ablation); needs objective ``none``, since [CLS] then sees nothing of the texts.
        packed: short examples share a row of the batch, without seeing each other.
        held_out_batches: batches that an evaluation looks at.
    """

    data: tuple[Path, ...]
    steps: tuple[int, ...]
    batch_sizes: tuple[int, ...] = (32,)
    init: str = ""
    num_layers: int = 4
    hidden_size: int = 256
    num_heads: int = 4
    max_positions: int = 512
    objective: str = "nsp"
    left_to_right: bool = False
    packed: bool = False
    held_out_batches: int = 20

    def __post_init__(self) -> None:
        for name in ("steps", "batch_sizes"):
            if len(getattr(self, name)) not in (1, len(self.data)):
                raise InputError(
                    f"{len(getattr(self, name))} {name} for {len(self.data)} data folders; give "
                    "one for each, or one for all"
                )
        if self.left_to_right and self.objective != "none":
            raise InputError(
                f"objective={self.objective!r} with left_to_right: its [CLS] sees nothing of the "
                "texts and cannot tell whether they belong together; choose objective none"
            )

    def for_each(self, name: str) -> tuple[int, ...]:
        """Return ``steps`` or ``batch_sizes``, one for each folder."""
        values: tuple[int, ...] = getattr(self, name)
        return values * len(self.data) if len(values) == 1 else values


def pretrain(
    options: PretrainOptions, settings: TrainSettings, folder: Path, progress: Any = None,
    *, tell: Callable[[str], None] = lambda sentence: None, price_per_hour: float = 0.0,
    devices: int = 1,
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

    Returns:
        The last held-out scores, or the last training ones.
    """
    corpora = [Corpus(path, options.left_to_right, options.packed) for path in options.data]
    start(settings.seed)
    use_devices(devices)
    from bertfeat_tools.pretraining.model import HEADS, Pretraining
    from bertfeat_tools.training.loop import train

    source = source_of(options, corpora)
    pairs = options.objective != "none"
    heads = HEADS if pairs else ("masked_lm",)  # a head without a gradient would only decay
    bert = make_bert(source, heads=heads, precision=settings.precision)
    mask = corpora[0].tokenizer.mask_id
    model = Pretraining(bert, pairs=pairs, mask_id=mask)
    sizes, steps = options.for_each("batch_sizes"), options.for_each("steps")
    counts = [count * settings.accumulation for count in steps]
    phases = list(zip(corpora, sizes, counts, strict=True))
    batches = Phases([(c.batches(size, settings.seed), count) for c, size, count in phases])
    work = total_work(source.config, [(count, size, row_length(c)) for c, size, count in phases])
    tell(str(work))
    forecast = Forecast(work, tell, price_per_hour, then=progress)
    judge = HeldOut(corpora[-1], sizes[-1], options.held_out_batches, devices)
    facts = {
        "options": {n: str(v) for n, v in asdict(options).items()},
        "data": [corpus.description.get("files", {}) for corpus in corpora],
        "init": model_hash(source.folder) if options.init else "",
    }
    result = train(
        model, dealt(batches, devices), settings, folder / RUN,
        evaluate=judge if judge else None, progress=forecast, facts=facts,
    )  # fmt: skip
    if not (folder / MODEL).exists():
        save_bert(bert, source, corpora[0].tokenizer, folder / MODEL, id2label=None, label2id=None)
    with whole_file(folder / MODEL / CARD) as card:
        card.write_text(model_card(options, settings, folder / RUN), "utf-8")
    lines = read_curves(folder / RUN)
    scores = result.scores or {k: v for k, v in lines[-1].items() if isinstance(v, float)}
    tell(table_by_steps(lines))
    return {**scores, **throughput(lines, source.config, row_length(corpora[-1]))}


def row_length(corpus: Corpus) -> int:
    """Return the tokens of a row; those of Google's own files are not noted, so 128."""
    return int(corpus.description.get("options", {}).get("pairs", {}).get("max_seq_len", 128))


def source_of(options: PretrainOptions, corpora: Sequence[Corpus]) -> ModelFolder:
    """Return what training starts from, attending as it is asked to.

    Raises:
        InputError: a model from left to right would be trained both ways, or the examples were made
            with another vocabulary.
    """
    source = open_folder(options.init)[0] if options.init else scratch(options, corpora[0])
    if source.config.is_decoder and not options.left_to_right:
        raise InputError(
            f"{options.init} attends from left to right; add --left-to-right to go on so, or start "
            "from a model that attends both ways"
        )
    _check_vocabulary(source, corpora)
    return replace(source, config=replace(source.config, is_decoder=options.left_to_right))


def scratch(options: PretrainOptions, corpus: Corpus) -> ModelFolder:
    """Return a model folder of the sizes asked for, without any weights."""
    config = EncoderConfig(
        vocab_size=corpus.tokenizer.vocab_size, hidden_size=options.hidden_size,
        num_hidden_layers=options.num_layers, num_attention_heads=options.num_heads,
        intermediate_size=4 * options.hidden_size, max_position_embeddings=options.max_positions,
    )  # fmt: skip
    return ModelFolder(corpus.folder, "huggingface", config, {}, {})


class HeldOut:
    """Scores a model on examples that it does not learn from."""

    def __init__(self, corpus: Corpus, batch_size: int, count: int, devices: int = 1) -> None:
        self._records = corpus.part(HELD_OUT)
        self._corpus, self._size, self._count = corpus, batch_size, count
        self._devices = devices

    def __bool__(self) -> bool:
        return bool(self._records.paths) and len(self._records) > 0

    def __call__(self, model: "Pretraining") -> dict[str, float]:
        """Return the means of the losses and accuracies, and the perplexity."""
        held = self._corpus.batches(self._size, 0, HELD_OUT)
        count, batches = min(self._count, held.steps_per_epoch), dealt(held, self._devices)
        found = [model.predict_on_batch(batches(step)) for step in range(count)]
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


def _check_vocabulary(source: ModelFolder, corpora: Sequence[Corpus]) -> None:
    hashes = {c.description.get("vocabulary") for c in corpora if c.description}
    if len(hashes) > 1:
        raise InputError("the data folders were made with different vocabularies; make them anew")
    size = corpora[0].tokenizer.vocab_size
    if size > source.config.vocab_size:
        raise InputError(
            f"the examples were made with {size} tokens, but {source.folder} has "
            f"{source.config.vocab_size}; make them with that model's tokenizer"
        )

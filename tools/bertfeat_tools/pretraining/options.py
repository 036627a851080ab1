"""What is pre-trained, on what; and the model that this describes, before its first step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bertfeat.checkpoints import ModelFolder
from bertfeat.config import EncoderConfig
from bertfeat.errors import InputError
from bertfeat_tools.pretraining.corpus import Corpus
from bertfeat_tools.training.encoder import make_bert, open_folder
from bertfeat_tools.training.settings import TrainSettings

if TYPE_CHECKING:
    from bertfeat_tools.pretraining.model import Pretraining


@dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """What is pre-trained, on what.

    Attributes:
        data: folders of examples, one for each phase; the first one's tokenizer is saved.
        steps: updates of each phase.
        batch_sizes: examples of a batch in each phase; 0 = as many as fit into memory.
        update_examples: of an update, made of as few batches as fit, all of one size; needs batch
            sizes of 0.  0 = an update has the batches that the settings say.
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
    update_examples: int = 0
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
        if self.update_examples and any(self.batch_sizes):
            raise InputError(
                f"update_examples={self.update_examples} with batches of {self.batch_sizes}; let "
                "their size be found (--batch-size auto), or leave out --update-examples"
            )
        if self.left_to_right and self.objective != "none":
            raise InputError(
                f"objective={self.objective!r} with left_to_right: its [CLS] sees nothing of the "
                "texts and cannot tell whether they belong together; choose objective none"
            )

    def corpus(self, folder: Path) -> Corpus:
        """Return a folder of examples, laid out as these options say."""
        return Corpus(folder, self.left_to_right, self.packed)

    def for_each(self, name: str) -> tuple[int, ...]:
        """Return ``steps`` or ``batch_sizes``, one for each folder."""
        values: tuple[int, ...] = getattr(self, name)
        return values * len(self.data) if len(values) == 1 else values


def make_model(
    options: PretrainOptions, settings: TrainSettings, corpora: Sequence[Corpus]
) -> tuple["Pretraining", ModelFolder]:
    """Return what is trained, Keras started, and what training starts from (see `source_of`)."""
    from bertfeat_tools.pretraining.model import HEADS, Pretraining

    source = source_of(options, corpora)
    pairs = options.objective != "none"
    heads = HEADS if pairs else ("masked_lm",)  # a head without a gradient would only decay
    bert = make_bert(source, heads=heads, precision=settings.precision)
    return Pretraining(bert, pairs=pairs, mask_id=corpora[0].tokenizer.mask_id), source


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

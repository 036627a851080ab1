"""A loaded model as the features see it: tokenizer, engine, and what its folder says."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from bertfeat.checkpoints.model_folder import SentenceModules
from bertfeat.config import EncoderConfig
from bertfeat.engine.base import Engine, Program
from bertfeat.engine.packing import Inputs, pack, plan_batches
from bertfeat.errors import InputError, MissingHead
from bertfeat.features.options import EncodeOptions
from bertfeat.features.spec import DenseKey, FeatureSpec, resolve_spec
from bertfeat.tokenization import Encoding, Tokenizer

Extra = Callable[[Sequence[Encoding], Inputs], Inputs]


@dataclass
class Work:
    """What was computed so far.

    Attributes:
        tokens: of texts, specials included.
        places: rows × tokens of a row of all batches: the tokens and the padding.
    """

    tokens: int = 0
    places: int = 0


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Everything that computing a feature needs.

    Attributes:
        heads: heads of the checkpoint, out of ``bertfeat.encoder.bert.HEADS``.
        modules: pooling, prompts and normalization that the folder asks for.
        dense: the folder's Dense layers.
        is_plain: whether the folder says nothing about sentence vectors.
        max_seq_len: tokens read of each text, specials included.
        batch_tokens: rows × tokens of a row of one batch.
        ranges: float32 (2, 1) or (2, dim), see ``bertfeat.features.dtypes``.
        batch_invariant: whether each text is computed alone.
        work: counts the batches.
    """

    config: EncoderConfig
    tokenizer: Tokenizer
    engine: Engine
    heads: tuple[str, ...]
    modules: SentenceModules
    dense: tuple[DenseKey, ...]
    is_plain: bool
    max_seq_len: int
    batch_tokens: int
    ranges: np.ndarray
    batch_invariant: bool = False
    work: Work = field(default_factory=Work)

    def spec(self, options: EncodeOptions) -> FeatureSpec:
        """Resolve the options of a call against this model; raises what is wrong with them."""
        self.prompt(options)
        self.limit(options)
        return resolve_spec(options, self.config, self.modules, self.dense, self.heads)

    def prompt(self, options: EncodeOptions) -> str:
        """Return the text that goes before each text.

        Raises:
            InputError: the folder has no prompt of that name, or both kinds are given.
        """
        if options.prompt is not None and options.prompt_name is not None:
            raise InputError("prompt and prompt_name are both given; choose one")
        if options.prompt is not None:
            return options.prompt
        name = options.prompt_name or self.modules.default_prompt_name
        if name is None:
            return ""
        if name not in self.modules.prompts:
            known = ", ".join(self.modules.prompts) or "none"
            raise InputError(f"this model has no prompt named {name!r}; it has: {known}")
        return self.modules.prompts[name]

    def limit(self, options: EncodeOptions) -> int:
        """Return how many tokens of each text are read, specials included.

        Raises:
            InputError: more than the model has positions.
        """
        limit = options.max_seq_len or self.max_seq_len
        if limit > self.config.max_position_embeddings:
            raise InputError(
                f"max_seq_len={limit} is more than the {self.config.max_position_embeddings} "
                "positions of this model"
            )
        return limit

    def tokenize(
        self, items: Sequence[object], options: EncodeOptions, start: int = 0
    ) -> list[Encoding | InputError]:
        """Tokenize items, cut to what is read; a bad item gives its error.

        Args:
            items: strings, pairs (tuples) or word lists.
            options: those of the call.
            start: index of the first item, for errors.
        """
        return self.tokenizer.encode_batch(
            items,
            max_length=self.limit(options),
            truncate=options.truncate,
            prompt=self.prompt(options),
            first_index=start,
        )

    def batches(
        self, program: Program, encodings: Sequence[Encoding], extra: Extra | None = None
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """Run a program over tokenized texts in well-filled batches.

        Args:
            program: what to compute.
            encodings: the texts.
            extra: further inputs of a batch, from its texts and its packed inputs.

        Yields:
            Numbers of texts, int64 (n,), and the results, whose first rows belong to them.
        """
        lengths = [len(encoding.input_ids) for encoding in encodings]
        alone = [[[number]] for number in range(len(lengths))]
        engine = self.engine
        packed = plan_batches(lengths, self.batch_tokens, engine.row_length, engine.overhead)
        for rows in alone if self.batch_invariant else packed:
            numbers = [number for row in rows for number in row]
            length = max(sum(lengths[number] for number in row) for row in rows)
            shape = self.engine.shape(len(rows), length, len(numbers))
            self.work.tokens += sum(lengths[number] for number in numbers)
            self.work.places += shape[0] * shape[1]
            inputs = pack(encodings, rows, self.tokenizer.pad_id, shape)
            inputs |= extra([encodings[number] for number in numbers], inputs) if extra else {}
            yield np.array(numbers), self.engine.run(program, inputs)

    def compile(self, program: Program, encoding: Encoding, extra: Extra) -> None:
        """Run a program once in each shape that its batches may have, whatever is in them."""
        for shape in self.engine.ladder(self.batch_tokens):
            inputs = pack([encoding], [[0]], self.tokenizer.pad_id, shape)
            self.engine.run(program, inputs | extra([encoding], inputs))

    def require_head(self, head: str, purpose: str) -> None:
        """Check that the checkpoint has a head.

        Raises:
            MissingHead: it has not; names what it has.
        """
        if head not in self.heads:
            raise MissingHead(
                f"{purpose} needs the {head} head, which this checkpoint lacks (it has: "
                f"{', '.join(self.heads) or 'none'}); choose a model that was saved with it"
            )

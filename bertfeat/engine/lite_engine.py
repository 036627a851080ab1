"""The encoder under LiteRT: float32 or int8 on a CPU, without TensorFlow.

One file computes every hidden state; the features are made of those in NumPy.  What stays inside,
say attention probabilities, another engine may compute.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import numpy as np

from bertfeat.config import EncoderConfig
from bertfeat.engine.base import Engine, Program, Shape
from bertfeat.engine.lite_runner import LiteRunner, embeddings_sum
from bertfeat.engine.packing import Inputs
from bertfeat.errors import InputError

Tensors = Mapping[str, np.ndarray]
HEAD_OUTPUTS = {
    "next_sentence_logits": "next_sentence",
    "classifier_logits": "classifier",
    "token_logits": "classifier",
    "span_logits": "span",
}


class LiteEngine:
    """Runs programs on a file that ``bertfeat.engine.lite_graph`` made.

    Args:
        runner: runs the file.
        config: the encoder's sizes.
        tensors: the three tables of embeddings and the heads, under their canonical names.
        precision: what the file computes in.
        make_other: gives an engine for outputs that the file has not; None refuses them.
    """

    name = "litert"
    compilations, overhead = 0, 64

    def __init__(
        self,
        runner: LiteRunner,
        config: EncoderConfig,
        tensors: Tensors,
        precision: str = "int8",
        make_other: Callable[[], Engine] | None = None,
    ) -> None:
        self.config, self.tensors, self.precision = config, tensors, precision
        self._runner, self._make_other = runner, make_other

    def row_length(self, longest: int) -> int:
        """Let rows be as long as their longest text: an open shape costs nothing."""
        return longest

    def shape(self, rows: int, length: int, texts: int) -> Shape:
        """Pad no further than the longest row."""
        return rows, length, texts

    def ladder(self, max_tokens: int) -> Iterable[Shape]:
        """All shapes are alike."""
        return ()

    def run(self, program: Program, inputs: Inputs) -> dict[str, np.ndarray]:
        """Run a program on one batch (see :class:`bertfeat.engine.base.Engine`).

        Raises:
            InputError: it needs outputs that this engine does not compute.
        """
        states = {name: self._state(name) for name in program.outputs}
        if missing := [name for name, state in states.items() if state is None]:
            return self._other(missing).run(program, inputs)
        hidden = self._hidden_states(inputs, filter(None, states.values()))
        found = {name: self._output(name, hidden[str(state)]) for name, state in states.items()}
        return program(found, inputs, np)

    def _hidden_states(self, inputs: Inputs, names: Iterable[str]) -> dict[str, np.ndarray]:
        """Run the file; give each text a row of its own: float32 (B, S, H) by name."""
        sums = embeddings_sum(self.tensors, inputs)
        states = self._runner(sums, inputs["attention_mask"], set(names))
        return {
            name: state.reshape(-1, self.config.hidden_size)[inputs["token_places"]]
            for name, state in states.items()
        }

    def _state(self, name: str) -> str | None:
        """Return the name of the hidden state that an output is made of, None if of none."""
        if name.startswith("hidden_states."):
            return name
        last = f"hidden_states.{self.config.num_hidden_layers}"
        return last if name in HEAD_OUTPUTS or name == "pooled" else None

    def _other(self, missing: list[str]) -> Engine:
        if self._make_other is None:
            raise InputError(
                f"{self.precision} under LiteRT does not compute {', '.join(missing)}; load the "
                "model with precision='float32'"
            )
        return self._made_other

    @cached_property
    def _made_other(self) -> Engine:
        assert self._make_other is not None
        return self._make_other()

    def _output(self, name: str, hidden: np.ndarray) -> np.ndarray:
        if name.startswith("hidden_states."):
            return hidden
        if name in ("token_logits", "span_logits"):
            return self._dense(HEAD_OUTPUTS[name], hidden)
        first = hidden[:, 0]
        pooled = np.tanh(self._dense("pooler", first)) if "pooler/kernel" in self.tensors else first
        return pooled if name == "pooled" else self._dense(HEAD_OUTPUTS[name], pooled)

    def _dense(self, head: str, x: np.ndarray) -> np.ndarray:
        kernel, bias = (
            np.asarray(self.tensors[f"{head}/{n}"], x.dtype) for n in ("kernel", "bias")
        )
        product: np.ndarray = x @ kernel + bias
        return product

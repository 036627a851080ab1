"""Writing LiteRT files operation by operation, with LiteRT's own schema and no converter.

All tensors have rank 4, (R, 1, S, ...), with R and S open, and no operation reshapes them: XNNPACK
then takes the whole graph as one piece.  (Open sizes in a reshape would cut it, and cut graphs gave
wrong numbers when run again.)
"""

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Shape = tuple[int | None, ...]
FILE_IDENTIFIER = b"TFL3"
ALIGNMENT = 16
WIDEST_SPLIT = 4
"""Parts in which XNNPACK splits a tensor at once; as many it joins."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file: its number there and its shape, None where it is open."""

    number: int
    shape: Shape


class AlignedBuffer(schema.BufferT):
    """Bytes that begin at a multiple of 16, as readers of mapped files expect."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        """Write the bytes."""
        if self.data is not None:
            builder.Prep(ALIGNMENT, len(self.data))
        packed: int = super().Pack(builder)
        return packed


class LiteFile:
    """A file in the making: one graph, whose inputs and outputs have names."""

    def __init__(self) -> None:
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._buffers = [schema.BufferT()]
        self._codes: dict[int, int] = {}
        self._inputs: dict[str, Tensor] = {}
        self._outputs: dict[str, Tensor] = {}

    def input(self, name: str, *shape: int | None) -> Tensor:
        """Declare a float32 input."""
        self._inputs[name] = self._tensor(shape)
        return self._inputs[name]

    def output(self, name: str, tensor: Tensor) -> None:
        """Declare an output."""
        self._outputs[name] = tensor

    def constant(self, values: Any, scales: np.ndarray | None = None) -> Tensor:
        """Store an array: float32, int32, or int8 with one scale for each of its rows."""
        array = np.ascontiguousarray(values)
        buffer = AlignedBuffer()
        buffer.data = array.reshape(-1).view(np.uint8)
        self._buffers.append(buffer)
        made = self._tensor(array.shape, array.dtype.name, len(self._buffers) - 1)
        if scales is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = scales.astype(np.float32)
            quantization.zeroPoint = np.zeros(len(scales), np.int64)
            quantization.quantizedDimension = 0
            self._graph.tensors[made.number].quantization = quantization
        return made

    def apply(
        self, name: str, inputs: list[Tensor], *shapes: Shape, **options: Any
    ) -> list[Tensor]:
        """Add an operation of LiteRT's, named as in its schema; return its outputs."""
        code: int = getattr(schema.BuiltinOperator, name)
        made = [self._tensor(shape) for shape in shapes]
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.setdefault(code, len(self._codes))
        operator.inputs = [tensor.number for tensor in inputs]
        operator.outputs = [tensor.number for tensor in made]
        kind = OPTIONS.get(name)
        if kind:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, f"{kind}T")()
            for key, value in options.items():
                setattr(operator.builtinOptions, key, value)
        self._graph.operators.append(operator)
        return made

    def elementwise(self, name: str, *inputs: Tensor, **options: Any) -> Tensor:
        """Add an operation whose output has the shape of its inputs, broadcast."""
        shape = max((tensor.shape for tensor in inputs), key=_size)
        return self.apply(name, list(inputs), shape, **options)[0]

    def matmul(self, a: Tensor, b: Tensor, transpose_b: bool = False) -> Tensor:
        """Multiply the last two axes."""
        columns = b.shape[-2] if transpose_b else b.shape[-1]
        return self.apply("BATCH_MATMUL", [a, b], (*a.shape[:-1], columns), adjY=transpose_b)[0]

    def dense(self, x: Tensor, kernel: np.ndarray, bias: np.ndarray, int8: bool) -> Tensor:
        """Multiply the last axis by a (in, out) kernel and add a bias.

        Args:
            x: (..., in).
            kernel: float32 (in, out).
            bias: float32 (out,).
            int8: round the kernel to int8, one scale for each output; then the activations are
                quantized as the graph runs, one scale for each token.
        """
        rows = np.ascontiguousarray(kernel.T, np.float32)
        if int8:
            scales = np.maximum(np.abs(rows).max(axis=1), 1e-12) / 127
            weights = self.constant(np.round(rows / scales[:, None]).astype(np.int8), scales)
        else:
            weights = self.constant(rows)
        inputs = [x, weights, self.constant(bias.astype(np.float32))]
        shape = (*x.shape[:-1], len(rows))
        options = {"keepNumDims": True, "asymmetricQuantizeInputs": int8}
        return self.apply("FULLY_CONNECTED", inputs, shape, **options)[0]

    def split(self, x: Tensor, count: int) -> list[Tensor]:
        """Cut the last axis into equal parts, few at a time."""
        parts = [x]
        for factor in factors(count):
            parts = [piece for part in parts for piece in self._split(part, factor)]
        return parts

    def join(self, parts: list[Tensor]) -> Tensor:
        """Put parts behind each other on the last axis, few at a time."""
        for factor in reversed(factors(len(parts))):
            groups = [parts[at : at + factor] for at in range(0, len(parts), factor)]
            parts = [self._join(group) for group in groups]
        return parts[0]

    def to_bytes(self) -> bytes:
        """Return the finished file."""
        self._graph.inputs = [tensor.number for tensor in self._inputs.values()]
        self._graph.outputs = [tensor.number for tensor in self._outputs.values()]
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [self._graph], self._buffers
        model.operatorCodes = [_operator_code(code) for code in self._codes]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0
        signature.inputs = [_named(name, tensor) for name, tensor in self._inputs.items()]
        signature.outputs = [_named(name, tensor) for name, tensor in self._outputs.items()]
        model.signatureDefs = [signature]
        size = sum(len(b.data) for b in self._buffers if b.data is not None)
        builder = flatbuffers.Builder(size + 2**20)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _split(self, x: Tensor, count: int) -> list[Tensor]:
        axis = self.constant(np.array(len(x.shape) - 1, np.int32))
        part = (*x.shape[:-1], (x.shape[-1] or 0) // count)
        return self.apply("SPLIT", [axis, x], *[part] * count, numSplits=count)

    def _join(self, parts: list[Tensor]) -> Tensor:
        shape = (*parts[0].shape[:-1], sum(part.shape[-1] or 0 for part in parts))
        return self.apply("CONCATENATION", parts, shape, axis=len(shape) - 1)[0]

    def _tensor(self, shape: Shape, dtype: str = "float32", buffer: int = 0) -> Tensor:
        made = schema.TensorT()
        made.name = f"t{len(self._graph.tensors)}"
        made.shape = [1 if size is None else size for size in shape]
        made.shapeSignature = [-1 if size is None else size for size in shape]
        made.type = getattr(schema.TensorType, dtype.upper())
        made.buffer, made.hasRank = buffer, True
        self._graph.tensors.append(made)
        return Tensor(len(self._graph.tensors) - 1, shape)


OPTIONS = {
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "MEAN": "ReducerOptions",
    "SQUARED_DIFFERENCE": "SquaredDifferenceOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "SOFTMAX": "SoftmaxOptions",
    "GELU": "GeluOptions",
    "SPLIT": "SplitOptions",
    "CONCATENATION": "ConcatenationOptions",
}
"""The table of options that goes with an operation, where there is one."""


def factors(count: int) -> list[int]:
    """Return small factors whose product is ``count``: 12 = 4 x 3."""
    found = []
    while count > 1:
        step = next((n for n in range(WIDEST_SPLIT, 1, -1) if count % n == 0), count)
        found.append(step)
        count //= step
    return found


def _size(shape: Shape) -> tuple[int, int, int]:
    """Order shapes by what they broadcast to: rank, open sizes, last axis."""
    return len(shape), sum(size is None for size in shape), shape[-1] or 0 if shape else 0


def _operator_code(code: int) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode, made.version = code, 1
    made.deprecatedBuiltinCode = min(code, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    return made


def _named(name: str, tensor: Tensor) -> Any:
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, tensor.number
    return made

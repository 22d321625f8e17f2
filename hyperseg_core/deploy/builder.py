# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX operators one after another, and knows the shape and type of every value.

Over `onnx.helper`: writing the graph of `default` takes it a tenth of a second, imports
included, of spox or onnx_ir three times as much, and it is part of onnx itself.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnx
from onnx import helper
from onnx import numpy_helper

from hyperseg_core.deploy.forms import FloatType
from hyperseg_core.errors import EngineError

OPSET = 18
IR_VERSION = 8
"""The oldest that goes with the operator set: older engines read it too."""
_SHARED_BYTES = 256
"""Constants up to this size (axes, shapes, bounds) are stored once."""


@dataclass(frozen=True, slots=True)
class Value:
    """What an operator gave."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """NumPy's name of the type."""


class GraphBuilder:
    """A graph being written; methods add one operator each and return what it gives."""

    def __init__(self, float_type: FloatType) -> None:
        """Start with nothing; constants that are floats get `float_type`."""
        self.float_type: FloatType = float_type
        # Filled in place: helper.make_graph and make_model would copy all weights once each.
        self._model = onnx.ModelProto(ir_version=IR_VERSION, producer_name='hyperseg_ros')
        self._model.opset_import.append(helper.make_opsetid('', OPSET))
        self._graph = self._model.graph
        self._graph.name = 'hyperseg'
        self._shared: dict[tuple[str, tuple[int, ...], bytes], Value] = {}
        self._numbers = itertools.count()
        self._scopes: list[str] = []

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Name the operators that are added meanwhile after a part of the network."""
        self._scopes.append(name)
        yield
        self._scopes.pop()

    def input(self, name: str, shape: Sequence[int], dtype: str) -> Value:
        """Declare an input of the graph."""
        self._graph.input.append(helper.make_tensor_value_info(name, _onnx_type(dtype), shape))
        return Value(name, tuple(shape), dtype)

    def output(self, value: Value) -> None:
        """Declare an output of the graph."""
        info = helper.make_tensor_value_info(value.name, _onnx_type(value.dtype), value.shape)
        self._graph.output.append(info)

    def constant(
        self, array: NDArray[Any], *, name: str | None = None, dtype: str | None = None
    ) -> Value:
        """Store an array; floats become `dtype`, or the graph's float type.

        Raises:
            EngineError: If a number is beyond what the type can hold.
        """
        if array.dtype.kind == 'f':
            array = _as_float(array, dtype or self.float_type, name)
        array = np.ascontiguousarray(array).reshape(array.shape)  # scalars stay scalars
        key = (
            array.dtype.name,
            array.shape,
            array.tobytes() if array.nbytes <= _SHARED_BYTES else b'',
        )
        if name is None and key in self._shared and array.nbytes <= _SHARED_BYTES:
            return self._shared[key]
        value = Value(name or f'constant_{next(self._numbers)}', array.shape, array.dtype.name)
        self._graph.initializer.append(numpy_helper.from_array(array, value.name))
        if name is None and array.nbytes <= _SHARED_BYTES:
            self._shared[key] = value
        return value

    def integers(self, numbers: Sequence[int]) -> Value:
        """Store what operators want of axes, shapes and places."""
        return self.constant(np.asarray(numbers, np.int64))

    def add_node(
        self,
        op_type: str,
        inputs: Sequence[Value | None],
        shapes: Sequence[Sequence[int]],
        *,
        dtype: str | None = None,
        names: Sequence[str] | None = None,
        **attributes: Any,
    ) -> list[Value]:
        """Add an operator with as many outputs as `shapes`; None stands for an absent input."""
        node_name = '/'.join((*self._scopes, f'{op_type}_{next(self._numbers)}'))
        if names is None:
            names = [f'{node_name}:{index}' for index in range(len(shapes))]
        self._graph.node.append(
            helper.make_node(
                op_type,
                [value.name if value is not None else '' for value in inputs],
                list(names),
                name=node_name,
                **attributes,
            )
        )
        first = inputs[0]
        assert first is not None
        kind = dtype or first.dtype
        return [Value(name, tuple(shape), kind) for name, shape in zip(names, shapes, strict=True)]

    def unary(self, op_type: str, x: Value) -> Value:
        """Apply an operator of one input, element by element."""
        return self.add_node(op_type, [x], [x.shape])[0]

    def binary(self, op_type: str, left: Value, right: Value) -> Value:
        """Apply an operator of two inputs, element by element; shapes broadcast."""
        assert left.dtype == right.dtype, (op_type, left, right)
        shape = np.broadcast_shapes(left.shape, right.shape)
        dtype = 'bool' if op_type in {'Equal', 'Greater', 'Less'} else left.dtype
        return self.add_node(op_type, [left, right], [shape], dtype=dtype)[0]

    def where(self, condition: Value, chosen: Value, other: Value) -> Value:
        """Take `chosen` where the condition holds, else `other`."""
        shape = np.broadcast_shapes(condition.shape, chosen.shape, other.shape)
        return self.add_node('Where', [condition, chosen, other], [shape], dtype=other.dtype)[0]

    def clip(self, x: Value, low: float, high: float) -> Value:
        """Limit to a range."""
        bounds = [self.constant(np.array(bound, np.float64)) for bound in (low, high)]
        return self.add_node('Clip', [x, *bounds], [x.shape])[0]

    def cast(self, x: Value, dtype: str, *, name: str | None = None) -> Value:
        """Change the type; as it is where it has it."""
        if x.dtype == dtype and name is None:
            return x
        names = [name] if name is not None else None
        return self.add_node(
            'Cast', [x], [x.shape], dtype=dtype, names=names, to=_onnx_type(dtype)
        )[0]

    def conv(
        self,
        x: Value,
        kernel: Value,
        bias: Value | None = None,
        *,
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
        groups: int = 1,
    ) -> Value:
        """Convolve (B, C, H, W); `padding` is (before, after) on both axes [px]."""
        batch, _, height, width = x.shape
        side = kernel.shape[-1]
        fine = [(size + sum(padding) - side) // stride + 1 for size in (height, width)]
        inputs = [x, kernel] if bias is None else [x, kernel, bias]
        return self.add_node(
            'Conv', inputs, [(batch, kernel.shape[0], *fine)], kernel_shape=[side, side],
            strides=[stride, stride], pads=[padding[0]] * 2 + [padding[1]] * 2, group=groups,
        )[0]  # fmt: skip

    def matmul(self, left: Value, right: Value) -> Value:
        """Multiply matrices in the last two axes; leading axes broadcast."""
        assert left.shape[-1] == right.shape[-2], (left, right)
        leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        shape = (*leading, left.shape[-2], right.shape[-1])
        return self.add_node('MatMul', [left, right], [shape])[0]

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        """Read the same numbers as another shape; -1 stands for what is left of them."""
        known = math.prod(size for size in shape if size != -1)
        shape = [math.prod(x.shape) // known if size == -1 else size for size in shape]
        assert math.prod(shape) == math.prod(x.shape), (x, shape)
        if tuple(shape) == x.shape:
            return x
        return self.add_node('Reshape', [x, self.integers(shape)], [shape])[0]

    def expand(self, x: Value, shape: Sequence[int]) -> Value:
        """Repeat along axes of one."""
        return self.add_node('Expand', [x, self.integers(shape)], [shape])[0]

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """Permute the axes."""
        shape = [x.shape[axis] for axis in axes]
        return self.add_node('Transpose', [x], [shape], perm=list(axes))[0]

    def concat(self, values: Sequence[Value], axis: int) -> Value:
        """Join along an axis; one value stays as it is."""
        if len(values) == 1:
            return values[0]
        shape = list(values[0].shape)
        shape[axis] = sum(value.shape[axis] for value in values)
        return self.add_node('Concat', values, [shape], axis=axis)[0]

    def split(self, x: Value, sizes: Sequence[int], axis: int) -> list[Value]:
        """Cut along an axis; one piece is the value as it is."""
        assert sum(sizes) == x.shape[axis], (x, sizes)
        if len(sizes) == 1:
            return [x]
        shapes = [[*x.shape[:axis], size, *x.shape[axis + 1 :]] for size in sizes]
        return self.add_node('Split', [x, self.integers(sizes)], shapes, axis=axis)

    def slice(
        self, x: Value, starts: Sequence[int], ends: Sequence[int], first_axis: int
    ) -> Value:
        """Take a range of each axis from `first_axis` on."""
        axes = range(first_axis, first_axis + len(starts))
        shape = list(x.shape)
        for axis, start, end in zip(axes, starts, ends, strict=True):
            shape[axis] = end - start
        if tuple(shape) == x.shape:
            return x
        places = [self.integers(numbers) for numbers in (starts, ends, list(axes))]
        return self.add_node('Slice', [x, *places], [shape])[0]

    def gather(self, x: Value, places: NDArray[np.int64], axis: int) -> Value:
        """Take places along an axis, in any order."""
        shape = [*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]]
        # Every engine takes 32 bits here, and the graph of a large network is the smaller for it.
        index = self.constant(places.astype(np.int32))
        return self.add_node('Gather', [x, index], [shape], axis=axis)[0]

    def reduce(
        self, op_type: str, x: Value, axes: Sequence[int], *, keepdims: bool = True
    ) -> Value:
        """Reduce axes to one number."""
        kept = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
        shape = kept if keepdims else [size for a, size in enumerate(x.shape) if a not in axes]
        return self.add_node(op_type, [x, self.integers(axes)], [shape], keepdims=int(keepdims))[0]

    def resize(self, x: Value, size: tuple[int, int], *, is_nearest: bool = False) -> Value:
        """Resize (B, C, H, W), bilinearly with pixel areas aligned or to the nearest pixel."""
        shape = (*x.shape[:2], *size)
        if is_nearest:
            return self.add_node(
                'Resize', [x, None, None, self.integers(shape)], [shape], mode='nearest',
                coordinate_transformation_mode='asymmetric', nearest_mode='floor',
            )[0]  # fmt: skip
        return self.add_node(
            'Resize', [x, None, None, self.integers(shape)], [shape], mode='linear',
            coordinate_transformation_mode='half_pixel',
        )[0]  # fmt: skip

    def model(self, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return what was written, with metadata."""
        helper.set_model_props(self._model, metadata)
        return self._model


def _onnx_type(dtype: str) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def _as_float(array: NDArray[Any], dtype: str, name: str | None) -> NDArray[Any]:
    with np.errstate(over='ignore'):
        converted = array.astype(dtype)
    if not np.isfinite(converted).all():
        largest = float(np.abs(array).max())
        what = f'{name or "A constant"} holds {largest:.3g}'
        if not np.isfinite(largest):
            msg = f'{what}: the checkpoint is of a training that diverged. Use an earlier one.'
            raise EngineError(msg)
        msg = (
            f'{what}, beyond what {dtype} can: the graph cannot be written in it. Use '
            f'`precision: f32`.'
        )
        raise EngineError(msg)
    return converted

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A peer's exported network brought to the whole path: nodes before and after a user's ONNX file.

What goes in is a frame (1, H, W, 3) uint8, what comes out are ids (1, H, W) uint8 at the frame's
size, as our own graphs have it: the frame is cast, normalised and turned to NCHW; logits that are
smaller are enlarged bilinearly, then compared.
"""

from pathlib import Path

from google.protobuf.message import DecodeError
import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from hyperseg_core.preprocessing import Size

FRAME, IDS = 'peer.frame', 'peer.ids'
_OLDEST_OPSET = 13
_MEAN, _STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""ImageNet's, of 0 to 255; another normalisation takes the same time."""
_INTEGERS = {
    TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16,
    TensorProto.INT32, TensorProto.INT64,
}  # fmt: skip


class PeerError(ValueError):
    """A file that does not fit, with the reason."""


def whole_path(path: Path, size: Size) -> bytes:
    """Return the serialised graph of a peer's whole path.

    Args:
        path: An ONNX file: one input (1, 3, H, W) float32, one output of logits (1, C, h, w)
            float32 or of ids (1, h, w) or (1, 1, h, w) of integers.
        size: Height and width of frames and network [px]; open dimensions are set to it.

    Raises:
        PeerError: If the file is none of that.
    """
    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as err:
        msg = f'cannot be read: {err}'
        raise PeerError(msg) from err
    graph = model.graph
    if not graph.node:  # what is no protobuf at all may be read as one without anything
        msg = 'cannot be read: it has no nodes; expected an ONNX model.'
        raise PeerError(msg)
    opset = next((item.version for item in model.opset_import if not item.domain), 0)
    if opset < _OLDEST_OPSET:
        msg = f'has opset {opset}, expected {_OLDEST_OPSET} or later; export it with opset 18.'
        raise PeerError(msg)
    source = _fixed_input(graph, size)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as err:
        msg = f'does not fit frames of {size[0]} x {size[1]} px: {str(err).splitlines()[0]}'
        raise PeerError(msg) from err
    name, shape, is_logits = _answer(inferred.graph)
    before = _before(source)
    after = _after(name, shape, size, is_logits=is_logits)
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    height, width = size
    graph.input.append(
        helper.make_tensor_value_info(FRAME, TensorProto.UINT8, [1, height, width, 3])
    )
    graph.output.append(helper.make_tensor_value_info(IDS, TensorProto.UINT8, [1, height, width]))
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as err:
        msg = f'is no sound ONNX model: {err}'
        raise PeerError(msg) from err
    return bytes(model.SerializeToString())


def _fixed_input(graph: onnx.GraphProto, size: Size) -> str:
    """Set the input's open dimensions; return its name."""
    weights = {item.name for item in graph.initializer}
    inputs = [item for item in graph.input if item.name not in weights]
    if len(inputs) != 1:
        names = ', '.join(item.name for item in inputs)
        msg = f'has {len(inputs)} inputs ({names}), expected one image.'
        raise PeerError(msg)
    kind = inputs[0].type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        found = TensorProto.DataType.Name(kind.elem_type)
        msg = f'takes {found}, expected float32; export it in float32.'
        raise PeerError(msg)
    wanted = (1, 3, *size)
    dims = kind.shape.dim
    # Some exporters write -1 where a dimension is open.
    found = [item.dim_value if item.dim_value > 0 else item.dim_param or '?' for item in dims]
    if len(dims) != len(wanted) or any(
        isinstance(item, int) and item != expected
        for item, expected in zip(found, wanted, strict=True)
    ):
        msg = (
            f'takes {found}, expected {list(wanted)} (NCHW); export it at that size, or run with '
            f'--size and the height and width that it takes.'
        )
        raise PeerError(msg)
    for item, value in zip(dims, wanted, strict=True):
        item.dim_value = value
    return inputs[0].name


def _answer(graph: onnx.GraphProto) -> tuple[str, list[int], bool]:
    """Return the output's name and shape, and whether it holds logits."""
    if len(graph.output) != 1:
        names = ', '.join(item.name for item in graph.output)
        msg = f'has {len(graph.output)} outputs ({names}), expected one: leave others out.'
        raise PeerError(msg)
    output = graph.output[0]
    kind = output.type.tensor_type
    shape = [item.dim_value for item in kind.shape.dim]
    found = f'{TensorProto.DataType.Name(kind.elem_type)} {shape}'
    is_logits = kind.elem_type == TensorProto.FLOAT and len(shape) == 4 and shape[1] > 1
    is_ids = kind.elem_type in _INTEGERS and (
        len(shape) == 3 or (len(shape) == 4 and shape[1] == 1)
    )
    if 0 in shape or shape[:1] != [1] or not (is_logits or is_ids):
        msg = (
            f'gives {found} (0: unknown), expected logits (1, C, h, w) in float32 or ids '
            f'(1, h, w) of integers.'
        )
        raise PeerError(msg)
    return output.name, shape, is_logits


def _before(source: str) -> list[onnx.NodeProto]:
    """Return nodes from a uint8 frame to the network's input."""
    scale = (1 / np.array(_STD, np.float32)).reshape(1, 3, 1, 1)
    mean = np.array(_MEAN, np.float32).reshape(1, 3, 1, 1)
    return [
        _constant('peer.mean', mean),
        _constant('peer.scale', scale),
        helper.make_node('Cast', [FRAME], ['peer.floats'], to=TensorProto.FLOAT),
        helper.make_node('Transpose', ['peer.floats'], ['peer.planes'], perm=[0, 3, 1, 2]),
        helper.make_node('Sub', ['peer.planes', 'peer.mean'], ['peer.centred']),
        helper.make_node('Mul', ['peer.centred', 'peer.scale'], [source]),
    ]


def _after(name: str, shape: list[int], size: Size, *, is_logits: bool) -> list[onnx.NodeProto]:
    """Return nodes from a network's output to ids at the frame's size."""
    nodes: list[onnx.NodeProto] = []
    is_small = tuple(shape[-2:]) != size
    channels = shape[1] if is_logits else 1
    if is_logits and is_small:
        nodes += _resized(name, 'peer.logits', (1, channels, *size), mode='linear')
        name = 'peer.logits'
    if is_logits:
        nodes.append(helper.make_node('ArgMax', [name], ['peer.best'], axis=1, keepdims=0))
        name = 'peer.best'
    nodes.append(helper.make_node('Cast', [name], ['peer.bytes'], to=TensorProto.UINT8))
    name = 'peer.bytes'
    if is_small and not is_logits:
        nodes.append(_constant('peer.map_shape', np.array([1, 1, *shape[-2:]], np.int64)))
        nodes.append(helper.make_node('Reshape', [name, 'peer.map_shape'], ['peer.map']))
        nodes += _resized('peer.map', 'peer.enlarged', (1, 1, *size), mode='nearest')
        name = 'peer.enlarged'
    nodes.append(_constant('peer.ids_shape', np.array([1, *size], np.int64)))
    nodes.append(helper.make_node('Reshape', [name, 'peer.ids_shape'], [IDS]))
    return nodes


def _resized(name: str, result: str, shape: tuple[int, ...], *, mode: str) -> list[onnx.NodeProto]:
    sizes = f'{result}_sizes'
    return [
        _constant(sizes, np.array(shape, np.int64)),
        helper.make_node('Resize', [name, '', '', sizes], [result], mode=mode),
    ]


def _constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node('Constant', [], [name], value=numpy_helper.from_array(value))

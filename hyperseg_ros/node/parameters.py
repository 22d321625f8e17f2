# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters, stated once; no ROS here.

Descriptors, `config/segmenter.yaml` and the table in `docs/node.md` are made of these fields
(`parameter_files`), and a test holds the files to them.
"""

import array
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from dataclasses import replace
import math
import re
from typing import Any

from hyperseg_core.errors import ConfigError
from hyperseg_core.inference.selection import CHOICES
from hyperseg_core.labels import LabelSet

_NAME = re.compile(r'[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*')
_DEVICE = re.compile(r'auto|cpu|gpu|cuda(:\d+)?')


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterSpec:
    """What is known about one parameter."""

    name: str
    default: Any
    """Of the parameter's type; an empty list is None, `kind` tells of what."""
    kind: str
    """bool, int, float, str, list[str] or list[int]."""
    text: str
    unit: str = ''
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    is_live: bool = False
    """Whether it may change while the node runs; others are read at configure."""

    @property
    def constraint(self) -> str:
        """What values it takes, for people; empty where any will do."""
        if self.choices:
            return ' | '.join(self.choices)
        return '' if self.low is None else f'{self.low:g} to {self.high:g}'


def _parameter(default: Any, text: str, **known: Any) -> Any:
    return field(default=default, metadata={'text': text, **known})


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeParameters:
    """The node's parameters, read at once."""

    autostart: bool = _parameter(True, 'Configure and activate without being asked.')
    bond: bool = _parameter(
        False, "Bond with Nav2's lifecycle manager while active (needs bondpy)."
    )
    cameras: tuple[str, ...] = _parameter(
        (), 'Names of cameras, each under a namespace of its own; empty: one camera.'
    )
    checkpoint: str = _parameter('default', 'Path of a checkpoint, or the name of a shipped one.')
    engine: str = _parameter('auto', 'Inference engine.', choices=CHOICES)
    device: str = _parameter('auto', 'Device: auto, cpu, gpu (Intel), cuda or cuda:N.')
    precision: str = _parameter(
        'auto',
        'Arithmetic; auto: f16 on GPUs, bf16 on CPUs that multiply it, else f32.',
        choices=('auto', 'f32', 'bf16', 'f16'),
    )
    fallback_ready: bool = _parameter(
        True, 'Keep a CPU engine ready beside one on a GPU, to go on when that is lost.'
    )
    on_engine_loss: str = _parameter(
        'next', 'Go on with the next engine, or exit to be started anew by launch.',
        choices=('next', 'exit'),
    )  # fmt: skip
    size: tuple[int, ...] = _parameter(
        (), 'Network input height and width, multiples of 64; empty: by frame.', unit='px'
    )
    transport: str = _parameter(
        'raw', 'Image, CompressedImage, FFMPEGPacket or foxglove CompressedVideo.',
        choices=('raw', 'compressed', 'ffmpeg', 'foxglove'),
    )  # fmt: skip
    max_frame_mpx: float = _parameter(
        9.0, 'Frames of more pixels are dropped, with the cause.', unit='10^6 px', low=0.001,
        high=64,
    )  # fmt: skip
    max_frame_aspect: float = _parameter(
        8.0, 'Frames whose longer side is more times the shorter are dropped.', low=1, high=100
    )
    mask_size: str = _parameter(
        'camera', "Masks at the camera's size or the network's.", choices=('camera', 'network'),
        is_live=True,
    )  # fmt: skip
    confidence_threshold: float = _parameter(
        0.0, 'Pixels with a lower probability become 255.', low=0, high=1, is_live=True
    )
    classes: tuple[str, ...] = _parameter(
        (), 'Classes or groups to keep, others become 255; empty: all.', is_live=True
    )
    max_age_s: float = _parameter(
        0.5, 'Older frames are dropped; 0: never, nor under simulated time.', unit='s', low=0,
        high=3600, is_live=True,
    )  # fmt: skip
    max_rate_hz: float = _parameter(
        0.0, 'Most frames per second and camera; 0: no limit.', unit='Hz', low=0, high=1000,
        is_live=True,
    )  # fmt: skip
    overlay_alpha: float = _parameter(
        0.5, 'Opacity of the colours in `overlay`.', low=0, high=1, is_live=True
    )
    publish_mask: bool = _parameter(True, 'Publish `~/mask`.', is_live=True)
    publish_confidence: bool = _parameter(
        True, 'Publish `~/confidence` where it is subscribed.', is_live=True
    )
    publish_compressed: bool = _parameter(
        True, 'Publish `~/mask/compressed` where it is subscribed.', is_live=True
    )
    publish_overlay: bool = _parameter(
        True, 'Publish `~/overlay` where it is subscribed.', is_live=True
    )
    publish_label_info: bool = _parameter(
        True, 'Publish `~/label_info` where vision_msgs is installed.', is_live=True
    )
    publish_camera_info: bool = _parameter(
        True, 'Publish `~/camera_info` scaled to the mask.', is_live=True
    )

    @property
    def network_size(self) -> tuple[int, int] | None:
        """The network's input size that was asked for, or None."""
        return (self.size[0], self.size[1]) if len(self.size) == 2 else None


_KINDS = {
    bool: 'bool', float: 'float', str: 'str',
    tuple[str, ...]: 'list[str]', tuple[int, ...]: 'list[int]',
}  # fmt: skip
SPECS: Mapping[str, ParameterSpec] = {
    item.name: ParameterSpec(
        name=item.name,
        default=item.default,
        kind=_KINDS[item.type],  # type: ignore[index]
        **item.metadata,
    )
    for item in fields(NodeParameters)
}
"""The parameters by name, in the order of the files."""
OLD_NAMES: Mapping[str, str] = {'max_age': 'max_age_s', 'max_rate': 'max_rate_hz'}
"""Names of release 0.1, still accepted with a warning, and what they are called now."""


def coerced(spec: ParameterSpec, value: Any) -> Any:
    """Bring a parameter's raw value to the type of its field.

    Lists become tuples without empty strings, which YAML needs to give an empty list a type; an
    integer is taken where a number is wanted.

    Raises:
        ConfigError: If the type, the range or the choice does not fit, naming the parameter.
    """
    if spec.kind.startswith('list'):
        value = () if value is None else value  # an empty list on the command line
        if not isinstance(value, list | tuple | array.array):
            raise ConfigError(_wrong(spec, value))
        items = tuple(item for item in value if item != '')
        kind = str if spec.kind == 'list[str]' else int
        if not all(type(item) is kind for item in items):
            raise ConfigError(_wrong(spec, value))
        return items
    if spec.kind == 'float' and type(value) is int:
        value = float(value)
    if type(value).__name__ != spec.kind:
        raise ConfigError(_wrong(spec, value))
    is_low = spec.low is not None and not spec.low <= value
    is_high = spec.high is not None and not value <= spec.high  # NaN is neither
    if is_low or is_high or (spec.choices and value not in spec.choices):
        raise ConfigError(_wrong(spec, value))
    return value


def _wrong(spec: ParameterSpec, value: Any) -> str:
    shown = list(value) if isinstance(value, list | tuple | array.array) else value
    is_odd = isinstance(value, float) and not math.isfinite(value)
    expected = 'a finite number' if is_odd else spec.kind
    if spec.choices:
        expected = f'one of {", ".join(spec.choices)}'
    elif spec.constraint:
        expected = f'{expected}, {spec.constraint}' + (f' {spec.unit}' if spec.unit else '')
    return f'Parameter {spec.name} is {shown!r}, expected {expected}.'


def problem_with(name: str, value: Any, labels: LabelSet | None = None) -> str:
    """Say what is wrong with a parameter's value; empty where nothing is.

    Args:
        name: One of `SPECS`.
        value: Of any type.
        labels: The checkpoint's label set, where it is known: `classes` must be in it.
    """
    try:
        value = coerced(SPECS[name], value)
        if name == 'classes' and labels is not None:
            labels.ids(value)
    except ConfigError as error:
        return str(error)
    return next(_special_problems(name, value), '')


def _special_problems(name: str, value: Any) -> Iterator[str]:
    if name == 'size' and (len(value) not in {0, 2} or any(side < 64 for side in value)):
        yield f'Parameter size is {list(value)}, expected height and width in px, or nothing.'
    if name == 'device' and not _DEVICE.fullmatch(value):
        yield f'Parameter device is {value!r}, expected auto, cpu, gpu, cuda or cuda:N.'
    if name == 'cameras':
        yield from camera_problems(value)


def camera_problems(cameras: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with the names of cameras, which are namespaces of topics."""
    if len(set(cameras)) != len(cameras):
        yield f'Parameter cameras is {list(cameras)}, expected names that differ.'
    for camera in cameras:
        if not _NAME.fullmatch(camera):
            yield (
                f'Parameter cameras names {camera!r}, which no topic can be called; use '
                f'letters, digits and underscores, e.g. {_fit_name(camera)!r}.'
            )


def _fit_name(camera: str) -> str:
    fit = re.sub(r'[^A-Za-z0-9_]+', '_', camera).strip('_')
    return fit if _NAME.fullmatch(fit) else f'camera_{fit}'.rstrip('_')


def read_values(values: Mapping[str, Any]) -> NodeParameters:
    """Check raw values and build the parameters.

    Raises:
        ConfigError: For the first value that does not fit.
    """
    for name, value in values.items():
        reason = problem_with(name, value)
        if reason:
            raise ConfigError(reason)
    return NodeParameters(**{name: coerced(SPECS[name], value) for name, value in values.items()})


def changed(parameters: NodeParameters, values: Mapping[str, Any]) -> NodeParameters:
    """Return the parameters with some values, already checked, in place of theirs."""
    return replace(
        parameters, **{name: coerced(SPECS[name], value) for name, value in values.items()}
    )

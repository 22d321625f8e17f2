# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters: one table, from which they are declared, checked and read."""

from dataclasses import dataclass
from dataclasses import fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from hyperseg_core.errors import ConfigError
from hyperseg_core.inference.selection import CHOICES
from hyperseg_core.labels import LabelSet


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeParameters:
    """The node's parameters, read at once; what each means is in `PARAMETERS`."""

    autostart: bool
    cameras: tuple[str, ...]
    checkpoint: str
    engine: str
    device: str
    precision: str
    size: tuple[int, ...]
    transport: str
    mask_size: str
    confidence_threshold: float
    classes: tuple[str, ...]
    max_age: float
    max_rate: float
    overlay_alpha: float
    publish_mask: bool
    publish_confidence: bool
    publish_compressed: bool
    publish_overlay: bool
    publish_label_info: bool
    publish_camera_info: bool

    @property
    def network_size(self) -> tuple[int, int] | None:
        """The network's input size that was asked for, or None."""
        return (self.size[0], self.size[1]) if len(self.size) == 2 else None


def _fixed(text: str, constraint: str = '') -> ParameterDescriptor:
    """Describe a parameter that is read at configure."""
    return ParameterDescriptor(
        description=f'{text} Read at configure.', additional_constraints=constraint
    )


def _live(text: str, constraint: str = '') -> ParameterDescriptor:
    """Describe a parameter that may change while the node runs."""
    return ParameterDescriptor(description=text, additional_constraints=constraint)


def _number(text: str, low: float, high: float) -> ParameterDescriptor:
    """Describe a bounded number that may change while the node runs."""
    bounds = FloatingPointRange(from_value=low, to_value=high, step=0.0)
    return ParameterDescriptor(description=text, floating_point_range=[bounds])


CLOSED_SETS: dict[str, tuple[str, ...]] = {
    'engine': CHOICES,
    'precision': ('auto', 'f32', 'bf16', 'f16'),
    'transport': ('raw', 'compressed'),
    'mask_size': ('camera', 'network'),
}
_STRINGS = Parameter.Type.STRING_ARRAY
_INTEGERS = Parameter.Type.INTEGER_ARRAY

# Name: default, or the type of an empty list, and description.
PARAMETERS: dict[str, tuple[Any, ParameterDescriptor]] = {
    'autostart': (True, _fixed('Configure and activate without being asked.')),
    'cameras': (_STRINGS, _fixed('Names of cameras, each under a namespace of its own; empty: one.')),
    'checkpoint': ('default', _fixed('Path of a checkpoint, or the name of a shipped one.')),
    'engine': ('auto', _fixed('Inference engine.', ' | '.join(CLOSED_SETS['engine']))),
    'device': ('auto', _fixed('Device.', 'auto | cpu | gpu | cuda | cuda:N')),
    'precision': ('auto', _fixed('Precision.', ' | '.join(CLOSED_SETS['precision']))),
    'size': (_INTEGERS, _fixed('Network input height and width [px], multiples of 64; empty: by frame.')),
    'transport': ('raw', _fixed('Image or CompressedImage.', ' | '.join(CLOSED_SETS['transport']))),
    'mask_size': ('camera', _live("Masks at the camera's size or the network's.", ' | '.join(CLOSED_SETS['mask_size']))),
    'confidence_threshold': (0.0, _number('Pixels with a lower probability become 255.', 0.0, 1.0)),
    'classes': (_STRINGS, _live('Classes or groups to keep, others become 255; empty: all.')),
    'max_age': (0.5, _number('Older frames are dropped [s]; 0 and simulated time: never.', 0.0, 3600.0)),
    'max_rate': (0.0, _number('Most frames per second and camera [Hz]; 0: no limit.', 0.0, 1000.0)),
    'overlay_alpha': (0.5, _number('Opacity of the colours in `overlay`.', 0.0, 1.0)),
    'publish_mask': (True, _live('Publish `~/mask`.')),
    'publish_confidence': (True, _live('Publish `~/confidence` where it is subscribed.')),
    'publish_compressed': (True, _live('Publish `~/mask/compressed` where it is subscribed.')),
    'publish_overlay': (True, _live('Publish `~/overlay` where it is subscribed.')),
    'publish_label_info': (True, _live('Publish `~/label_info` where vision_msgs is installed.')),
    'publish_camera_info': (True, _live('Publish `~/camera_info` scaled to the mask.')),
}  # fmt: skip
LIVE = tuple(
    name for name, (_, descriptor) in PARAMETERS.items()
    if 'Read at configure' not in descriptor.description
)  # fmt: skip


def declare_parameters(node: Node) -> None:
    """Declare every parameter of the table."""
    for name, (default, descriptor) in PARAMETERS.items():
        if isinstance(default, Parameter.Type):
            # An empty list has no type of its own.
            node.declare_parameter(name, default, _with_type(descriptor, default))
            continue
        node.declare_parameter(name, default, descriptor)


def _with_type(descriptor: ParameterDescriptor, kind: Parameter.Type) -> ParameterDescriptor:
    descriptor.type = kind.value
    return descriptor


def read_parameters(node: Node) -> NodeParameters:
    """Read the parameters at once.

    Raises:
        ConfigError: If a value is outside its set.
    """
    values: dict[str, Any] = {}
    for field in fields(NodeParameters):
        parameter = node.get_parameter_or(field.name, None)
        value = parameter.value if parameter is not None else None
        default, _ = PARAMETERS[field.name]
        if isinstance(default, Parameter.Type):
            value = tuple(item for item in (value or ()) if item != '')
        values[field.name] = value
    for name, value in values.items():
        reason = problem_with(name, value)
        if reason:
            raise ConfigError(reason)
    return NodeParameters(**values)


def problem_with(name: str, value: Any, labels: LabelSet | None = None) -> str:
    """Say what is wrong with a parameter's value; empty where nothing is."""
    if name in CLOSED_SETS and value not in CLOSED_SETS[name]:
        return f'{name} is {value!r}, expected one of {", ".join(CLOSED_SETS[name])}.'
    if name == 'size' and len(value or ()) not in {0, 2}:
        return f'size is {list(value)}, expected height and width in px, or nothing.'
    if name == 'classes' and labels is not None:
        try:
            labels.ids([item for item in value or () if item])
        except ConfigError as error:
            return str(error)
    if name == 'cameras' and len(set(value or ())) != len(value or ()):
        return f'cameras is {list(value)}, expected names that differ.'
    return ''


def check_change(
    parameters: list[Parameter], labels: LabelSet | None, *, is_configured: bool
) -> SetParametersResult:
    """Accept or reject a change, with the reason."""
    for parameter in parameters:
        if parameter.name not in PARAMETERS:
            continue
        if is_configured and parameter.name not in LIVE:
            reason = f'{parameter.name} is read at configure; clean the node up to change it.'
            return SetParametersResult(successful=False, reason=reason)
        reason = problem_with(parameter.name, parameter.value, labels)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)

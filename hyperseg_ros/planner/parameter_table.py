# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of a planner's node, stated once as the fields of a dataclass.

They are declared as the segmenter declares its own (`node.declaration`): with whatever was given,
then checked, then fixed, so that a wrong value is told and ends nothing.
"""

import array
from collections.abc import Mapping
from dataclasses import MISSING
from dataclasses import field
from dataclasses import fields
from dataclasses import replace
import math
from typing import Any
from typing import Generic
from typing import TypeVar

from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from hyperseg_core.errors import ConfigError
from hyperseg_ros.node.declaration import declared
from hyperseg_ros.node.parameters import ParameterSpec
from hyperseg_ros.node.parameters import coerced

Parameters = TypeVar('Parameters')

_KINDS = {
    bool: 'bool', int: 'int', float: 'float', str: 'str', tuple[str, ...]: 'list[str]',
    tuple[float, ...]: 'list[float]',
}  # fmt: skip
_TYPES = {
    'bool': Parameter.Type.BOOL,
    'int': Parameter.Type.INTEGER,
    'float': Parameter.Type.DOUBLE,
    'str': Parameter.Type.STRING,
    'list[str]': Parameter.Type.STRING_ARRAY,
    'list[float]': Parameter.Type.DOUBLE_ARRAY,
}


def parameter(default: Any, text: str, **known: Any) -> Any:
    """Return a field that is a parameter; `known` are further fields of ParameterSpec."""
    return field(default=default, metadata={'text': text, **known})


def specs_of(kind: type[Any]) -> Mapping[str, ParameterSpec]:
    """Return the specifications of a dataclass of parameters, by name."""
    return {
        item.name: ParameterSpec(
            name=item.name,
            default=item.default,
            kind=_KINDS[item.type],  # type: ignore[index]
            **{name: value for name, value in item.metadata.items() if name != 'length'},
        )
        for item in fields(kind)
    }


class ParameterTable(Generic[Parameters]):
    """A node's parameters: declared, read and changed."""

    def __init__(self, node: Node, kind: type[Parameters]) -> None:
        """Declare every parameter, with its type fixed.

        Args:
            node: The node.
            kind: The dataclass of the parameters.
        """
        self._node, self._kind = node, kind
        self._lengths = {
            item.name: item.metadata['length']
            for item in fields(kind)  # type: ignore[arg-type]
            if item.metadata.get('length', MISSING) is not MISSING
        }
        self.specs = specs_of(kind)
        self._problems: dict[str, str] = {}
        found = {spec.name: self._declare(spec) for spec in self.specs.values()}
        self.values: Parameters = kind(**found)
        if hasattr(node, 'add_pre_set_parameters_callback'):  # since Iron
            node.add_pre_set_parameters_callback(self._with_types)
        node.add_on_set_parameters_callback(self._on_set)
        self.is_configured = False
        """Set by the node: then only live parameters change."""

    def check(self) -> None:
        """Check the values that were given at the start.

        Raises:
            ConfigError: If one does not fit.
        """
        for problem in self._problems.values():
            raise ConfigError(problem)

    def coerced(self, name: str, value: Any) -> Any:
        """Bring a raw value to the type of its field.

        Raises:
            ConfigError: If it does not fit.
        """
        spec = self.specs[name]
        if spec.kind != 'list[float]':
            return coerced(spec, value)
        value = () if value is None else value  # an empty list on the command line
        is_list = isinstance(value, list | tuple | array.array)
        items = tuple(item for item in value if item != '') if is_list else (value,)
        are_numbers = all(type(item) in (int, float) and math.isfinite(item) for item in items)
        length = self._lengths.get(name, ())
        if not is_list or not are_numbers or (length and len(items) not in length):
            counts = ' or '.join(map(str, length)) or 'a list of'
            shown = list(items) if is_list else value
            msg = f'Parameter {name} is {shown!r}, expected {counts} finite numbers.'
            raise ConfigError(msg)
        return tuple(float(item) for item in items)

    def _declare(self, spec: ParameterSpec) -> Any:
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        given = declared(self._node, spec.name, default)
        try:
            value = self.coerced(spec.name, given)
        except ConfigError as error:
            self._problems[spec.name] = str(error)
            value = spec.default
        ros_value = list(value) if isinstance(value, tuple) else value
        self._node.set_parameters([Parameter(spec.name, _TYPES[spec.kind], ros_value)])
        unit = f' [{spec.unit}]' if spec.unit else ''
        self._node.set_descriptor(
            spec.name,
            ParameterDescriptor(
                name=spec.name,
                type=_TYPES[spec.kind].value,
                description=f'{spec.text}{unit}' + ('' if spec.is_live else ' Read at configure.'),
                additional_constraints=spec.constraint,
            ),
        )
        return value

    def _with_types(self, changes: list[Parameter]) -> list[Parameter]:
        """Give empty lists, which `ros2 param set` takes for some of booleans, their own type."""
        return [
            Parameter(change.name, _TYPES[spec.kind], [])
            if (spec := self.specs.get(change.name)) is not None
            and spec.kind.startswith('list')
            and change.type_ == Parameter.Type.BOOL_ARRAY
            and not change.value
            else change
            for change in changes
        ]

    def _on_set(self, changes: list[Parameter]) -> SetParametersResult:
        values = {}
        for change in changes:
            spec = self.specs.get(change.name)
            if spec is None:
                continue
            if self.is_configured and not spec.is_live:
                reason = f'{change.name} is read at configure; clean the node up to change it.'
                return SetParametersResult(successful=False, reason=reason)
            try:
                values[change.name] = self.coerced(change.name, change.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        self.values = replace(self.values, **values)  # type: ignore[type-var]
        for name in values:
            self._problems.pop(name, None)
        return SetParametersResult(successful=True)

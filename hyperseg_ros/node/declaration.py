# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's parameters as ROS has them: declared, read and changed.

A value of a wrong type or range, from a file or the command line, must not end the process before
anybody hears of it: everything is declared with whatever it was given, checked, and then fixed.
"""

from typing import Any

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from hyperseg_core.labels import LabelSet
from hyperseg_ros.node.parameters import OLD_NAMES
from hyperseg_ros.node.parameters import SPECS
from hyperseg_ros.node.parameters import NodeParameters
from hyperseg_ros.node.parameters import ParameterSpec
from hyperseg_ros.node.parameters import coerced
from hyperseg_ros.node.parameters import problem_with
from hyperseg_ros.node.parameters import read_values

_TYPES = {
    'bool': Parameter.Type.BOOL,
    'float': Parameter.Type.DOUBLE,
    'str': Parameter.Type.STRING,
    'list[str]': Parameter.Type.STRING_ARRAY,
    'list[int]': Parameter.Type.INTEGER_ARRAY,
}


def descriptor_of(spec: ParameterSpec) -> ParameterDescriptor:
    """Describe a parameter for `ros2 param describe`."""
    unit = f' [{spec.unit}]' if spec.unit else ''
    bounds = (
        [FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high or 0), step=0.0)]
        if spec.low is not None
        else []
    )
    return ParameterDescriptor(
        name=spec.name,
        type=_TYPES[spec.kind].value,
        description=f'{spec.text}{unit}' + ('' if spec.is_live else ' Read at configure.'),
        additional_constraints='' if bounds else spec.constraint,
        floating_point_range=bounds,
    )


def declare_parameters(node: Node) -> dict[str, str]:
    """Declare every parameter, with its type fixed.

    Returns:
        What is wrong with each value that was given and does not fit, by the parameter's name;
        the parameter then has its default.
    """
    given = {name: declared(node, name, SPECS[name].default) for name in SPECS}
    for old, name in OLD_NAMES.items():
        value = declared(node, old, None)
        node.undeclare_parameter(old)
        if value is not None:
            node.get_logger().warning(f'Parameter {old} is now called {name}; rename it.')
            given[name] = value
    problems: dict[str, str] = {}
    for name, value in given.items():
        problem, spec = problem_with(name, value), SPECS[name]
        if problem:
            problems[name] = problem
        fixed = spec.default if problem else coerced(spec, value)
        kind = _TYPES[spec.kind]
        ros_value = list(fixed) if isinstance(fixed, tuple) else fixed
        node.set_parameters([Parameter(name, kind, ros_value)])
        node.set_descriptor(name, descriptor_of(spec))
    return problems


def declared(node: Node, name: str, default: Any) -> Any:
    """Declare a parameter of any type and return the value that it was given, or the default."""
    loose = ParameterDescriptor(dynamic_typing=True)
    value = [''] if default in ((), []) else default  # an empty list has no type of its own
    return node.declare_parameter(name, value, loose).value


def read_parameters(node: Node) -> NodeParameters:
    """Read the parameters at once.

    Raises:
        ConfigError: If a value does not fit.
    """
    return read_values({name: node.get_parameter(name).value for name in SPECS})


def check_change(
    parameters: list[Parameter], labels: LabelSet | None, *, is_configured: bool
) -> SetParametersResult:
    """Accept or reject a change, with the reason."""
    for parameter in parameters:
        spec = SPECS.get(parameter.name)
        if spec is None:
            continue
        if is_configured and not spec.is_live:
            reason = f'{parameter.name} is read at configure; clean the node up to change it.'
            return SetParametersResult(successful=False, reason=reason)
        reason = problem_with(parameter.name, parameter.value, labels)
        if reason:
            return SetParametersResult(successful=False, reason=reason)
    return SetParametersResult(successful=True)

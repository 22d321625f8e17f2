# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Parameters and lifecycle of nodes, by the services that they have."""

import asyncio
from collections.abc import Mapping
from collections.abc import Sequence
import functools
from typing import Any

from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetAvailableTransitions
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import DescribeParameters
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import ListParameters
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.parameter import parameter_value_to_python

from hyperseg_core.errors import InputError
from hyperseg_ros.viewer.protocol import TRANSITIONS
from hyperseg_ros.viewer.protocol import ParameterValue
from hyperseg_ros.viewer.ros_thread import RosThread

_SERVICE_S = 5.0
_TRANSITION_S = 60.0
_READY_POLL_S = 0.05
_FIXED = 'Read at configure.'
"""How the node's descriptions of parameters end that do not change while it runs."""
_KINDS: Mapping[Parameter.Type, str] = {
    Parameter.Type.BOOL: 'bool',
    Parameter.Type.INTEGER: 'int',
    Parameter.Type.DOUBLE: 'float',
    Parameter.Type.STRING: 'str',
    Parameter.Type.STRING_ARRAY: 'list[str]',
    Parameter.Type.INTEGER_ARRAY: 'list[int]',
}
_PYTHON: Mapping[str, type] = {'bool': bool, 'int': int, 'float': float, 'str': str}


class NodeControl:
    """Asks nodes; every method raises InputError where one does not answer."""

    def __init__(self, ros: RosThread) -> None:
        """Take the ROS thread."""
        self._ros = ros
        self._clients: dict[str, Any] = {}
        self._kinds: dict[tuple[str, str], Parameter.Type] = {}
        """Type of each parameter that may change, by node and name."""

    async def parameters(self, node: str) -> list[dict[str, Any]]:
        """Return the described parameters of a node, with their values."""
        names = await self.parameter_names(node)
        described = await self._call(
            DescribeParameters, f'{node}/describe_parameters',
            DescribeParameters.Request(names=names),
        )  # fmt: skip
        values = await self._call(
            GetParameters, f'{node}/get_parameters', GetParameters.Request(names=names)
        )
        found = []
        for descriptor, value in zip(described.descriptors, values.values, strict=True):
            kind = Parameter.Type(descriptor.type)
            if kind not in _KINDS or not descriptor.description:
                continue
            is_live = not (descriptor.read_only or descriptor.description.endswith(_FIXED))
            if is_live:
                self._kinds[node, descriptor.name] = kind
            found.append(_plain(descriptor, value, _KINDS[kind], is_live=is_live))
        return found

    async def parameter_names(self, node: str) -> list[str]:
        """Return the names of a node's parameters."""
        answer = await self._call(
            ListParameters, f'{node}/list_parameters', ListParameters.Request()
        )
        return list(answer.result.names)

    async def parameter(self, node: str, name: str) -> Any:
        """Return one parameter's value."""
        request = GetParameters.Request(names=[name])
        answer = await self._call(GetParameters, f'{node}/get_parameters', request)
        return parameter_value_to_python(answer.values[0]) if answer.values else None

    async def parameter_values(self, node: str, names: Sequence[str]) -> dict[str, Any]:
        """Return some of a node's parameters; empty if it has none of them."""
        request = GetParameters.Request(names=list(names))
        answer = await self._call(GetParameters, f'{node}/get_parameters', request)
        found = [parameter_value_to_python(value) for value in answer.values]
        if len(found) != len(names) or all(value is None for value in found):
            return {}
        return dict(zip(names, found, strict=True))

    async def set_parameter(self, node: str, name: str, value: ParameterValue) -> str:
        """Change a parameter that may change while the node runs.

        Returns:
            '' or the node's reason for refusing.
        """
        if (node, name) not in self._kinds:
            await self.parameters(node)
        if (node, name) not in self._kinds:
            return f'{name} is no parameter of {node} that may change while it runs.'
        kind = self._kinds[node, name]
        parameter = Parameter(name, kind, _fitting(name, value, _KINDS[kind]))
        request = SetParameters.Request(parameters=[parameter.to_parameter_msg()])
        answer = await self._call(SetParameters, f'{node}/set_parameters', request)
        (result,) = answer.results
        return '' if result.successful else (result.reason or 'refused without a reason')

    async def state(self, node: str) -> tuple[str, list[str]]:
        """Return a node's lifecycle state and the transitions that it may make."""
        state = await self._call(GetState, f'{node}/get_state', GetState.Request())
        answer = await self._call(
            GetAvailableTransitions, f'{node}/get_available_transitions',
            GetAvailableTransitions.Request(),
        )  # fmt: skip
        labels = [item.transition.label for item in answer.available_transitions]
        return state.current_state.label, [label for label in labels if label in TRANSITIONS]

    async def change_state(self, node: str, transition: str) -> str:
        """Make a transition; returns '' or what went wrong."""
        answer = await self._call(
            GetAvailableTransitions, f'{node}/get_available_transitions',
            GetAvailableTransitions.Request(),
        )  # fmt: skip
        ids = {item.transition.label: item.transition.id for item in answer.available_transitions}
        if transition not in ids:
            known = ', '.join(label for label in ids if label in TRANSITIONS)
            return f'{node} cannot {transition} now; it can: {known or "nothing"}.'
        request = ChangeState.Request()
        request.transition.id = ids[transition]
        answer = await self._call(ChangeState, f'{node}/change_state', request, _TRANSITION_S)
        return '' if answer.success else f'{node} did not {transition}; its log says why.'

    async def _call(
        self, kind: Any, name: str, request: Any, timeout_s: float = _SERVICE_S
    ) -> Any:
        """Call a service.

        Raises:
            InputError: If nobody answers in time.
        """
        node = self._ros.node
        if name not in self._clients:
            self._clients[name] = await self._ros.run(lambda: node.create_client(kind, name))
        client = self._clients[name]
        sent: list[Any] = []
        try:
            return await asyncio.wait_for(self._exchange(client, request, sent), timeout_s)
        except asyncio.TimeoutError as err:
            msg = f'{name} did not answer within {timeout_s:g} s.'
            raise InputError(msg) from err
        finally:  # also where the caller waits no longer
            for future in sent:
                if not future.done():
                    await self._ros.run(functools.partial(client.remove_pending_request, future))

    async def _exchange(self, client: Any, request: Any, sent: list[Any]) -> Any:
        """Wait for the service, send the request, noted in `sent`, and return the answer."""
        while not await self._ros.run(client.service_is_ready):
            await asyncio.sleep(_READY_POLL_S)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._ros.run(lambda: sent.append(_send(client, request, answer)))
        return await answer

    async def forget(self, node: str) -> None:
        """Let go of what is kept for a node that has left."""
        for name in [name for name in self._clients if name.startswith(f'{node}/')]:
            client = self._clients.pop(name)
            await self._ros.run(functools.partial(self._ros.node.destroy_client, client))
        self._kinds = {key: kind for key, kind in self._kinds.items() if key[0] != node}


def _send(client: Any, request: Any, answer: 'asyncio.Future[Any]') -> Any:
    """Send a request, in the ROS thread; the answer comes in the loop's."""
    loop = answer.get_loop()

    def tell(result: Any) -> None:
        if not answer.done():
            answer.set_result(result)

    future = client.call_async(request)
    future.add_done_callback(
        lambda done: loop.call_soon_threadsafe(tell, done.result()) if done.done() else None
    )
    return future


def _plain(descriptor: Any, value: Any, kind: str, *, is_live: bool) -> dict[str, Any]:
    """Return a parameter as plain data."""
    python = parameter_value_to_python(value)
    if kind.startswith('list'):
        python = list(python or [])
    ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
    constraint = descriptor.additional_constraints
    return {
        'name': descriptor.name,
        'kind': kind,
        'value': python,
        'description': descriptor.description,
        'is_live': is_live,
        'range': [ranges[0].from_value, ranges[0].to_value] if ranges else None,
        'choices': constraint.split(' | ') if ' | ' in constraint else [],
    }


def _fitting(name: str, value: ParameterValue, kind: str) -> Any:
    """Bring a value to a parameter's type.

    Raises:
        InputError: If it has another.
    """
    if kind == 'float' and type(value) is int:
        return float(value)
    if kind.startswith('list'):
        item_kind = _PYTHON[kind[5:-1]]
        is_right = isinstance(value, list) and all(type(item) is item_kind for item in value)
    else:
        is_right = type(value) is _PYTHON[kind]
    if not is_right:
        msg = f'Parameter {name} is {value!r:.80}, expected {kind}.'
        raise InputError(msg)
    return value

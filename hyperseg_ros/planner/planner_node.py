# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the planners' nodes share: lifecycle, listening only while they are listened to, health."""

from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import Generic
from typing import TypeVar

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.publisher import Publisher

from hyperseg_ros.node.health import Snapshot
from hyperseg_ros.node.health import StreamHealth
from hyperseg_ros.node.health import remedy_of_loss
from hyperseg_ros.node.health import values
from hyperseg_ros.node.stream_status import failed_status
from hyperseg_ros.planner.mask_input import MaskInput
from hyperseg_ros.planner.parameter_table import ParameterTable
from hyperseg_ros.planner.transforms import Transforms

_POLL_S = 0.1
Parameters = TypeVar('Parameters')


class PlannerNode(LifecycleNode, Generic[Parameters]):
    """A lifecycle node that brings itself up and works while somebody listens."""

    def __init__(self, name: str, kind: type[Parameters], **options: Any) -> None:
        """Declare the parameters and, with `autostart`, configure and activate soon.

        Args:
            name: Of the node.
            kind: Dataclass of its parameters; `autostart` is one.
            options: Of rclpy's node.
        """
        super().__init__(name, **options)
        self.parameters: ParameterTable[Parameters] = ParameterTable(self, kind)
        self.health = StreamHealth()
        self.transforms: Transforms | None = None
        self.outputs: list[Publisher] = []
        self._is_active = False
        self._failure = ''
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Not the ROS clock: a paused simulation still wants to know why nothing comes out.
        steady = rclpy.clock.Clock(clock_type=rclpy.clock.ClockType.STEADY_TIME)
        self.create_timer(1.0, self._report_health, clock=steady)
        self._faults: dict[str, str] = {}
        self.create_timer(_POLL_S, self.guarded(self._listen_if_heard), clock=steady)
        self._autostart_timer = self.create_timer(0.0, self._autostart, clock=steady)

    @abstractmethod
    def prepare(self) -> str:
        """Create inputs and publishers (`outputs`); returns a sentence for the log."""

    @property
    @abstractmethod
    def inputs(self) -> Sequence[Any]:
        """What has `subscribe`, `unsubscribe` and `is_listening`."""

    @property
    @abstractmethod
    def input_topic(self) -> str:
        """The full name of what outputs are made of."""

    def streams(self, snapshot: Snapshot) -> list[tuple[str, Snapshot]]:
        """Return the inputs' topics, and what became of their messages; called once a period."""
        return [(self.input_topic, snapshot)]

    def expire(self) -> None:
        """Leave out what has waited long enough."""

    def trouble(self) -> str:
        """Say what is wrong though outputs come; '' where nothing is."""
        return ''

    @abstractmethod
    def cause_of_silence(self, snapshot: Snapshot) -> str:
        """Say in one line why nothing comes out, and what to do."""

    def more_values(self) -> list[tuple[str, str]]:
        """Return further keys and values of the diagnostics; called after `streams`."""
        return []

    @abstractmethod
    def forget(self) -> None:
        """Let go of what was made of the inputs."""

    def guarded(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Return a timer's callback that tells what it raises.

        What escapes a timer each time keeps the executor from the others, diagnostics among them.
        """
        name = callback.__name__

        def run() -> None:
            try:
                callback()
                self._faults.pop(name, None)
            except Exception as error:
                fault = f'{type(error).__name__}: {" ".join(str(error).split())}'
                self._faults[name] = fault
                self.get_logger().error(f'In {name}: {fault}', throttle_duration_sec=5.0)

        return run

    def _autostart(self) -> None:
        self.destroy_timer(self._autostart_timer)
        if not self.get_parameter('autostart').value:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters and create publishers."""
        try:
            self.parameters.check()
            told = self.prepare()
        except Exception as error:  # rclpy swallows what escapes here
            self._failure = f'Cannot configure: {" ".join(str(error).split())}'
            self.get_logger().error(self._failure)
            self.release()
            return TransitionCallbackReturn.FAILURE
        self._failure, self.parameters.is_configured = '', True
        self.get_logger().info(told)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen from now on, while somebody listens."""
        self._is_active = True
        topics = ', '.join(publisher.topic_name for publisher in self.outputs)
        self.get_logger().info(f'Active: {topics}, each while somebody subscribes.')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen no more."""
        self._is_active = False
        self._stop_listening()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self.release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self.release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything; the node can be configured again."""
        self.release()
        return TransitionCallbackReturn.SUCCESS

    def release(self) -> None:
        """Let go of inputs, publishers and TF, as before the node was configured."""
        self._is_active = self.parameters.is_configured = False
        self._stop_listening()
        for publisher in self.outputs:
            self.destroy_publisher(publisher)
        self.outputs = []
        if self.transforms is not None:
            self.transforms.close()
        self.transforms = None

    def destroy_node(self) -> None:
        """Leave the graph; see the segmenter's."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def now_ns(self) -> int | None:
        """Return the time by the node's clock [ns]; None under simulated time."""
        clock = self.get_clock()
        return None if clock.ros_time_is_active else int(clock.now().nanoseconds)

    def is_young(self, stamp_ns: int, max_age_s: float) -> bool:
        """Tell whether something may still be published; if not, it is counted."""
        now_ns = self.now_ns()
        if not max_age_s or now_ns is None or now_ns - stamp_ns <= 1e9 * max_age_s:
            return True
        age_s = (now_ns - stamp_ns) / 1e9
        self.health.frame_dropped('too old', f'age {age_s:.2f} s, max_age_s {max_age_s:.2f}')
        return False

    def add_age(self, stamp_ns: int) -> None:
        """Count a publication, and how old it is."""
        self.health.frame_published()
        now_ns = self.now_ns()
        if now_ns is not None:
            self.health.add_stages(age=(now_ns - stamp_ns) / 1e9)

    @property
    def is_heard(self) -> bool:
        """Whether somebody subscribes to one of the outputs."""
        return any(publisher.get_subscription_count() for publisher in self.outputs)

    def _listen_if_heard(self) -> None:
        self.expire()
        is_wanted = self._is_active and self.is_heard
        for source in self.inputs:
            if is_wanted and not source.is_listening:
                source.subscribe()
        if not is_wanted:
            self._stop_listening()

    def _stop_listening(self) -> None:
        for source in self.inputs:
            if source.is_listening:
                source.unsubscribe()
        self.forget()

    def _report_health(self) -> None:
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        if self._failure:
            message.status.append(self._named_status(self._failure))
        elif self._is_active:
            message.status.append(self._status())
        if message.status:
            self._diagnostics.publish(message)

    def _named_status(self, failure: str) -> DiagnosticStatus:
        status = failed_status(self, self.get_name(), failure)
        status.hardware_id = self.input_topic
        return status

    def _status(self) -> DiagnosticStatus:
        snapshot = self.health.snapshot()
        self._tell_losses(self.streams(snapshot))
        more = self.more_values()
        status = self._named_status('')
        status.level, status.message = self._level_and_message(snapshot)
        found = [item for item in values(snapshot, '') if item[0] != 'engine'] + more
        status.values = [KeyValue(key=key, value=value) for key, value in found]
        return status

    def _level_and_message(self, snapshot: Snapshot) -> tuple[bytes, str]:
        """Return a level of diagnostics and one line, which the log has, too, if it is a fault."""
        rate = f'{snapshot.rate_out_hz:.1f} outputs/s'
        if self._faults:
            return DiagnosticStatus.ERROR, '; '.join(self._faults.values())
        if not self.is_heard:
            return DiagnosticStatus.OK, 'nobody subscribes, so nothing is done'
        if snapshot.is_silent:
            told = self.cause_of_silence(snapshot).rstrip('.')
            self.get_logger().warning(f'Silent: {told}.', throttle_duration_sec=5.0)
            return DiagnosticStatus.WARN, told
        if told := self.trouble().rstrip('.'):
            self.get_logger().warning(f'{rate}; {told}.', throttle_duration_sec=5.0)
            return DiagnosticStatus.WARN, f'{rate}; {told}'
        return DiagnosticStatus.OK, rate

    def _tell_losses(self, streams: list[tuple[str, Snapshot]]) -> None:
        found = [f'{topic} {item.lost}' for topic, item in streams if item.recent_lost]
        if found:
            self.get_logger().warning(
                f'Messages that got lost on the way so far: {", ".join(found)}; '
                f'{remedy_of_loss("their publisher")}.',
                throttle_duration_sec=30.0,
            )


def why_no_mask(node: LifecycleNode, source: MaskInput, snapshot: Snapshot) -> str:
    """Say why no mask leads to an output; '' where masks do come and none is left out."""
    if snapshot.recent_drops:
        return snapshot.commonest_drop('mask(s) left out')
    topic = source.topic('mask')
    if node.count_publishers(topic) == 0:
        return f'nothing publishes on {topic}; start the segmenter, or remap `mask` to its masks'
    return why_nothing_arrives(node, topic, snapshot, 'mask')


def why_nothing_arrives(node: LifecycleNode, topic: str, snapshot: Snapshot, what: str) -> str:
    """Say why nothing arrives from a topic's publishers; '' where something does."""
    if snapshot.rate_in_hz:
        return ''
    if snapshot.recent_lost:
        remedy = remedy_of_loss('their publisher')
        return (
            f'{snapshot.recent_lost} message(s) of {topic} got lost in the last second; {remedy}'
        )
    return f'{node.count_publishers(topic)} publisher(s) on {topic}, but no {what} arrives'

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`hyperseg bag play`: publish a bag's messages, where `ros2 bag` is not installed."""

import logging
import math
from pathlib import Path
import sys

from hyperseg_core.errors import ConfigError
from hyperseg_ros.bags.pace import single_keys
from hyperseg_ros.bags.reader import open_bag

_logger = logging.getLogger(__name__)
_SHOWN = 40
_MAX_RATE, _MAX_S = 1e6, 1e9


def bag_play_command(
    bag: Path,
    rate: float = 1.0,
    loop: bool = False,
    start: float = 0.0,
    duration: float | None = None,
    topics: list[str] | None = None,
    remap: list[str] | None = None,
    clock: bool = False,
) -> int:
    """Publish a bag's messages with their own types and QoS; space pauses and resumes.

    Exit status 1 if messages were lost, 2 if none could be played.

    Args:
        bag: A rosbag2 folder, an .mcap or .db3 file, or a ROS 1 .bag.
        rate: Speed as a multiple of the recording's.
        loop: Start again at the end.
        start: Seconds into the bag to start at; latched topics are sent first all the same.
        duration: Seconds of the bag to play.
        topics: Topics to play; all by default.
        remap: Pairs FROM:=TO.
        clock: Publish /clock.
    """
    import rclpy

    from hyperseg_ros.bags.player import BagPlayer
    from hyperseg_ros.bags.player import PlayOptions
    from hyperseg_ros.process.leaving import leave_graph

    _check('--rate', rate, _MAX_RATE)
    _check('--start', start, _MAX_S, may_be_zero=True)
    _check('--duration', 1.0 if duration is None else duration, _MAX_S)
    options = PlayOptions(
        rate, loop, start, duration, tuple(topics) if topics else None, tuple(remap or ()), clock
    )
    if not rclpy.ok():
        rclpy.init()
    node = rclpy.create_node('bag_player')
    status = 1
    try:
        with open_bag(bag) as reader:
            player = BagPlayer(node, reader, options)
            with single_keys():
                player.play()
            losses = player.losses()
        for line in losses[:_SHOWN]:
            _logger.warning('%s', line)
        if len(losses) > _SHOWN:
            _logger.warning('and %d more problems.', len(losses) - _SHOWN)
        if not player.num_published:
            _logger.error('Not one message of %s could be played.', bag)
        status = 2 if not player.num_published else 1 if losses else 0
    except KeyboardInterrupt:
        status = 130
        raise
    finally:
        leave_graph(node, status=status)
    return status


def _check(name: str, value: float, limit: float, *, may_be_zero: bool = False) -> None:
    is_good = (
        math.isfinite(value) and value <= limit and (value > 0 or (may_be_zero and not value))
    )
    if not is_good:
        low = 'at least' if may_be_zero else 'above'
        msg = f'{name} is {value}, but must be {low} 0 and at most {limit:g}.'
        raise ConfigError(msg)


def main() -> None:
    """Run the command on its own: `ros2 run hyperseg_ros bag_player BAG`."""
    arguments = sys.argv[1:]
    if '--ros-args' in arguments:
        import rclpy

        rclpy.init(args=sys.argv)
        arguments = arguments[: arguments.index('--ros-args')]
    from hyperseg_ros.cli import main as run

    run(['bag', 'play', *arguments])


if __name__ == '__main__':
    main()

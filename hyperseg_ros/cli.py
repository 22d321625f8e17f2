# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `hyperseg` command: the core's commands and those on bags and topics."""

from collections.abc import Mapping
import sys

from hyperseg_core import cli
from hyperseg_core.errors import HyperSegError


def _label() -> cli.Command:
    from hyperseg_ros.bags.label import bag_label_command

    return bag_label_command


def _play() -> cli.Command:
    try:
        from hyperseg_ros.bags.play import bag_play_command
    except ImportError as err:
        msg = f"Playing bags needs ROS 2 ({err.name}): `pip install 'hyperseg_ros[ros]'`."
        raise HyperSegError(msg) from err
    return bag_play_command


def _make() -> cli.Command:
    from hyperseg_ros.bags.make import bag_make_command

    return bag_make_command


def _evaluate() -> cli.Command:
    from hyperseg_ros.bags.evaluate import bag_evaluate_command

    return bag_evaluate_command


def _diff() -> cli.Command:
    from hyperseg_ros.bags.diff import bag_diff_command

    return bag_diff_command


def _doctor() -> cli.Command:
    from hyperseg_core.commands.deploy import print_report
    from hyperseg_ros.installed import ros_packages

    def doctor(topic: str | None = None) -> int:
        """Print what is installed, what `auto` would choose, and why.

        Args:
            topic: A camera's topic to listen to for some seconds.
        """
        print_report(ros_packages())
        if topic is None:
            return 0
        try:
            from hyperseg_ros.topic_doctor import examine_topic
        except ImportError as err:
            msg = f"Topics need ROS 2 ({err.name}): `pip install 'hyperseg_ros[ros]'`."
            raise HyperSegError(msg) from err
        return 0 if examine_topic(topic) else 1

    return doctor


COMMANDS: Mapping[str, tuple[str, cli.Loader]] = {
    **cli.COMMANDS,
    'doctor': ('Say what is installed, chosen, and wrong with a topic.', _doctor),
    'bag label': ('Label every image of bags.', _label),
    'bag play': ('Publish the messages of a bag.', _play),
    'bag make': ('Make a bag from images, video or rendered streets.', _make),
    'bag evaluate': ('Score the masks of a bag.', _evaluate),
    'bag diff': ('Compare the masks of two bags.', _diff),
}


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ['bag']:
        given = [' '.join(given[:2]), *given[2:]]
    sys.exit(cli.run(given, COMMANDS))

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `hyperseg` command: the core's commands and those on bags and topics."""

from collections.abc import Mapping
import sys

from cyclopts import App

from hyperseg_core import cli
from hyperseg_core.process_end import leave

COMMANDS: Mapping[str, tuple[str, str]] = {
    **cli.COMMANDS,
    'doctor': (
        'hyperseg_ros.doctor.command:doctor_command',
        'Say what is installed, chosen, and wrong with a topic.',
    ),
    'view': (
        'hyperseg_ros.viewer.command:view_command',
        'Show the segmenters that run, in a browser.',
    ),
}
BAG_COMMANDS: Mapping[str, tuple[str, str]] = {
    'label': ('hyperseg_ros.bags.label:bag_label_command', 'Label every image of bags.'),
    'play': ('hyperseg_ros.bags.play:bag_play_command', 'Publish the messages of a bag.'),
    'make': (
        'hyperseg_ros.bags.make:bag_make_command',
        'Make a bag from images, video or rendered streets.',
    ),
    'evaluate': ('hyperseg_ros.bags.evaluate:bag_evaluate_command', 'Score the masks of a bag.'),
    'diff': ('hyperseg_ros.bags.diff:bag_diff_command', 'Compare the masks of two bags.'),
    'select': (
        'hyperseg_ros.bags.select:bag_select_command',
        'Choose frames that are worth labelling.',
    ),
    'export': (
        'hyperseg_ros.bags.export:bag_export_command',
        'Write images with predicted ids, to be corrected.',
    ),
}
FLEET_COMMANDS: Mapping[str, tuple[str, str]] = {
    'label': ('hyperseg_ros.fleet.label:fleet_label_command', 'Label many bags.'),
    'evaluate': ('hyperseg_ros.fleet.evaluate:fleet_evaluate_command', 'Score labelled bags.'),
    'stats': ('hyperseg_ros.fleet.stats:fleet_stats_command', 'Say what labelled bags hold.'),
}


def create_app() -> App:
    """Return the whole command line."""
    app = cli.create_app(COMMANDS)
    bags = cli.create_app(BAG_COMMANDS, name='bag')
    bags.help = 'Label, play, make and compare bags; frames of them for training.'
    app.command(bags)
    fleet = cli.create_app(FLEET_COMMANDS, name='fleet')
    fleet.help = 'Label and score many bags, on one machine or a Ray cluster.'
    app.command(fleet)
    return app


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its status."""
    leave(cli.run(sys.argv[1:] if arguments is None else arguments, create_app()))


if __name__ == '__main__':
    main()

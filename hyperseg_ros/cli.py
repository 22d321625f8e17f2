# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The `hyperseg` command: the core's commands and those on bags and topics."""

import sys

from hyperseg_core import cli


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its status."""
    sys.exit(cli.run(sys.argv[1:] if arguments is None else arguments, cli.COMMANDS))

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m hyperseg_ros` is the `hyperseg` command."""

from hyperseg_ros.cli import main

if __name__ == '__main__':
    main()

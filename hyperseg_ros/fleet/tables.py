# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tables on the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = list[object]


def print_table(
    console: Console, columns: Sequence[str], rows: Sequence[Row], limit: int | None = None
) -> None:
    """Print a table; floats to four digits, names as they are.

    Args:
        console: Where to.
        columns: Their names.
        rows: A cell for each column.
        limit: So many rows are printed, and the number of the others.
    """
    table: Any = Table(*columns)
    for row in rows[:limit]:
        table.add_row(*(Text(_shown(value)) for value in row))
    console.print(table)
    if limit is not None and len(rows) > limit:
        console.print(f'and {len(rows) - limit} more.', highlight=False)


def _shown(value: object) -> str:
    """Return a cell; what is no UTF-8 in a name of a file becomes a question mark."""
    text = f'{value:.4f}' if isinstance(value, float) else str(value)
    return text.encode(errors='replace').decode()

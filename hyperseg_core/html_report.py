# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reports as one HTML file that needs no server, no script and nothing from elsewhere."""

import base64
from collections.abc import Sequence
import html
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.errors import ConfigError
from hyperseg_core.files.atomic import write_atomically
from hyperseg_core.render import Image
from hyperseg_core.render import encode_jpeg

_WIDTH = 480
"""Pictures are shrunk to this width [px]: a report is to be mailed."""
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 90rem; margin: 2rem auto;
  padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #8884; }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.scroll { overflow-x: auto; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0 0 1.5rem; }
figure { margin: 0; flex: 1 1 14rem; max-width: 480px; }
img { width: 100%; image-rendering: auto; border-radius: 4px; }
figcaption { font-size: .85em; overflow-wrap: anywhere; }
"""


def check_report_path(path: Path | None) -> None:
    """Check before long work that a report can be written.

    Raises:
        ConfigError: If there is no folder for it, or one of its name.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        msg = f'The report cannot be written: there is no folder {path.parent}; make it first.'
        raise ConfigError(msg)
    if path.is_dir():
        msg = f'The report cannot be written: {path} is a folder, expected a file; add a name.'
        raise ConfigError(msg)


class HtmlReport:
    """A report being written, from the top; everything given is shown as text, never as HTML."""

    def __init__(self, title: str) -> None:
        """Start with a heading."""
        self._title = html.escape(title)
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f'<h2>{html.escape(text)}</h2>')

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f'<p>{html.escape(text)}</p>')

    def table(self, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; floats are shown to four digits, None and NaN as a dash."""
        head = ''.join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
        lines = [
            ''.join(f'<td>{html.escape(_shown(value))}</td>' for value in row) for row in rows
        ]
        self._add_table(head, lines)

    def matrix(
        self, corner: str, rows: Sequence[str], columns: Sequence[str], shares: NDArray[np.float64]
    ) -> None:
        """Add a table of shares, 0 to 1, in percent, the darker the larger."""
        head = ''.join(f'<th scope="col">{html.escape(name)}</th>' for name in (corner, *columns))
        lines = []
        for name, line in zip(rows, shares, strict=True):
            cells = ''.join(
                f'<td style="background: rgb(220 60 60 / {share:.2f})">{100 * share:.1f}</td>'
                for share in line
            )
            lines.append(f'<th scope="row">{html.escape(name)}</th>{cells}')
        self._add_table(head, lines)

    def pictures(self, pictures: Sequence[tuple[str, Image]]) -> None:
        """Add a row of pictures (H, W, 3), RGB, each with its caption."""
        figures = ''.join(
            f'<figure><img alt="{html.escape(caption)}" src="{_data_url(image)}">'
            f'<figcaption>{html.escape(caption)}</figcaption></figure>'
            for caption, image in pictures
        )
        self._parts.append(f'<div class="row">{figures}</div>')

    def write(self, path: Path) -> None:
        """Write the file.

        Raises:
            OSError: If it cannot be written.
        """
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            # Whatever gets in, a browser loads nothing and runs nothing.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
            f'<title>{self._title}</title><style>{_STYLE}</style></head>'
            f'<body><h1>{self._title}</h1>{"".join(self._parts)}</body></html>\n'
        )
        # A file's name may hold bytes that are no UTF-8.
        write_atomically(path, page.encode(errors='replace'))

    def _add_table(self, head: str, lines: Sequence[str]) -> None:
        body = ''.join(f'<tr>{line}</tr>' for line in lines)
        self._parts.append(
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
            f'<tbody>{body}</tbody></table></div>'
        )


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return '\N{EN DASH}'
    return f'{value:.4f}' if isinstance(value, float) else str(value)


def _data_url(image: Image) -> str:
    return f'data:image/jpeg;base64,{base64.b64encode(encode_jpeg(image, _WIDTH)).decode()}'

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tables and pages show of names that anybody may give; how a fleet is ended."""

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from hyperseg_core.html_report import HtmlReport
from hyperseg_ros.fleet.tables import print_table

NAME = os.fsdecode(b'<b>\xff [red]')


def test_names_that_are_no_utf8_are_shown(tmp_path: Path) -> None:
    page = HtmlReport(NAME)
    page.table(('bag',), [[NAME]])
    page.write(tmp_path / 'x.html')
    assert '&lt;b&gt;? [red]' in (tmp_path / 'x.html').read_text()
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, 'utf-8', errors='strict') as file:
        print_table(Console(file=file), ('bag',), [[NAME, 0.5]])
        file.flush()
        assert '<b>? [red]' in raw.getvalue().decode()


def test_sigterm_while_ray_starts_ends_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip('ray')
    from hyperseg_ros.fleet import cluster

    def terminated(**_: object) -> None:
        raise SystemExit(15)  # by the handler that Ray installs

    monkeypatch.setattr(ray, 'init', terminated)
    monkeypatch.setattr(cluster, '_private_to_us', dict)
    with pytest.raises(KeyboardInterrupt), cluster.Cluster(None, 1, cluster.Resources()):
        pass

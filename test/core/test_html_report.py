# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import base64
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from hyperseg_core.cli import create_app
from hyperseg_core.cli import run
from hyperseg_core.errors import ConfigError
from hyperseg_core.html_report import HtmlReport
from hyperseg_core.html_report import check_report_path
from hyperseg_core.render import errors_image


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def pictures(self) -> list[np.ndarray]:
        """Decode the pictures; there are none that do not lie in the file."""
        found = []
        for tag, attributes in self.tags:
            if tag == 'img':
                head, _, data = str(attributes['src']).partition(',')
                assert head == 'data:image/jpeg;base64'
                pixels = cv2.imdecode(
                    np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR
                )
                found.append(pixels[..., ::-1])
        return found


def test_what_is_given_is_shown_as_text_and_nothing_is_loaded_or_run(tmp_path: Path) -> None:
    evil = '<script src="http://a/b.js">alert(1)</script>"\'>'
    report = HtmlReport(evil)
    report.heading(evil)
    report.text(evil)
    report.table([evil, 'b'], [(evil, 0.5), (None, float('nan'))])
    report.matrix(evil, [evil], [evil], np.array([[0.25]]))
    report.pictures([(evil, np.zeros((4, 4, 3), np.uint8))])
    report.write(tmp_path / 'a.html')
    page = Page(tmp_path / 'a.html')
    assert 'script' not in {tag for tag, _ in page.tags}
    assert not [
        value for _, attributes in page.tags for name, value in attributes.items()
        if name in {'src', 'href'} and not str(value).startswith('data:')
    ]  # fmt: skip
    assert page.words.count(evil) >= 6
    for shown in ('0.5000', '25.0', '\N{EN DASH}'):
        assert shown in page.words
    policy = next(a for tag, a in page.tags if a.get('http-equiv'))
    assert "default-src 'none'" in str(policy['content'])


def test_pictures_are_shrunk_and_keep_their_colours(tmp_path: Path) -> None:
    image = np.full((300, 960, 3), (200, 30, 60), np.uint8)
    report = HtmlReport('t')
    report.pictures([('wide', image), ('small', image[:40, :60])])
    report.write(tmp_path / 'a.html')
    wide, small = Page(tmp_path / 'a.html').pictures()
    assert (wide.shape, small.shape) == ((150, 480, 3), (40, 60, 3))
    assert np.abs(wide.astype(int) - (200, 30, 60)).max() < 8


def test_errors_are_painted_where_truth_is_known() -> None:
    truth, ids = np.array([[1, 1, 255]], np.uint8), np.array([[1, 2, 2]], np.uint8)
    right, wrong, unknown = (tuple(pixel) for pixel in errors_image(truth, ids)[0])
    assert len({right, wrong, unknown}) == 3
    assert wrong[0] > 200 > wrong[1]


def test_evaluate_reports_scores_and_frames(tmp_path: Path) -> None:
    report = tmp_path / 'scores.html'
    words = ['evaluate', '--data', 'drive', '--limit', '2', '--engine', 'openvino']
    assert run([*words, '--report', str(report)], create_app()) == 0
    page = Page(report)
    assert {'Classes', 'Confusion', 'Calibration', 'road', 'bicyclist'} <= set(page.words)
    # The reliability diagram; of each frame picture, prediction, truth and what is wrong.
    assert len(page.pictures()) == 1 + 2 * 4
    assert report.stat().st_size < 1_000_000


def test_report_that_cannot_be_written_is_told_before_hours_of_scoring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ['evaluate', '--data', 'drive', '--report', str(tmp_path / 'no' / 'a.html')]
    assert run(words, create_app()) != 0
    assert 'no folder' in capsys.readouterr().err


def test_report_that_would_replace_a_folder_is_told_before(tmp_path: Path) -> None:
    for path in (tmp_path, Path(), Path('..')):
        with pytest.raises(ConfigError, match='is a folder, expected a file'):
            check_report_path(path)
    check_report_path(tmp_path / 'new.html')
    check_report_path(None)

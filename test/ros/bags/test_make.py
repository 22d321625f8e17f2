# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import itertools
import logging
from pathlib import Path

from bag_samples import picture
from bag_samples import read_back
import cv2
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_ros.bags.make import bag_make_command
from hyperseg_ros.bags.writer import new_bag


def _video(path: Path, rate_hz: float, count: int = 20) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), rate_hz, (64, 48))
    for index in range(count):
        writer.write(picture(index)[..., ::-1].copy())
    writer.release()
    return path


def _steps_ms(bag: Path) -> list[float]:
    times = [time_ns for _, time_ns in read_back(bag)[0]]
    return [round((b - a) / 1e6, 1) for a, b in itertools.pairwise(times)]


def test_videos_keep_their_own_rate(tmp_path: Path) -> None:
    video = _video(tmp_path / 'in.avi', 12.5)
    assert bag_make_command(tmp_path / 'out', video=video) == 0
    assert _steps_ms(tmp_path / 'out') == [80.0] * 19
    assert bag_make_command(tmp_path / 'other', video=video, rate=20.0) == 0
    assert _steps_ms(tmp_path / 'other') == [50.0] * 19


def test_a_video_that_is_cut_off_is_status_1_with_what_was_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = _video(tmp_path / 'in.avi', 10.0)
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    assert bag_make_command(tmp_path / 'out', video=video) == 1
    count = len(read_back(tmp_path / 'out')[0])
    assert 0 < count < 20
    assert f'promises 20 frames, {count} could be read' in caplog.text


def test_images_that_cannot_be_read_cost_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / 'a.png'), picture())
    (tmp_path / 'b.png').write_bytes((tmp_path / 'a.png').read_bytes()[:-300])
    assert bag_make_command(tmp_path / 'out', images=tmp_path) == 1
    assert 'b.png' in caplog.text
    assert len(read_back(tmp_path / 'out')[0]) == 1


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / 'junk.mp4').write_bytes(b'junk')
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'junk.png').write_bytes(b'junk')
    before = sorted(tmp_path.rglob('*'))
    for options in (
        {'video': tmp_path / 'none.mp4'},
        {'video': tmp_path / 'junk.mp4'},
        {'images': tmp_path / 'folder'},
        {'images': tmp_path / 'none'},
        {'images': tmp_path},
        {'drive': 0.0},
        {'drive': 1.0, 'storage': 'paper'},
    ):
        with pytest.raises((InputError, OSError)):
            bag_make_command(tmp_path / 'new' / 'out', **options)  # type: ignore[arg-type]
        assert sorted(tmp_path.rglob('*')) == before
    video = _video(tmp_path / 'in.avi', 10.0)
    assert bag_make_command(tmp_path / 'new' / 'out', video=video) == 0


def test_what_interrupts_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_bag(tmp_path / 'out'):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_other_files_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / 'in'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.PNG'), picture())
    for name in ('b.cr2', 'c.cr2', 'notes', '.hidden.png'):
        (folder / name).write_bytes(b'junk')
    with caplog.at_level(logging.WARNING):
        assert bag_make_command(tmp_path / 'out', images=folder) == 0
    assert '2 .cr2, 1 without ending' in caplog.text
    assert len(read_back(tmp_path / 'out')[0]) == 1


@pytest.mark.parametrize('rate', [0.0, -1.0, float('nan'), float('inf'), 1e9])
def test_rates_that_no_camera_has_are_refused(rate: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='--rate is'):
        bag_make_command(tmp_path / 'out', drive=1.0, rate=rate)


@pytest.mark.parametrize('seconds', [float('nan'), float('inf'), 1e9])
def test_lengths_that_never_end_are_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(ConfigError, match='--drive is'):
        bag_make_command(tmp_path / 'out', drive=seconds)
    assert not (tmp_path / 'out').exists()


def test_existing_bags_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'mine').touch()
    with pytest.raises(ConfigError, match='is there already'):
        bag_make_command(tmp_path / 'out', drive=1.0)
    assert (tmp_path / 'out' / 'mine').exists()

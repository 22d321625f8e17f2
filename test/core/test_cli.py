# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from hyperseg_core.cli import parse
from hyperseg_core.cli import run
from hyperseg_core.commands.bench import bench_command
from hyperseg_core.commands.deploy import build_command


@pytest.mark.parametrize('command', [build_command, bench_command])
@pytest.mark.parametrize(
    'words',
    [['--frame-size', '720', '1280'], ['--frame-size', '720,1280'], ['--frame-size=[720, 1280]']],
)
def test_sizes_are_two_words_or_one(command: object, words: list[str]) -> None:
    options = parse(command, words, program='hyperseg', help_text='')  # type: ignore[arg-type]
    assert tuple(options['frame_size']) == (720, 1280)


def test_size_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(build_command, ['--frame-size', 'abc', '3'], program='hyperseg', help_text='')
    assert 'abc' in capsys.readouterr().err


def test_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(['segment'], {'predict': ('Segment images.', lambda: build_command)}) == 2
    told = capsys.readouterr().err
    assert "no command 'segment'" in told
    assert 'predict' in told

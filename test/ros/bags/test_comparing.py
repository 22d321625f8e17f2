# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`bag evaluate` and `bag diff`: only ids are compared, each with its partner, a few at once."""

from pathlib import Path
import tracemalloc
from typing import Any

from bag_samples import Mcap
from bag_samples import compressed
from bag_samples import image
from bag_samples import picture
from bag_samples import time_of
import cv2
import numpy as np
from numpy.typing import NDArray
import pytest

from hyperseg_core import InputError
from hyperseg_ros.bags import mask_stream
from hyperseg_ros.bags.diff import bag_diff_command
from hyperseg_ros.bags.evaluate import bag_evaluate_command
from hyperseg_ros.bags.mask_stream import masks
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.encoding import encode_png

MASK, TRUTH = '/s/mask', '/truth'
Items = list[tuple[int, bytes]]


def _ids(index: int = 0) -> NDArray[np.uint8]:
    return picture(index)[..., 0] // 32


def _items(encoding: str = 'mono8', kind: Any = np.uint8, count: int = 3) -> Items:
    return [(time_of(k), image(_ids(k).astype(kind), encoding, time_of(k))) for k in range(count)]


def _bag(path: Path, topics: dict[str, Items], kinds: dict[str, str] | None = None) -> Path:
    writer = Mcap(chunk_size=50_000)
    for topic, items in topics.items():
        kind = (kinds or {}).get(topic, 'sensor_msgs/msg/Image')
        channel = writer.channel(topic, kind)
        for time_ns, data in items:
            writer.add(channel, time_ns, data)
    return writer.finish(path)


@pytest.mark.parametrize(
    ('encoding', 'kind'),
    [('mono8', 'u1'), ('8UC1', 'u1'), ('mono16', 'u2'), ('16UC1', 'u2'), ('16SC1', 'i2')],
)
def test_truth_is_read_by_its_encoding(
    encoding: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items(), TRUTH: _items(encoding, kind)})
    assert bag_evaluate_command(bag, TRUTH) == 0
    assert '1.0000' in capsys.readouterr().out


def test_truth_as_png_is_read(tmp_path: Path) -> None:
    truth = [
        (t, compressed(encode_png(_ids(k)), 'mono8; png', t)) for k, (t, _) in enumerate(_items())
    ]
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items(), TRUTH: truth}, {TRUTH: COMPRESSED})
    assert bag_evaluate_command(bag, TRUTH) == 0


@pytest.mark.parametrize(('encoding', 'kind'), [('rgb8', None), ('32FC1', 'f4'), ('mono32', 'u4')])
def test_other_encodings_are_no_truth(encoding: str, kind: Any, tmp_path: Path) -> None:
    pixels = picture() if kind is None else _ids().astype(kind)
    truth = [(time_of(k), image(pixels, encoding, time_of(k))) for k in range(3)]
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items(), TRUTH: truth})
    with pytest.raises(InputError, match=f"'{encoding}', which holds no ids; .*mono8, 8UC1"):
        bag_evaluate_command(bag, TRUTH)


def test_ids_beyond_the_set_are_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = _ids().astype(np.int16)
    strange[0, :5], strange[1, :7], strange[2, :9] = 40, -1, 255
    truth = [(time_of(0), image(strange, '16SC1', time_of(0)))]
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items(count=1), TRUTH: truth})
    assert bag_evaluate_command(bag, TRUTH) == 1
    told = ' '.join(capsys.readouterr().out.split())
    assert 'The truth hold ids that are none of the 11 classes' in told
    assert '-1 (7 px), 40 (5 px)' in told


@pytest.mark.parametrize('topic', [MASK, TRUTH])
def test_stamps_that_repeat_are_refused(topic: str, tmp_path: Path) -> None:
    repeated = [(t, image(_ids(), 'mono8', time_of(0))) for t, _ in _items()]
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items(), TRUTH: _items()} | {topic: repeated})
    with pytest.raises(InputError, match=r'3 messages .* have only 1 different stamps'):
        bag_evaluate_command(bag, TRUTH)
    if topic == MASK:
        with pytest.raises(InputError, match='different stamps'):
            bag_diff_command(bag, bag)


def test_masks_without_truth_are_status_1_and_none_at_all_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items(), TRUTH: _items(count=2)})
    assert bag_evaluate_command(bag, TRUTH) == 1
    assert '1 masks have no truth with their stamp' in capsys.readouterr().out
    later = [(t + 9, image(_ids(), 'mono8', t + 9)) for t, _ in _items()]
    bag = _bag(tmp_path / 'y.mcap', {MASK: _items(), TRUTH: later})
    with pytest.raises(InputError, match='No mask has a truth with its stamp'):
        bag_evaluate_command(bag, TRUTH)


def test_folders_need_as_many_files_as_there_are_masks(tmp_path: Path) -> None:
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items()})
    folder = tmp_path / 'truth'
    folder.mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f'{index}.png'), _ids(index))
    (folder / '._0.png').write_bytes(b'junk')
    assert bag_evaluate_command(bag, str(folder)) == 0
    cv2.imwrite(str(folder / '3.png'), _ids(3))
    with pytest.raises(InputError, match='4 PNG files but /s/mask 3 masks'):
        bag_evaluate_command(bag, str(folder))


@pytest.mark.parametrize(
    'changes', [{'width': 0}, {'height': 0}, {'data': np.zeros(9, np.uint8)}, {'step': 3}], ids=str
)
def test_damaged_messages_cost_themselves(
    changes: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = _items()
    items[1] = (items[1][0], image(_ids(1), 'mono8', items[1][0], **changes))
    for topics in ({MASK: items, TRUTH: _items()}, {MASK: _items(), TRUTH: items}):
        bag = _bag(tmp_path / 'x.mcap', topics)
        assert bag_evaluate_command(bag, TRUTH) == 1
    assert f'at {time_of(1)} ns' in ' '.join(capsys.readouterr().out.split())
    other = _bag(tmp_path / 'y.mcap', {MASK: items})
    assert bag_diff_command(bag, other) == 1


def test_messages_too_short_for_a_stamp_are_reported(tmp_path: Path) -> None:
    bag = _bag(tmp_path / 'x.mcap', {MASK: [*_items(), (time_of(9), b'\0\1')], TRUTH: _items()})
    assert bag_evaluate_command(bag, TRUTH) == 1


def test_rows_may_be_padded(tmp_path: Path) -> None:
    padded = np.pad(_ids(), ((0, 0), (0, 7)), constant_values=99)
    data = image(padded, 'mono8', time_of(0), width=64)
    bag = _bag(tmp_path / 'x.mcap', {MASK: [(time_of(0), data)]})
    ((_, found),) = masks(bag, MASK)
    assert np.array_equal(found, _ids())


def test_no_masks_is_an_error_and_not_equality(tmp_path: Path) -> None:
    empty = _bag(tmp_path / 'a.mcap', {'/other': _items()})
    bag = _bag(tmp_path / 'b.mcap', {MASK: _items()})
    for pair in ((empty, empty), (bag, empty), (empty, bag)):
        with pytest.raises(InputError, match=r'no masks .* it has: /other'):
            bag_diff_command(*pair)
    silent = _bag(tmp_path / 'c.mcap', {MASK: []})
    with pytest.raises(InputError, match='no message on'):
        bag_diff_command(silent, silent)
    with pytest.raises(InputError, match='no masks'):
        bag_evaluate_command(empty, TRUTH)


def test_diff_tells_alike_from_different(tmp_path: Path) -> None:
    bag = _bag(tmp_path / 'a.mcap', {MASK: _items(count=9)})
    assert bag_diff_command(bag, bag) == 0
    other = _items(count=9)
    other[4] = (time_of(4), image(_ids(0), 'mono8', time_of(4)))
    different = _bag(tmp_path / 'b.mcap', {MASK: other})
    sheet, report = tmp_path / 'sheet.png', tmp_path / 'diff.html'
    assert bag_diff_command(bag, different, sheet=sheet, report=report) == 1
    page = report.read_text()
    assert f'a, {time_of(4)} ns: ' in page
    assert page.index(f'{time_of(4)} ns') < page.index(f'{time_of(0)} ns')  # the worst first
    assert page.count('<img ') == 3 * 6
    assert cv2.imread(str(sheet)).shape[1] == 4 * 320
    fewer = _bag(tmp_path / 'c.mcap', {MASK: _items(count=8)})
    assert bag_diff_command(bag, fewer) == 1
    more = _bag(tmp_path / 'd.mcap', {MASK: _items(count=9), '/t/mask': _items()})
    assert bag_diff_command(bag, more) == 1
    backwards = [(time_of(8 - k), data) for k, (_, data) in enumerate(_items(count=9))]
    assert bag_diff_command(bag, _bag(tmp_path / 'e.mcap', {MASK: backwards})) == 0


def test_markup_in_topics_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    topic = '/[/red]x[bold]/mask'
    bag = _bag(tmp_path / 'x.mcap', {topic: _items(), '/[/t]': _items(count=2)})
    assert bag_diff_command(bag, bag) == 0
    assert '[/red]' in capsys.readouterr().out
    assert bag_evaluate_command(bag, '/[/t]', topic=topic) == 1


def test_a_gap_of_masks_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _bag(tmp_path / 'x.mcap', {MASK: _items(count=60), TRUTH: _items(count=60)})
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(content)
    assert bag_evaluate_command(path, TRUTH) == 1
    assert 'that the bag promises could not be read' in ' '.join(capsys.readouterr().out.split())
    assert bag_diff_command(path, path) == 1


@pytest.mark.parametrize('orders_differ', [True, False])
def test_memory_does_not_grow_with_the_bag(
    orders_differ: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = _items(count=200)
    if orders_differ:
        truth = [(time_of(199 - k), data) for k, (_, data) in enumerate(truth)]
    bag = _bag(tmp_path / 'x.mcap', {MASK: _items(count=200), TRUTH: truth})
    monkeypatch.setattr(mask_stream, '_WAITING_BYTES', 100_000)
    if orders_differ:
        with pytest.raises(InputError, match='in different orders'):
            bag_evaluate_command(bag, TRUTH)
        return
    bag_evaluate_command(bag, TRUTH)  # what is imported costs memory, too
    tracemalloc.start()
    assert bag_evaluate_command(bag, TRUTH) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000  # all masks and truths are 1.2 MB each, a chunk is 50 kB

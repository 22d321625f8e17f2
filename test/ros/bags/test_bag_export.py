# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`bag select`, `bag export` and the way back, on bags of rendered streets and damaged ones."""

import json
from pathlib import Path

from bag_samples import Mcap
from bag_samples import compressed
from bag_samples import encoded_video
from bag_samples import image
from bag_samples import picture
from bag_samples import simple_mcap
from bag_samples import time_of
from bag_samples import video_bag
import cv2
import numpy as np
import pytest

from hyperseg_core import ConfigError
from hyperseg_core import InputError
from hyperseg_core.commands.import_labels import import_labels_command
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.drive import DriveScene
from hyperseg_ros.bags import mask_lookup
from hyperseg_ros.bags import select
from hyperseg_ros.bags.export import bag_export_command
from hyperseg_ros.bags.frames import EverySeconds
from hyperseg_ros.bags.label import bag_label_command
from hyperseg_ros.bags.make import bag_make_command
from hyperseg_ros.bags.mask_stream import masks
from hyperseg_ros.bags.select import bag_select_command
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import FOXGLOVE_VIDEO
from hyperseg_ros.messages.encoding import encode_png

FORMATS = ('cityscapes', 'coco', 'cvat')
SIZE = (96, 128)
MASK = '/segmenter/camera/mask'


@pytest.fixture(scope='module')
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bag of 8 s of a street at 5 Hz."""
    bag = tmp_path_factory.mktemp('street') / 'street'
    bag_make_command(bag, drive=8.0, rate=5.0, size=SIZE, seed=4_000_000)
    return bag


@pytest.fixture(scope='module')
def labelled(street: Path) -> Path:
    """Return its labelled bag."""
    out = street.with_name('labelled')
    assert bag_label_command(street, out, checkpoint='fast') == 0
    return out


def _frames(folder: Path) -> list[dict[str, object]]:
    return json.loads((folder / 'export.json').read_text())['frames']


def _imported(exported: Path, kind: str, out: Path) -> dict[int, np.ndarray]:
    """Bring what was exported back; return ids by stamp."""
    assert import_labels_command(exported, out, format=kind) == 0
    data = open_data(SourceConfig(kind='folder', root=str(out / 'data.yaml')))
    stamps = [int(data.pair(k).image.stem.rpartition('_')[2]) for k in range(len(data))]
    return {stamp: data.load(index)[1] for index, stamp in enumerate(stamps)}


@pytest.mark.parametrize('kind', FORMATS)
def test_masks_of_a_labelled_bag_go_out_and_come_back(
    kind: str, street: Path, labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'out'
    assert bag_export_command(street, out, format=kind, every=2.0, masks=labelled) == 0
    stamps = [frame['stamp_ns'] for frame in _frames(out)]
    assert np.diff(stamps).tolist() == [2 * 10**9] * 3
    expected = dict(masks(labelled, MASK))
    found = _imported(out, kind, tmp_path / 'back')
    assert sorted(found) == stamps
    for stamp, ids in found.items():
        np.testing.assert_array_equal(ids, expected[stamp])


def test_without_masks_frames_are_segmented_as_bag_label_does(
    street: Path, labelled: Path, tmp_path: Path
) -> None:
    outs = [tmp_path / 'with', tmp_path / 'without']
    bag_export_command(street, outs[0], format='cvat', every=4.0, masks=labelled)
    bag_export_command(street, outs[1], format='cvat', every=4.0, checkpoint='fast')
    for path in outs[0].rglob('*.*'):
        assert path.read_bytes() == (outs[1] / path.relative_to(outs[0])).read_bytes(), path


def test_a_bag_that_holds_its_masks_needs_no_other(street: Path, tmp_path: Path) -> None:
    both = tmp_path / 'both'
    bag_label_command(street, both, checkpoint='fast', copy=True)
    # With `default`'s network the ids would be others.
    assert bag_export_command(both, tmp_path / 'out', format='coco', every=4.0) == 0
    expected = dict(masks(both, MASK))
    for stamp, ids in _imported(tmp_path / 'out', 'coco', tmp_path / 'back').items():
        np.testing.assert_array_equal(ids, expected[stamp])


def test_images_are_exact_as_png_and_named_by_bag_topic_and_stamp(
    street: Path, labelled: Path, tmp_path: Path
) -> None:
    for kind in ('png', 'jpeg'):
        out = tmp_path / kind
        bag_export_command(street, out, format='coco', every=9.0, masks=labelled, images=kind)
    (png,), (jpeg,) = ((tmp_path / kind / 'images').iterdir() for kind in ('png', 'jpeg'))
    assert png.name == 'street_camera-image-raw_1700000000000000000.png'
    assert jpeg.name == png.with_suffix('.jpg').name
    drawn = DriveScene(4_000_000, height=SIZE[0], width=SIZE[1]).frame(0.0).image[..., ::-1]
    np.testing.assert_array_equal(cv2.imread(str(png)), drawn)
    assert (
        0 < np.abs(cv2.imread(str(jpeg)).astype(int) - drawn).mean() < 8
    )  # noise, which JPEG smooths


def test_the_same_bag_gives_the_same_bytes(street: Path, labelled: Path, tmp_path: Path) -> None:
    contents = []
    for name in 'ab':
        out = tmp_path / name
        bag_export_command(street, out, format='cityscapes', every=2.0, masks=labelled)
        contents.append({p.relative_to(out): p.read_bytes() for p in out.rglob('*.*')})
    assert contents[0] == contents[1]


def test_selected_frames_are_exported(street: Path, labelled: Path, tmp_path: Path) -> None:
    chosen, again = tmp_path / 'chosen.json', tmp_path / 'again.json'
    for path in (chosen, again):
        assert bag_select_command(street, path, count=3, gap=1.0, checkpoint='fast') == 0
    assert chosen.read_bytes() == again.read_bytes()
    frames = json.loads(chosen.read_text())['frames']
    stamps = sorted(frame['stamp_ns'] for frame in frames)
    assert len(stamps) == 3
    assert (np.diff(stamps) >= 10**9).all()
    assert all(frame['reasons'] and frame['score'] > 0 for frame in frames)
    out = tmp_path / 'out'
    command = bag_export_command
    assert command(street, out, format='coco', selection=chosen, masks=labelled) == 0
    assert [frame['stamp_ns'] for frame in _frames(out)] == stamps


def test_only_topics_that_are_asked_for_are_missed(tmp_path: Path) -> None:
    writer = Mcap()
    pixels = DriveScene(1, height=48, width=64).frame(1.0).image
    for topic in ('/a/image', '/b/image'):
        channel = writer.channel(topic)
        writer.add(channel, time_of(0), image(pixels, time_ns=time_of(0)))
    bag, chosen = writer.finish(tmp_path / 'x.mcap'), tmp_path / 'chosen.json'
    assert bag_select_command(bag, chosen, count=2, gap=0.0, checkpoint='fast') == 0
    out, options = tmp_path / 'out', {'format': 'coco', 'checkpoint': 'fast'}
    assert bag_export_command(bag, out, selection=chosen, topics=['/a/image'], **options) == 0
    assert len(_frames(out)) == 1


@pytest.mark.parametrize('name', ['file/chosen.json', f'{"x" * 300}.json'])
def test_a_selection_that_cannot_be_written_is_told_first(
    street: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'file').write_text('')
    monkeypatch.setattr(select, 'Segmenter', None)  # nothing is segmented
    with pytest.raises((ConfigError, OSError), match=r'cannot be written|too long'):
        bag_select_command(street, tmp_path / name, count=3, checkpoint='fast')


def test_too_few_candidates_are_told(
    street: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / 'chosen.json'
    assert bag_select_command(street, out, count=9, gap=3.0, checkpoint='fast') == 1
    found = len(json.loads(out.read_text())['frames'])
    assert 2 <= found <= 3
    assert f'Chosen are {found} frames, not 9' in caplog.text


def test_a_frozen_camera_and_the_dark_are_left_out(tmp_path: Path) -> None:
    writer = Mcap()
    channel = writer.channel()
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 255, (3, 48, 64, 3)).astype(np.uint8)
    for index, pixels in enumerate([noisy[0], noisy[0], noisy[0], noisy[1], noisy[2] // 16]):
        writer.add(channel, time_of(30 * index), image(pixels, time_ns=time_of(30 * index)))
    bag, out = writer.finish(tmp_path / 'x.mcap'), tmp_path / 'chosen.json'
    assert bag_select_command(bag, out, count=5, gap=0.0, every=0.0, checkpoint='fast') == 1
    found = json.loads(out.read_text())
    assert found['left_out'] == {'frozen': 2, 'too dark': 1}
    assert sorted(f['stamp_ns'] for f in found['frames']) == [time_of(0), time_of(90)]


def test_of_a_bag_with_nothing_healthy_nothing_is_written(tmp_path: Path) -> None:
    writer = Mcap()
    channel = writer.channel()
    writer.add(channel, time_of(0), image(np.zeros((48, 64, 3), np.uint8), time_ns=time_of(0)))
    bag, out = writer.finish(tmp_path / 'x.mcap'), tmp_path / 'chosen.json'
    with pytest.raises(InputError, match='1 too dark'):
        bag_select_command(bag, out, count=1, checkpoint='fast')
    assert not out.exists()


def _noise(path: Path, seed: int) -> Path:
    """Write a bag of two sharp pictures, a second apart."""
    writer = Mcap()
    channel = writer.channel()
    pictures = np.random.default_rng(seed).integers(0, 255, (2, 48, 64, 3)).astype(np.uint8)
    for index, pixels in enumerate(pictures):
        writer.add(channel, time_of(10 * index), image(pixels, time_ns=time_of(10 * index)))
    return writer.finish(path)


def test_bags_of_one_name_give_names_that_differ(tmp_path: Path) -> None:
    bags = []
    for seed, folder in enumerate(('x', 'y')):
        (tmp_path / folder).mkdir()
        bags.append(_noise(tmp_path / folder / 'log.mcap', seed))
    out, chosen = tmp_path / 'out', tmp_path / 'chosen.json'
    assert bag_export_command(*bags, out, format='coco', every=0.0, checkpoint='fast') == 0
    names = sorted(path.name for path in (out / 'images').iterdir())
    assert [name.split('_')[0] for name in names] == ['x-log-mcap'] * 2 + ['y-log-mcap'] * 2
    assert bag_select_command(*bags, chosen, count=3, gap=1.0, checkpoint='fast') == 0
    again = tmp_path / 'again'
    options = {'format': 'coco', 'selection': chosen, 'checkpoint': 'fast'}
    assert bag_export_command(*bags, again, **options) == 0
    found = {(frame['bag'], frame['stamp_ns']) for frame in _frames(again)}
    frames = json.loads(chosen.read_text())['frames']
    assert found == {(frame['bag'], frame['stamp_ns']) for frame in frames}


def test_topics_that_would_share_a_name_do_not(tmp_path: Path) -> None:
    writer = Mcap()
    for topic in ('/a/b/image', '/a_b/image', '/Перед/image'):
        writer.images(writer.channel(topic), range(1))
    bag, out = writer.finish(tmp_path / 'ulica-улица.mcap'), tmp_path / 'out'
    assert bag_export_command(bag, out, format='cvat', checkpoint='fast') == 0
    names = [path.name for path in (out / 'images').iterdir()]
    assert len(names) == 3
    assert all(name.isascii() for name in names)
    assert {frame['topic'] for frame in _frames(out)} == {
        '/a/b/image',
        '/a_b/image',
        '/Перед/image',
    }


def test_damaged_frames_are_lost_alone_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Mcap()
    channel = writer.channel('/cam/image_raw/compressed', COMPRESSED)
    for index in range(3):
        data = cv2.imencode('.jpg', picture(index))[1].tobytes()
        data = data[: len(data) // 2] if index == 1 else data
        writer.add(channel, time_of(index), compressed(data, time_ns=time_of(index)))
    bag, out = writer.finish(tmp_path / 'x.mcap'), tmp_path / 'out'
    assert bag_export_command(bag, out, format='coco', every=0.0, checkpoint='fast') == 1
    assert [frame['stamp_ns'] for frame in _frames(out)] == [time_of(0), time_of(2)]
    assert f'at {time_of(1)} ns' in caplog.text


def test_frames_with_one_stamp_are_told_and_written_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Mcap()
    channel = writer.channel()
    for index in range(2):
        writer.add(channel, time_of(index), image(picture(index), time_ns=time_of(0)))
    bag, out = writer.finish(tmp_path / 'x.mcap'), tmp_path / 'out'
    assert bag_export_command(bag, out, format='coco', every=0.0, checkpoint='fast') == 1
    assert len(_frames(out)) == 1
    assert f'another frame has its stamp, {time_of(0)} ns' in caplog.text


def test_frames_without_a_mask_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bag, out = simple_mcap(tmp_path / 'x.mcap', 3), tmp_path / 'out'
    writer = Mcap()
    channel = writer.channel('/segmenter/cam/mask')
    for index, height in enumerate((48, 47)):
        ids = np.full((height, 64), 3, np.uint8)
        writer.add(channel, time_of(index), image(ids, 'mono8', time_of(index)))
    labelled = writer.finish(tmp_path / 'labelled.mcap')
    assert bag_export_command(bag, out, format='coco', every=0.0, masks=labelled) == 1
    assert [frame['stamp_ns'] for frame in _frames(out)] == [time_of(0)]
    assert 'its mask is (47, 64) px' in caplog.text
    assert f'no mask of /segmenter/cam/mask has the stamp {time_of(2)} ns' in caplog.text


def test_a_frame_without_mask_does_not_cost_the_later_ones_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_lookup, '_WAITING_BYTES', 7000)  # room for two masks
    bag, out = simple_mcap(tmp_path / 'x.mcap', 6), tmp_path / 'out'
    writer = Mcap()
    channel = writer.channel('/segmenter/cam/mask')
    ids = np.full((48, 64), 3, np.uint8)
    for index in range(1, 6):
        writer.add(channel, time_of(index), image(ids, 'mono8', time_of(index)))
    labelled = writer.finish(tmp_path / 'labelled.mcap')
    assert bag_export_command(bag, out, format='coco', every=0.0, masks=labelled) == 1
    assert [frame['stamp_ns'] for frame in _frames(out)] == [time_of(i) for i in range(1, 6)]


def test_stamps_that_fall_cost_no_frames() -> None:
    second = 10**9
    wanted = EverySeconds(1.0)
    # The first stamp is years ahead, and later the clock is set back.
    stamps = [10**18, *(k * second // 2 for k in range(20, 26)), *(k * second for k in range(3))]
    taken = [stamp / second for stamp in stamps if wanted('/a', stamp)]
    assert taken == [10**9, 10.0, 11.0, 12.0, 0.0, 1.0, 2.0]
    assert not wanted('/a', 10 * second)
    assert wanted('/b', 10 * second)


def test_masks_of_other_classes_are_refused(street: Path, labelled: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='--label-set'):
        bag_export_command(
            street, tmp_path / 'out', format='coco', masks=labelled, label_set='cityscapes'
        )
    assert not (tmp_path / 'out').exists()


def test_ids_beyond_the_classes_are_told(tmp_path: Path) -> None:
    bag = simple_mcap(tmp_path / 'x.mcap', 1)
    writer = Mcap()
    ids = np.full((48, 64), 77, np.uint8)
    writer.add(writer.channel('/segmenter/cam/mask'), time_of(0), image(ids, 'mono8', time_of(0)))
    labelled = writer.finish(tmp_path / 'labelled.mcap')
    with pytest.raises(InputError, match=r'ids \[77\].*11 classes'):
        bag_export_command(bag, tmp_path / 'out', format='coco', masks=labelled)


def test_selected_frames_that_are_gone_are_told(
    street: Path, labelled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = tmp_path / 'chosen.json'
    bag_select_command(street, chosen, count=2, checkpoint='fast')
    data = json.loads(chosen.read_text())
    data['frames'][0]['stamp_ns'] += 1
    chosen.write_text(json.dumps(data))
    out = tmp_path / 'out'
    command = bag_export_command
    assert command(street, out, format='coco', selection=chosen, masks=labelled) == 1
    assert len(_frames(out)) == 1
    assert f'{data["frames"][0]["stamp_ns"]} ns that was selected' in caplog.text


@pytest.mark.parametrize(
    'text',
    ['', '[]', '{}', '{"form": "hyperseg selection 1", "frames": [{"bag": 1}]}', '[' * 9999],
)
def test_what_is_no_selection_is_refused(text: str, street: Path, tmp_path: Path) -> None:
    path = tmp_path / 'chosen.json'
    path.write_text(text)
    with pytest.raises(InputError, match='no selection of `bag select`'):
        bag_export_command(street, tmp_path / 'out', format='coco', selection=path)


def test_a_selection_of_other_bags_is_refused(street: Path, tmp_path: Path) -> None:
    chosen = tmp_path / 'chosen.json'
    bag_select_command(street, chosen, count=1, checkpoint='fast')
    other = simple_mcap(tmp_path / 'other.mcap')
    with pytest.raises(InputError, match=r'frames of street, not of other'):
        bag_export_command(other, tmp_path / 'out', format='coco', selection=chosen)


def test_what_is_there_stays(street: Path, tmp_path: Path) -> None:
    for command, options in (
        (bag_export_command, {'format': 'coco'}),
        (bag_select_command, {'count': 1}),
    ):
        with pytest.raises(ConfigError, match='is there already'):
            command(street, tmp_path, checkpoint='fast', **options)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    writer = Mcap()
    channel = writer.channel('/cam/image_raw/compressed', COMPRESSED)
    broken = encode_png(picture(0))[:-30]
    writer.add(channel, time_of(0), compressed(broken, 'png', time_of(0)))
    bag = writer.finish(tmp_path / 'x.mcap')
    with pytest.raises(InputError, match='No frame could be exported'):
        bag_export_command(bag, tmp_path / 'deep' / 'out', format='cvat', checkpoint='fast')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['x.mcap']


def test_frames_of_a_video_are_those_that_all_packets_give(tmp_path: Path) -> None:
    bag = video_bag(tmp_path / 'x.mcap', FOXGLOVE_VIDEO, encoded_video(6))
    pictures = []
    for every in (0.0, 2.0):
        out = tmp_path / f'{every}'
        assert bag_export_command(bag, out, format='coco', every=every, checkpoint='fast') == 0
        pictures.append({p.name: p.read_bytes() for p in (out / 'images').iterdir()})
    assert [len(found) for found in pictures] == [6, 3]
    assert pictures[1].items() <= pictures[0].items()


def test_of_several_bags_a_damaged_one_costs_itself_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = tmp_path / 'bad.mcap', _noise(tmp_path / 'good.mcap', 0)
    bad.write_bytes(b'no bag')
    assert bag_export_command(bad, good, tmp_path / 'out', format='coco', checkpoint='fast') == 1
    chosen = tmp_path / 'chosen.json'
    assert bag_select_command(bad, good, chosen, count=1, checkpoint='fast') == 1
    assert caplog.text.count(f'{bad}: the bag is left out') == 2
    assert {frame['bag'] for frame in _frames(tmp_path / 'out')} == {'good'}
    with pytest.raises(InputError):
        bag_select_command(bad, tmp_path / 'none.json', count=1, checkpoint='fast')

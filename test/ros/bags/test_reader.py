# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of every recorder, whole or as a crash left them: all that is in them is read."""

import os
from pathlib import Path
import shutil
import sqlite3
from typing import Any

from bag_samples import PROFILE
from bag_samples import QOS
from bag_samples import ROS1_TYPES
from bag_samples import START_NS
from bag_samples import TOPIC
from bag_samples import Mcap
from bag_samples import add_rows
from bag_samples import image
from bag_samples import open_db3
from bag_samples import picture
from bag_samples import read_back
from bag_samples import simple_db3
from bag_samples import simple_mcap
from bag_samples import simple_ros1
from bag_samples import time_of
from bag_samples import whole
from bag_samples import without_ros1_index
from bag_samples import write_metadata
from mcap.writer import CompressionType
from mcap.writer import IndexType
import pytest
from rosbags.rosbag1 import Writer as Writer1
import yaml
import zstandard

from hyperseg_core import InputError
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.types import MessageTypes
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.raw_image import image_to_rgb

ALL = (whole(), [], [])


@pytest.mark.parametrize('compression', list(CompressionType))
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'profile': ''},
        {'index_types': IndexType.NONE},
        {'index_types': IndexType.CHUNK},
        {'repeat_channels': False, 'repeat_schemas': False},
        {'use_statistics': False},
        {'use_chunking': False},
        {'enable_crcs': False},
        {'use_chunking': False, 'use_statistics': False, 'repeat_channels': False},
    ],
    ids=str,
)
def test_mcap_is_read_however_it_is_indexed(
    options: dict[str, Any], compression: CompressionType, tmp_path: Path
) -> None:
    options = options | {'compression': compression, 'chunk_size': 20_000}
    assert read_back(simple_mcap(tmp_path / 'x.mcap', **options)) == ALL


def test_two_channels_of_a_topic_are_one_connection(tmp_path: Path) -> None:
    writer = Mcap()
    channels = [writer.channel(), writer.channel(qos=None)]
    for index in range(4):
        writer.images(channels[index % 2], [index])
    path = writer.finish(tmp_path / 'x.mcap')
    assert read_back(path) == (whole(4), [], [])
    with open_bag(path) as reader:
        (connection,) = reader.connections
        assert connection.msgcount == 4


def test_one_name_with_two_types_is_two_connections(tmp_path: Path) -> None:
    writer = Mcap()
    writer.images(writer.channel())
    other = writer.channel(TOPIC, 'std_msgs/msg/String')
    writer.add(other, time_of(1), b'\0\1\0\0\1\0\0\0\0')
    with open_bag(writer.finish(tmp_path / 'x.mcap')) as reader:
        counts = {c.msgtype: len(list(reader.messages([c]))) for c in reader.connections}
    assert counts == {IMAGE: 3, 'std_msgs/msg/String': 1}


@pytest.mark.parametrize('use_chunking', [True, False])
def test_messages_come_in_order_of_time(use_chunking: bool, tmp_path: Path) -> None:
    writer = Mcap(use_chunking=use_chunking, chunk_size=20_000)
    writer.images(writer.channel(), [3, 0, 4, 1, 2])
    assert read_back(writer.finish(tmp_path / 'x.mcap')) == (whole(5), [], [])


@pytest.mark.parametrize('kind', ['sensor_msgs/Image', 'sensor_msgs::msg::dds_::Image_'])
def test_types_are_known_however_they_are_spelt(kind: str, tmp_path: Path) -> None:
    writer = Mcap()
    writer.images(writer.channel(kind=kind, text=''))
    with open_bag(writer.finish(tmp_path / 'x.mcap')) as reader:
        assert [c.msgtype for c in reader.connections] == [IMAGE]


def test_foreign_channels_disturb_nothing(tmp_path: Path) -> None:
    writer = Mcap()
    camera = writer.channel()
    notes = writer.channel('/notes', 'Note', text='{}', form='jsonschema', encoding='json')
    writer.images(camera)
    writer.add(notes, time_of(1), b'{"a": 1}')
    found, problems, gaps = read_back(writer.finish(tmp_path / 'x.mcap'))
    assert [item for item in found if item[0] == TOPIC] == whole()
    assert ('/notes', time_of(1)) in found
    assert not problems
    assert not gaps


def test_ros1_messages_in_mcap_are_read(tmp_path: Path) -> None:
    writer = Mcap(profile='ros1')
    channel = writer.channel(
        kind='sensor_msgs/Image', text='', form='ros1msg', encoding='ros1', qos=None
    )
    for index in range(3):
        data = image(picture(index), 'rgb8', time_of(index), types=ROS1_TYPES)
        writer.add(channel, time_of(index), data)
    with open_bag(writer.finish(tmp_path / 'x.mcap')) as reader:
        messages = list(reader.messages(reader.connections))
        found = MessageTypes().deserialize(messages[2])
    assert (image_to_rgb(found) == picture(2)).all()


def test_a_crashed_recorder_costs_what_it_did_not_write(tmp_path: Path) -> None:
    writer = Mcap(chunk_size=10**6, compression=CompressionType.ZSTD)
    channel = writer.channel()
    writer.images(channel, range(3))
    whole_path = writer.crash(tmp_path / 'whole.mcap')
    found, problems, _ = read_back(whole_path)
    assert found == whole()
    assert 'no footer: its recorder was cut off' in problems[0]
    writer.images(channel, range(3, 6))
    found, problems, _ = read_back(writer.crash(tmp_path / 'cut.mcap', cut=200))
    assert found[:3] == whole()
    assert len(found) < 6
    assert any('cut off' in problem for problem in problems)


def test_a_damaged_chunk_costs_itself_and_is_counted(tmp_path: Path) -> None:
    path = simple_mcap(tmp_path / 'x.mcap', 6, chunk_size=20_000)
    content = bytearray(path.read_bytes())
    place = content.find(picture(2)[10].tobytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    found, problems, gaps = read_back(path)
    assert 0 < len(found) < 6
    assert set(found) < set(whole(6))
    assert 'checksum does not fit' in problems[0]
    assert gaps == [
        f'{TOPIC}: {6 - len(found)} of 6 messages that the bag promises could not be read'
    ]


@pytest.mark.parametrize(
    ('in_metadata', 'in_file'),
    [(QOS, None), ('', QOS), (QOS, ''), ([PROFILE], QOS), (QOS, yaml.safe_dump([PROFILE] * 2))],
)
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_qos_of_file_and_metadata_may_differ(
    storage: str, in_metadata: Any, in_file: str | None, tmp_path: Path
) -> None:
    if storage == 'mcap':
        writer = Mcap()
        writer.images(writer.channel(qos=in_file))
        writer.finish(tmp_path / 'x_0.mcap')
    else:
        simple_db3(tmp_path / 'x_0.db3', qos=in_file or '')
    (name,) = [path.name for path in tmp_path.iterdir()]
    write_metadata(tmp_path, [name], qos=in_metadata, storage=storage)
    assert read_back(tmp_path) == ALL
    with open_bag(tmp_path) as reader:
        assert reader.connections[0].profiles


def test_what_metadata_promises_and_files_lack_is_a_gap(tmp_path: Path) -> None:
    simple_mcap(tmp_path / 'x_0.mcap')
    write_metadata(tmp_path, ['x_0.mcap', 'x_1.mcap'], count=7)
    found, problems, gaps = read_back(tmp_path)
    assert found == whole()
    assert problems == ['x_1.mcap, which metadata.yaml names, is missing']
    assert gaps == [f'{TOPIC}: 4 of 7 messages that the bag promises could not be read']


def test_files_that_were_renamed_or_unpacked_are_found(tmp_path: Path) -> None:
    simple_mcap(tmp_path / 'new_0.mcap')
    for name in ('old_0.mcap', 'new_0.mcap.zstd'):
        write_metadata(tmp_path, [name])
        assert read_back(tmp_path) == ALL


def test_topics_that_only_metadata_knows_are_gaps(tmp_path: Path) -> None:
    writer = Mcap()
    writer.images(writer.channel('/other'))
    writer.finish(tmp_path / 'x_0.mcap')
    write_metadata(tmp_path, ['x_0.mcap'])
    assert read_back(tmp_path)[2] == [
        f'{TOPIC}: 3 of 3 messages that the bag promises could not be read'
    ]


def test_files_of_a_split_bag_are_read_in_order_of_time(tmp_path: Path) -> None:
    for number, indices in enumerate(([3, 4], [0, 1, 2])):
        writer = Mcap()
        writer.images(writer.channel(), indices)
        writer.finish(tmp_path / f'x_{number}.mcap')
    write_metadata(tmp_path, ['x_0.mcap', 'x_1.mcap'], count=5)
    assert read_back(tmp_path) == (whole(5), [], [])


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('topics_with_message_count', 'x'), ('topics_with_message_count', [3]),
        ('relative_file_paths', 7), ('relative_file_paths', ['../../../etc/passwd']),
        ('version', []), ('message_count', 'many'), ('duration', None),
        ('topics_with_message_count', [{'topic_metadata': {'name': TOPIC, 'type': []}}]),
        ('topics_with_message_count', [{'topic_metadata': {'name': 1, 'type': IMAGE}}]),
    ],
    ids=str,
)  # fmt: skip
def test_metadata_of_wrong_types_costs_only_itself(key: str, value: Any, tmp_path: Path) -> None:
    simple_mcap(tmp_path / 'x_0.mcap')
    write_metadata(tmp_path, ['x_0.mcap'], **{key: value})
    assert read_back(tmp_path)[0] == whole()


@pytest.mark.parametrize('text', ['', '- x', '{', 'a: &a [*a]', '\0', '[' * 5000])
def test_metadata_that_is_none_costs_only_itself(text: str, tmp_path: Path) -> None:
    simple_mcap(tmp_path / 'x_0.mcap')
    (tmp_path / 'metadata.yaml').write_text(text)
    found, problems, _ = read_back(tmp_path)
    assert found == whole()
    assert 'metadata.yaml' in problems[0]


def _left_in_wal(folder: Path) -> Path:
    """Leave a database as a killed recorder does: most of it in the -wal."""
    database = open_db3(folder / 'live.db3')
    add_rows(database, [0])
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    add_rows(database, [1, 2])
    (folder / 'bag').mkdir()
    for ending in ('', '-wal'):
        shutil.copy(folder / f'live.db3{ending}', folder / 'bag' / f'x#1_0.db3{ending}')
    database.close()
    return folder / 'bag' / 'x#1_0.db3'


@pytest.mark.parametrize('is_writable', [True, False])
def test_what_lies_in_a_wal_is_read_and_nothing_is_touched(
    is_writable: bool, tmp_path: Path
) -> None:
    path = _left_in_wal(tmp_path)
    before = {item.name: item.stat().st_mtime_ns for item in path.parent.iterdir()}
    content = {item.name: item.read_bytes() for item in path.parent.iterdir()}
    path.parent.chmod(0o755 if is_writable else 0o555)
    try:
        assert read_back(path) == ALL
    finally:
        path.parent.chmod(0o755)
    assert {item.name: item.stat().st_mtime_ns for item in path.parent.iterdir()} == before
    assert {item.name: item.read_bytes() for item in path.parent.iterdir()} == content


def test_a_journal_is_rolled_back_on_a_copy(tmp_path: Path) -> None:
    database = open_db3(tmp_path / 'live.db3')
    add_rows(database, range(3))
    database.execute('PRAGMA cache_size=1')
    database.execute('PRAGMA cache_spill=1')
    database.execute('BEGIN')
    database.execute('DELETE FROM messages')  # spilled to the file, and never committed
    database.execute('INSERT INTO messages SELECT 1, 1, 1, zeroblob(500000)')
    for ending in ('', '-journal'):
        shutil.copy(tmp_path / f'live.db3{ending}', tmp_path / f'x.db3{ending}')
    database.rollback()
    database.close()
    before = (tmp_path / 'x.db3').read_bytes()
    assert read_back(tmp_path / 'x.db3') == ALL
    assert (tmp_path / 'x.db3').read_bytes() == before
    assert (tmp_path / 'x.db3-journal').exists()


def test_a_damaged_page_costs_its_messages(tmp_path: Path) -> None:
    path = simple_db3(tmp_path / 'x.db3', 6)
    content = bytearray(path.read_bytes())
    place = content.find(image(picture(3), time_ns=time_of(3))[:60])
    content[place - 30 : place + 30] = b'\xff' * 60
    path.write_bytes(content)
    found, problems, gaps = read_back(path)
    assert len(found) < 6
    assert problems or gaps


@pytest.mark.parametrize('schema', [1, 2])
def test_databases_of_old_recorders_are_read(schema: int, tmp_path: Path) -> None:
    database = open_db3(tmp_path / 'x.db3')
    add_rows(database, range(3))
    database.execute('DROP TABLE schema')
    if schema == 1:
        database.execute('ALTER TABLE topics DROP COLUMN offered_qos_profiles')
    database.commit()
    database.close()
    assert read_back(tmp_path / 'x.db3') == ALL


@pytest.mark.parametrize('name', ['run#3', '50%25 done', 'a?b', '[x]', 'a&b=c', 'ü'])
def test_paths_may_have_any_characters(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    simple_db3(tmp_path / name / f'{name}_0.db3')
    write_metadata(tmp_path / name, [f'{name}_0.db3'], storage='sqlite3')
    assert read_back(tmp_path / name) == ALL


@pytest.mark.parametrize('suffix', ['.bag', '.bag.active'])
@pytest.mark.parametrize('form', list(Writer1.CompressionFormat))
def test_ros1_bags_without_index_are_read(form: Any, suffix: str, tmp_path: Path) -> None:
    whole_bag = simple_ros1(tmp_path / 'whole.bag', compression=form)
    assert read_back(whole_bag) == ALL
    cut = tmp_path / f'cut{suffix}'
    cut.write_bytes(without_ros1_index(whole_bag.read_bytes()))
    found, problems, gaps = read_back(cut)
    assert found == whole()
    assert 'no index: its recorder was cut off' in problems[0]
    assert not gaps


def test_the_unfinished_chunk_of_a_ros1_bag_is_read(tmp_path: Path) -> None:
    content = without_ros1_index(simple_ros1(tmp_path / 'whole.bag').read_bytes())
    # Until a chunk is finished its head says 0 bytes, and no index follows.
    place = content.find(b'size=') + 5
    (size,) = [int.from_bytes(content[place : place + 4], 'little')]
    content = content.replace(b'size=' + size.to_bytes(4, 'little'), b'size=\0\0\0\0', 1)
    begin = content.find(size.to_bytes(4, 'little'), place)
    content = content[:begin] + bytes(4) + content[begin + 4 : begin + 4 + size - 1000]
    (tmp_path / 'x.bag').write_bytes(content)
    found, problems, _ = read_back(tmp_path / 'x.bag')
    assert found == whole(2)
    assert any('cut off' in problem for problem in problems)


@pytest.mark.parametrize('make', [simple_mcap, simple_db3])
@pytest.mark.parametrize('has_metadata', [True, False])
def test_files_compressed_as_a_whole_are_read(
    make: Any, has_metadata: bool, tmp_path: Path
) -> None:
    folder = tmp_path / 'x'
    folder.mkdir()
    plain = make(tmp_path / f'x_0.{"mcap" if make is simple_mcap else "db3"}')
    packed = folder / f'{plain.name}.zstd'
    packed.write_bytes(zstandard.ZstdCompressor().compress(plain.read_bytes()))
    if has_metadata:
        write_metadata(folder, [packed.name], compression_mode='FILE', compression_format='zstd')
    assert read_back(folder) == ALL
    assert read_back(packed) == ALL
    assert [item.name for item in folder.iterdir() if 'metadata' not in item.name] == [packed.name]


def test_messages_compressed_one_by_one_are_read_without_metadata(tmp_path: Path) -> None:
    database = open_db3(tmp_path / 'x.db3')
    for index in range(3):
        packed = zstandard.ZstdCompressor().compress(image(picture(index)))
        database.execute(
            'INSERT INTO messages VALUES(?, 1, ?, ?)', (index, time_of(index), packed)
        )
    bomb = zstandard.ZstdCompressor().compress(bytes(300 << 20))
    database.execute('INSERT INTO messages VALUES(9, 1, ?, ?)', (time_of(9), bomb))
    database.commit()
    database.close()
    found, problems, gaps = read_back(tmp_path / 'x.db3')
    assert found == whole()
    assert 'unpack to more than the' in problems[0]
    assert gaps == [f'{TOPIC}: 1 of 4 messages that the bag promises could not be read']


def test_a_chunk_that_claims_gigabytes_takes_none(tmp_path: Path) -> None:
    import tracemalloc

    path = simple_mcap(tmp_path / 'x.mcap', 3, compression=CompressionType.ZSTD)
    content = bytearray(path.read_bytes())
    bomb = zstandard.ZstdCompressor().compress(bytes(600 << 20))
    size, packed = 600 << 20, len(bomb)
    begin = 8 + 9 + int.from_bytes(content[9:17], 'little')
    chunk = content[begin + 9 : begin + 25] + size.to_bytes(8, 'little') + bytes(4)
    chunk += b'\4\0\0\0zstd' + packed.to_bytes(8, 'little') + bomb
    path.write_bytes(content[:begin] + b'\6' + len(chunk).to_bytes(8, 'little') + chunk)
    tracemalloc.start()
    found, problems, _ = read_back(path)
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()
    assert not found
    assert any('more than the' in problem for problem in problems)


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        (b'', 'is empty'),
        (b'junk', r"begins with b'junk'"),
        (b'#ROSBAG V1.2\n', 'format 1.2'),
        (b'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'),
        (b'SQLite format 3\0junk', 'no SQLite bag'),
    ],
)
def test_what_is_no_bag_is_refused_by_its_cause(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / 'x.mcap'
    path.write_bytes(content)
    with pytest.raises(InputError, match=told), open_bag(path):
        pass


def test_folders_without_bags_are_refused_with_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / 'notes.txt').touch()
    with pytest.raises(InputError, match=r'holds no file of a bag.*it holds notes.txt'):
        read_back(tmp_path)
    for name in ('a.mcap', 'b.mcap'):
        simple_mcap(tmp_path / name)
    with pytest.raises(InputError, match=r'holds 2 bags; name one: a.mcap, b.mcap'):
        read_back(tmp_path)


def test_messages_of_topics_that_are_not_described_are_reported(tmp_path: Path) -> None:
    path = simple_db3(tmp_path / 'x.db3')
    database = sqlite3.connect(path)
    database.execute('UPDATE messages SET topic_id = 5 WHERE id = 2')
    database.commit()
    database.close()
    found, problems, _ = read_back(path)
    assert len(found) == 2
    assert problems == ['1 messages belong to no topic that the file describes']


def test_frame_ids_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    writer = Mcap()
    channel = writer.channel()
    writer.add(channel, START_NS, image(picture()).replace(b'cam\0', b'c\xff\xfe\0'))
    with open_bag(writer.finish(tmp_path / 'x.mcap')) as reader:
        (message,) = reader.messages(reader.connections)
    assert MessageTypes().deserialize(message).header.frame_id == 'c\ufffd\ufffd'


def test_log_times_beyond_all_clocks_are_read(tmp_path: Path) -> None:
    writer = Mcap()
    channel = writer.channel()
    for time_ns in (2**63 + 5, 0, 2**40 * 10**9):
        writer.add(channel, time_ns % 2**64, image(picture()))
    found, problems, gaps = read_back(writer.finish(tmp_path / 'x.mcap'))
    assert len(found) == 3
    assert not problems
    assert not gaps


def test_reading_needs_no_second_file_beside(tmp_path: Path) -> None:
    path = simple_db3(tmp_path / 'x.db3')
    read_back(path)
    assert os.listdir(tmp_path) == ['x.db3']

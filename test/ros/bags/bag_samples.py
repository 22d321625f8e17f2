# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Small bags as other recorders write them, whole and damaged; a segmenter that costs nothing."""

from collections.abc import Iterable
import io
from pathlib import Path
import sqlite3
import struct
from types import SimpleNamespace
from typing import Any

from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
import numpy as np
from numpy.typing import NDArray
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import Stores
from rosbags.typesys import get_typestore
import yaml

from hyperseg_core.inference.segmenter import Segmentation
from hyperseg_core.labels import load_labels
from hyperseg_ros.bags.reader import open_bag
from hyperseg_ros.bags.types import ros2_types
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import FOXGLOVE_VIDEO
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.encoding import image_fields

TOPIC = '/cam/image_raw'
MASK = '/segmenter/cam/mask'
START_NS = 1_700_000_000 * 10**9
STEP_NS = 10**8
PROFILE = {
    'history': 1, 'depth': 10, 'reliability': 1, 'durability': 2,
    'deadline': {'sec': 2147483647, 'nsec': 4294967295},
    'lifespan': {'sec': 2147483647, 'nsec': 4294967295}, 'liveliness': 1,
    'liveliness_lease_duration': {'sec': 2147483647, 'nsec': 4294967295},
    'avoid_ros_namespace_conventions': False,
}  # fmt: skip
QOS = yaml.safe_dump([PROFILE])
TYPES = ros2_types()
ROS1_TYPES = get_typestore(Stores.ROS1_NOETIC)


def picture(index: int = 0, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Return a smooth picture, another one for each index."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 3 + index * 11) % 256, (y * 5) % 256, (x + y + index * 7) % 256]
    return np.stack(planes, -1).astype(np.uint8)


def time_of(index: int) -> int:
    return START_NS + index * STEP_NS


def header(time_ns: int, *, types: Any = TYPES) -> Any:
    sec, nanosec = divmod(time_ns, 10**9)
    stamp = types.types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
    extra = {'seq': 0} if types is ROS1_TYPES else {}
    return types.types['std_msgs/msg/Header'](stamp=stamp, frame_id='cam', **extra)


def image(
    pixels: NDArray[Any],
    encoding: str = 'rgb8',
    time_ns: int = 0,
    *,
    types: Any = TYPES,
    **changes: Any,
) -> bytes:
    """Serialise an Image; of ROS 1 with its types."""
    plain = np.ascontiguousarray(pixels)
    fields = image_fields(plain.view(np.uint8).reshape(len(plain), -1), encoding)
    fields |= {'width': plain.shape[1]} | changes
    message = types.types[IMAGE](header=header(time_ns, types=types), **fields)
    return serialised(message, types=types)


def compressed(data: bytes, form: str = 'jpeg', time_ns: int = 0) -> bytes:
    message = TYPES.types[COMPRESSED](
        header=header(time_ns), format=form, data=np.frombuffer(data, np.uint8)
    )
    return serialised(message)


def serialised(message: Any, *, types: Any = TYPES) -> bytes:
    kind = message.__msgtype__
    if types is ROS1_TYPES:
        return bytes(types.serialize_ros1(message, kind))
    return bytes(types.serialize_cdr(message, kind))


def definition(kind: str) -> str:
    return str(TYPES.generate_msgdef(kind, ros_version=2)[0])


class Mcap:
    """Writes an MCAP file with the format's own library."""

    def __init__(self, *, profile: str = 'ros2', **options: Any) -> None:
        self._output = io.BytesIO()
        options = {'compression': CompressionType.NONE} | options
        self._writer = McapWriter(self._output, **options)
        self._writer.start(profile)
        self.footer_bytes = 0

    def channel(
        self,
        topic: str = TOPIC,
        kind: str = IMAGE,
        *,
        text: str | None = None,
        form: str = 'ros2msg',
        encoding: str = 'cdr',
        qos: str | None = QOS,
    ) -> int:
        text = definition(kind) if text is None else text
        schema = self._writer.register_schema(kind, form, text.encode())
        metadata = {} if qos is None else {'offered_qos_profiles': qos}
        return self._writer.register_channel(topic, encoding, schema, metadata)

    def add(self, channel: int, time_ns: int, data: bytes) -> None:
        self._writer.add_message(channel, time_ns, data, time_ns)

    def images(self, channel: int, indices: Iterable[int] = range(3)) -> None:
        for index in indices:
            self.add(channel, time_of(index), image(picture(index), time_ns=time_of(index)))

    def finish(self, path: Path) -> Path:
        """Write the whole file."""
        self._writer.finish()
        path.write_bytes(self._output.getvalue())
        return path

    def crash(self, path: Path, *, cut: int = 0) -> Path:
        """Write what a recorder has written until it is killed; `cut` bytes fewer."""
        self._writer.flush()
        content = self._output.getvalue()
        path.write_bytes(content[: len(content) - cut])
        return path


def simple_mcap(path: Path, count: int = 3, **options: Any) -> Path:
    """Write a bag of one camera."""
    writer = Mcap(**options)
    writer.images(writer.channel(), range(count))
    return writer.finish(path)


def open_db3(path: Path, *, qos: str = QOS, kind: str = IMAGE) -> sqlite3.Connection:
    """Create a .db3 of Humble's schema with one topic."""
    database = sqlite3.connect(path)
    database.executescript("""
        CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL);
        INSERT INTO schema VALUES(3, 'humble');
        CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,
            serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL);
        CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL,
            timestamp INTEGER NOT NULL, data BLOB NOT NULL);
    """)
    database.execute('INSERT INTO topics VALUES(1, ?, ?, ?, ?)', (TOPIC, kind, 'cdr', qos))
    database.commit()
    return database


def add_rows(database: sqlite3.Connection, indices: Iterable[int]) -> None:
    for index in indices:
        data = image(picture(index), time_ns=time_of(index))
        database.execute(
            'INSERT INTO messages(topic_id, timestamp, data) VALUES(1, ?, ?)',
            (time_of(index), data),
        )
    database.commit()


def simple_db3(path: Path, count: int = 3, **options: Any) -> Path:
    database = open_db3(path, **options)
    add_rows(database, range(count))
    database.close()
    return path


def write_metadata(
    folder: Path,
    files: list[str],
    *,
    count: int = 3,
    qos: Any = QOS,
    storage: str = 'mcap',
    **changes: Any,
) -> None:
    """Write a metadata.yaml of Humble's version for one camera."""
    topic = {
        'name': TOPIC, 'type': IMAGE, 'serialization_format': 'cdr', 'offered_qos_profiles': qos,
    }  # fmt: skip
    content = {
        'version': 5, 'storage_identifier': storage, 'duration': {'nanoseconds': 200_000_000},
        'starting_time': {'nanoseconds_since_epoch': START_NS}, 'message_count': count,
        'topics_with_message_count': [{'topic_metadata': topic, 'message_count': count}],
        'compression_format': '', 'compression_mode': '', 'relative_file_paths': files,
    }  # fmt: skip
    text = yaml.safe_dump({'rosbag2_bagfile_information': content | changes})
    (folder / 'metadata.yaml').write_text(text)


def simple_ros1(path: Path, count: int = 3, *, compression: Any = None) -> Path:
    writer = Writer1(path)
    if compression is not None:
        writer.set_compression(compression)
    with writer:
        connection = writer.add_connection(TOPIC, IMAGE, typestore=ROS1_TYPES)
        for index in range(count):
            time_ns = time_of(index)
            writer.write(
                connection, time_ns, image(picture(index), 'rgb8', time_ns, types=ROS1_TYPES)
            )
    return path


def without_ros1_index(content: bytes) -> bytes:
    """Return a ROS 1 bag as its recorder leaves it when it is killed."""
    place = content.find(b'index_pos=') + 10
    (end,) = struct.unpack_from('<Q', content, place)
    cut = bytearray(content[:end])
    for name, size in ((b'index_pos=', 8), (b'conn_count=', 4), (b'chunk_count=', 4)):
        begin = cut.find(name) + len(name)
        cut[begin : begin + size] = bytes(size)
    return bytes(cut)


def read_back(path: Path) -> tuple[list[tuple[str, int]], list[str], list[str]]:
    """Return topics and times of all messages, the problems, and the gaps."""
    with open_bag(path) as reader:
        found = [(m.connection.topic, m.time_ns) for m in reader.messages(reader.connections)]
        return found, reader.problems, [str(gap) for gap in reader.gaps(reader.connections)]


def whole(count: int = 3, topic: str = TOPIC) -> list[tuple[str, int]]:
    return [(topic, time_of(index)) for index in range(count)]


class FakeSegmenter:
    """Makes ids of colours; takes the place of a network."""

    checkpoint = SimpleNamespace(digest='fake')
    spec = 'fake'
    size = None
    label_set = load_labels('camvid')
    confidence_threshold = 0.0

    def __init__(self, *options: Any, replaces_lost: bool = True) -> None:
        self.options, self.replaces_lost = options, replaces_lost

    def __call__(self, images: list[NDArray[np.uint8]]) -> list[Segmentation]:
        return [Segmentation(i[..., 0] // 32, np.ascontiguousarray(i[..., 1])) for i in images]


def encoded_video(count: int) -> list[bytes]:
    """Encode pictures as H.264 without delay."""
    av = pytest.importorskip('av')
    from fractions import Fraction

    try:
        codec = av.CodecContext.create('libx264', 'w')
    except Exception:
        pytest.skip('this PyAV has no H.264 encoder')
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 48, 'yuv420p', Fraction(1, 30)
    codec.options = {'tune': 'zerolatency', 'preset': 'ultrafast', 'g': '1000'}
    packets = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(picture(index * 20), format='rgb24')
        frame.pts = index
        packets += codec.encode(frame)
    return [bytes(packet) for packet in [*packets, *codec.encode(None)]]


def video_bag(path: Path, kind: str, packets: list[bytes]) -> Path:
    """Write packets a second apart, on /cam/video."""
    types = TYPES.types
    writer = Mcap()
    channel = writer.channel('/cam/video', kind)
    for index, packet in enumerate(packets):
        data = np.frombuffer(packet, np.uint8)
        stamp = types['builtin_interfaces/msg/Time'](sec=7 + index, nanosec=5)
        if kind == FOXGLOVE_VIDEO:
            message = types[kind](timestamp=stamp, frame_id='cam', data=data, format='h264')
        else:
            told = types['std_msgs/msg/Header'](stamp=stamp, frame_id='cam')
            fields = {'width': 64, 'height': 48, 'encoding': 'libx264', 'pts': index}
            message = types[kind](header=told, flags=0, is_bigendian=False, data=data, **fields)
        writer.add(channel, time_of(index), serialised(message))
    return writer.finish(path)

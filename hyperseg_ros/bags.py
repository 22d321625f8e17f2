# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing bags with `rosbags`, on machines with ROS or without."""

from collections.abc import Iterator
import contextlib
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.interfaces import MessageDefinition
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.serde import SerdeError
from rosbags.typesys import Stores
from rosbags.typesys import TypesysError
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore

from hyperseg_core.errors import InputError

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
LABEL_INFO = 'vision_msgs/msg/LabelInfo'
BAG_VERSION = 9
# vision_msgs is not among the types that rosbags ships; its definition is two lines of fields.
_LABEL_TYPES = {
    'vision_msgs/msg/VisionClass': 'uint16 class_id\nstring class_name\n',
    LABEL_INFO: 'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n',
}
UNKNOWN_HASH = f'RIHS01_{"0" * 64}'
"""What REP 2016 gives a type without description; bags from before it have no hashes."""
_FOREVER = QosTime(0x7FFFFFFF, 0xFFFFFFFF)


def qos(*, latched: bool = False, depth: int = 10) -> Qos:
    """Return a reliable profile, transient local where `latched`."""
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, durability, _FOREVER, _FOREVER,
        QosLiveliness.AUTOMATIC, _FOREVER, avoid_ros_namespace_conventions=False,
    )  # fmt: skip


def ros2_types() -> Any:
    """Return the message types that we write, with vision_msgs/LabelInfo."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in _LABEL_TYPES.items():
        if name not in store.fielddefs:
            store.register(get_types_from_msg(text, name))
    return store


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it lies in a bag."""

    connection: Connection
    time_ns: int
    data: bytes


class BagReader:
    """A bag of ROS 2 or ROS 1.

    Messages of standard types are read by rosbags' definitions of them, not by those in the bag:
    a foreign type that cannot be parsed, or is not described, does not close the bag.
    """

    def __init__(self, path: Path) -> None:
        """Open the bag; raises what rosbags raises."""
        self.is_ros2 = path.suffix != '.bag'
        self._reader: Any = Reader2(path) if self.is_ros2 else Reader1(path)
        self._reader.open()
        self._types = ros2_types()
        self._ros1_types = get_typestore(Stores.ROS1_NOETIC)
        self._ros2_connections: dict[int, Connection] = {}
        self.start_time = int(self._reader.start_time)
        """Log time of the first message [ns]."""
        self.end_time = int(self._reader.end_time)
        """After the log time of the last message [ns]."""

    @property
    def connections(self) -> list[Connection]:
        """Topics with their types, one for each publisher."""
        return list(self._reader.connections)

    def messages(self, connections: list[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
        """Read messages of some connections in order of their log time."""
        return iter(self._reader.messages(connections=connections))

    def deserialize(self, data: bytes, kind: str) -> Any:
        """Turn bytes into a message of a standard type."""
        if self.is_ros2:
            return self._types.deserialize_cdr(data, kind)
        return self._ros1_types.deserialize_ros1(data, kind)

    def as_ros2(self, message: RawMessage) -> RawMessage:
        """Return a message as ROS 2 serialises and describes it; ROS 1 types are learnt.

        Raises:
            InputError: If the type's ROS 1 message is no message of ROS 2's type.
        """
        if self.is_ros2:
            return message
        kind = message.connection.msgtype
        try:
            connection = self._ros2_connection(message.connection)
            # By ROS 2's definitions: rosbags leaves out the header's `seq`, which ROS 2 has not.
            data = bytes(self._types.ros1_to_cdr(message.data, kind))
        except (TypesysError, SerdeError) as err:
            msg = f'{kind} of ROS 1 cannot be brought to ROS 2: {err}'
            raise InputError(msg) from err
        return RawMessage(connection, message.time_ns, data)

    def _ros2_connection(self, connection: Connection) -> Connection:
        if connection.id not in self._ros2_connections:
            kind, types = connection.msgtype, self._types
            if kind not in types.fielddefs:
                found = get_types_from_msg(connection.msgdef.data, kind)
                types.register({k: v for k, v in found.items() if k not in types.fielddefs})
            text, _ = types.generate_msgdef(kind, ros_version=2)
            profile = qos(latched=bool(getattr(connection.ext, 'latching', 0)))
            self._ros2_connections[connection.id] = connection._replace(
                msgdef=MessageDefinition(MessageDefinitionFormat.MSG, text),
                digest=types.hash_rihs01(kind),
                ext=ConnectionExtRosbag2('cdr', [profile]),
            )
        return self._ros2_connections[connection.id]

    def close(self) -> None:
        """Close the files."""
        self._reader.close()


@contextlib.contextmanager
def open_bag(path: Path) -> Iterator[BagReader]:
    """Open a rosbag2 folder, a single .mcap or .db3 file, or a ROS 1 .bag.

    Raises:
        InputError: If it is none of them, or is too damaged to be opened.
        FileNotFoundError: If it is not there.
    """
    if not path.exists():
        msg = f'No bag at {path}.'
        raise FileNotFoundError(msg)
    try:
        reader = BagReader(path)
    except Exception as err:  # damaged files make the readers raise what they like
        msg = (
            f'{path} cannot be opened as a bag ({type(err).__name__}: {err}). A folder needs its '
            f'metadata.yaml: `ros2 bag reindex {path}` makes it again; or give the file in it.'
        )
        raise InputError(msg) from err
    try:
        yield reader
    finally:
        reader.close()


class DamagedBagError(InputError):
    """The bag's readable part ended early."""


def read_messages(reader: BagReader, connections: list[Connection]) -> Iterator[RawMessage]:
    """Read messages in order of their log time.

    Raises:
        DamagedBagError: Where the bag is cut off or damaged, after what could be read.
    """
    if not connections:
        return
    messages = reader.messages(connections)
    while True:
        try:
            connection, time_ns, data = next(messages)
        except StopIteration:
            return
        except Exception as err:
            msg = f'the bag is damaged from here on ({type(err).__name__}: {err})'
            raise DamagedBagError(msg) from err
        yield RawMessage(connection, time_ns, bytes(data))


def image_connections(reader: BagReader, topics: list[str] | None) -> list[Connection]:
    """Return the connections with images, of the topics asked for or all.

    Raises:
        InputError: If a topic asked for has no images, or there is none at all.
    """
    found = [item for item in reader.connections if item.msgtype in {IMAGE, COMPRESSED}]
    names = sorted({item.topic for item in found})
    for topic in topics or ():
        if topic not in names:
            msg = (
                f'No images on topic {topic!r}; topics with images: {", ".join(names) or "none"}.'
            )
            raise InputError(msg)
    if not found:
        msg = 'The bag has no topic of sensor_msgs/Image or CompressedImage.'
        raise InputError(msg)
    return [item for item in found if topics is None or item.topic in topics]


def output_prefixes(topics: set[str]) -> dict[str, str]:
    """Return where each topic's masks go: /front/image_raw becomes /segmenter/front.

    Topics that would share a place keep their whole name: /segmenter/front/image_raw.
    """
    short = {topic: topic.removesuffix('/compressed').rpartition('/')[0] for topic in topics}
    places = list(short.values())
    return {
        topic: f'/segmenter{camera if places.count(camera) == 1 else topic}'
        for topic, camera in short.items()
    }


class BagWriter:
    """Writes a rosbag2 bag of the types we make, and copies of others."""

    def __init__(self, path: Path, *, storage: str = 'mcap') -> None:
        """Create the bag; its folder must not be there.

        Raises:
            InputError: If the storage is unknown.
        """
        plugins = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
        if storage not in plugins:
            msg = f'Unknown storage {storage!r}; known: {", ".join(plugins)}.'
            raise InputError(msg)
        self.types = ros2_types()
        self._writer = Writer(path, version=BAG_VERSION, storage_plugin=plugins[storage])
        self._writer.open()
        self._connections: dict[str, Connection] = {}

    def annotate(self, key: str, value: str) -> None:
        """Put a line of provenance into the bag's metadata."""
        self._writer.set_custom_data(key, value)

    def write(
        self, topic: str, kind: str, time_ns: int, message: Any, *, latched: bool = False
    ) -> None:
        """Serialise and write a message."""
        self.write_raw(
            topic, kind, time_ns, self.types.serialize_cdr(message, kind), latched=latched
        )

    def write_raw(
        self,
        topic: str,
        kind: str,
        time_ns: int,
        data: bytes | memoryview,
        *,
        latched: bool = False,
    ) -> None:
        """Write a serialised message of a type we know."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self.types, offered_qos_profiles=[qos(latched=latched)]
            )
        self._writer.write(self._connections[topic], time_ns, data)

    def copy(self, message: RawMessage) -> None:
        """Write another bag's message as it is, with its type and QoS."""
        source = message.connection
        key = f'{source.topic} {source.msgtype}'
        if key not in self._connections:
            profiles = getattr(source.ext, 'offered_qos_profiles', [])
            self._connections[key] = self._writer.add_connection(
                source.topic, source.msgtype, msgdef=source.msgdef.data,
                rihs01=source.digest or UNKNOWN_HASH,
                offered_qos_profiles=profiles,
            )  # fmt: skip
        self._writer.write(self._connections[key], message.time_ns, message.data)

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()

    def header(self, source: Any) -> Any:
        """Return a ROS 2 header equal to one read from any bag."""
        types = self.types.types
        stamp = types['builtin_interfaces/msg/Time'](
            sec=int(source.stamp.sec), nanosec=int(source.stamp.nanosec)
        )
        return types['std_msgs/msg/Header'](stamp=stamp, frame_id=source.frame_id)

    def header_at(self, time_ns: int, frame_id: str) -> Any:
        """Return a header for a time since the epoch [ns]."""
        types = self.types.types
        sec, nanosec = divmod(time_ns, 1_000_000_000)
        stamp = types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
        return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)

    def image(self, header: Any, pixels: NDArray[np.uint8], encoding: str) -> Any:
        """Return an Image message of (H, W) or (H, W, 3) uint8."""
        contiguous = np.ascontiguousarray(pixels)
        return self.types.types[IMAGE](
            header=header, height=contiguous.shape[0], width=contiguous.shape[1],
            encoding=encoding, is_bigendian=0, step=contiguous.strides[0],
            data=contiguous.reshape(-1),
        )  # fmt: skip

    def compressed(self, header: Any, data: bytes, form: str) -> Any:
        """Return a CompressedImage message."""
        return self.types.types[COMPRESSED](
            header=header, format=form, data=np.frombuffer(data, np.uint8)
        )

    def label_info(self, header: Any, names: tuple[str, ...], threshold: float) -> Any:
        """Return a LabelInfo message."""
        kind = self.types.types['vision_msgs/msg/VisionClass']
        classes = [kind(class_id=index, class_name=name) for index, name in enumerate(names)]
        return self.types.types[LABEL_INFO](header=header, class_map=classes, threshold=threshold)

    def camera_info(
        self, header: Any, matrix: NDArray[np.float64], height: int, width: int
    ) -> Any:
        """Return a CameraInfo message of an ideal pinhole camera."""
        types = self.types.types
        region = types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        return types[CAMERA_INFO](
            header=header, height=height, width=width, distortion_model='plumb_bob',
            d=np.zeros(5), k=matrix.flatten(), r=np.eye(3).flatten(),
            p=np.hstack((matrix, np.zeros((3, 1)))).flatten(),
            binning_x=0, binning_y=0, roi=region,
        )  # fmt: skip


def ros2_type_name(kind: str) -> str:
    """Check a type's name from a bag and return it as package/msg/Name.

    Raises:
        InputError: If it is no such name.
    """
    match = re.fullmatch(r'([a-z][a-z0-9_]*)/(?:msg/)?([A-Z][A-Za-z0-9]*)', kind)
    if match is None:
        msg = f'{kind!r} is no message type.'
        raise InputError(msg)
    return f'{match[1]}/msg/{match[2]}'

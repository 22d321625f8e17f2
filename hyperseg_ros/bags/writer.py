# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing rosbag2 bags, which get their name when they are whole."""

from collections.abc import Iterator
import contextlib
from pathlib import Path
import sqlite3
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection as WrittenConnection
from rosbags.interfaces import Qos
from rosbags.rosbag2 import CompressionFormat
from rosbags.rosbag2 import CompressionMode
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from hyperseg_core.errors import InputError
from hyperseg_core.files.folders import new_folder
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.bags.types import CAMERA_INFO
from hyperseg_ros.bags.types import LABEL_INFO
from hyperseg_ros.bags.types import VISION_CLASS
from hyperseg_ros.bags.types import qos
from hyperseg_ros.bags.types import ros2_types
from hyperseg_ros.messages.camera_info import pinhole_fields
from hyperseg_ros.messages.decoding import COMPRESSED
from hyperseg_ros.messages.decoding import IMAGE
from hyperseg_ros.messages.encoding import image_fields
from hyperseg_ros.messages.label_info import label_info

BAG_VERSION = 8
"""Of metadata.yaml: what Humble reads, and all after it; of 9 Humble cannot read the QoS."""
UNKNOWN_HASH = f'RIHS01_{"0" * 64}'
"""What REP 2016 gives a type without description; bags from before it have no hashes."""
MAX_TIME_NS = 2**63 - 1
_IDL_HEAD = '=' * 80 + '\nIDL: '


_PLUGINS = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}


def check_storage(storage: str, *, zstd: bool) -> None:
    """Check that bags can be written so.

    Raises:
        InputError: If the storage is unknown, or does not compress.
    """
    if storage not in _PLUGINS:
        msg = f'Unknown storage {storage!r}; known: {", ".join(_PLUGINS)}.'
        raise InputError(msg)
    if zstd and storage != 'mcap':
        msg = f'Only mcap compresses its chunks, not {storage}; leave out --zstd.'
        raise InputError(msg)


class _Sqlite3Writer(Sqlite3Writer):
    """Takes any path: rosbags puts it into a URI as it is, where `#`, `?` and `%` mean more."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        del compression
        self.path = path / f'{path.name}.db3'
        try:
            self.conn = sqlite3.connect(self.path)
            self.conn.executescript(self.SQLITE_SCHEMA)
        except sqlite3.Error as err:
            msg = f'Cannot write {self.path}: {err}.'
            raise OSError(msg) from err
        self.cursor = self.conn.cursor()


class _Writer(Writer):
    STORAGE_PLUGINS = {**Writer.STORAGE_PLUGINS, StoragePlugin.SQLITE3: _Sqlite3Writer}  # noqa: RUF012


class BagWriter:
    """Writes a rosbag2 bag of the types we make, and copies of others."""

    def __init__(self, path: Path, *, storage: str = 'mcap', zstd: bool = False) -> None:
        """Create the bag; its folder must not be there.

        Args:
            path: Its folder.
            storage: mcap or sqlite3.
            zstd: Whether MCAP's chunks are compressed: of masks, a fiftieth or less is left.

        Raises:
            InputError: If the storage is unknown, or does not compress.
        """
        check_storage(storage, zstd=zstd)
        self.types = ros2_types()
        self._writer = _Writer(path, version=BAG_VERSION, storage_plugin=_PLUGINS[storage])
        if zstd:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        self._connections: dict[tuple[str, str], WrittenConnection] = {}

    def annotate(self, key: str, value: str) -> None:
        """Put a line of provenance into the bag's metadata."""
        self._writer.set_custom_data(key, value)

    def write(
        self, topic: str, kind: str, time_ns: int, message: Any, *, latched: bool = False
    ) -> None:
        """Serialise and write a message of a type we know."""
        if (topic, kind) not in self._connections:
            text, _ = self.types.generate_msgdef(kind, ros_version=2)
            digest = self.types.hash_rihs01(kind)
            self._connect(topic, kind, text, digest, [qos(latched=latched)])
        data = self.types.serialize_cdr(message, kind)
        self._writer.write(self._connections[topic, kind], time_ns, data)

    def copy(self, message: RawMessage) -> None:
        """Write another bag's message as it is, with its type's definition and its QoS.

        Raises:
            InputError: If it is not serialised as ROS 2 does, or has no time that can be written.
        """
        source, time_ns = message.connection, message.time_ns
        if source.encoding != 'cdr' or not 0 <= time_ns <= MAX_TIME_NS:
            msg = f'{source.topic} at {time_ns} ns, {source.encoding!r}, cannot be written.'
            raise InputError(msg)
        key = (source.topic, source.msgtype)
        if key not in self._connections:
            text = source.definition
            if source.definition_form == 'ros2idl' and not text.startswith(_IDL_HEAD):
                # By its head, IDL is known from the other form; rosbag2 writes it always.
                text = f'{_IDL_HEAD}{source.msgtype}\n{text}'
            self._connect(*key, text, source.digest or UNKNOWN_HASH, list(source.profiles))
        self._writer.write(self._connections[key], time_ns, message.data)

    def _connect(self, topic: str, kind: str, text: str, digest: str, profiles: list[Qos]) -> None:
        self._connections[topic, kind] = self._writer.add_connection(
            topic, kind, msgdef=text, rihs01=digest, offered_qos_profiles=profiles
        )

    def close(self) -> None:
        """Finish the bag."""
        self._writer.close()

    def abort(self) -> None:
        """Let go of the files of a bag that cannot be finished."""
        self._writer.abort()

    def header(self, source: Any) -> Any:
        """Return the header of a message from any bag, or of a packet of a video.

        Raises:
            InputError: If its stamp is none that ROS 2 can hold.
        """
        types = self.types.types
        told = getattr(source, 'header', source)
        stamp = told.stamp if hasattr(told, 'stamp') else told.timestamp
        if not (-(2**31) <= stamp.sec < 2**31 and 0 <= stamp.nanosec < 2**32):
            msg = f'its stamp {stamp.sec}.{stamp.nanosec:09d} s is none that ROS 2 can hold'
            raise InputError(msg)
        made = types['builtin_interfaces/msg/Time'](sec=int(stamp.sec), nanosec=int(stamp.nanosec))
        return types['std_msgs/msg/Header'](stamp=made, frame_id=told.frame_id)

    def header_at(self, time_ns: int, frame_id: str) -> Any:
        """Return a header for a time since the epoch [ns]; 0 where no stamp can hold it."""
        types = self.types.types
        sec, nanosec = divmod(time_ns if 0 <= time_ns < 2**31 * 10**9 else 0, 10**9)
        stamp = types['builtin_interfaces/msg/Time'](sec=sec, nanosec=nanosec)
        return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)

    def image(self, header: Any, pixels: NDArray[np.uint8], encoding: str) -> Any:
        """Return an Image message of (H, W) or (H, W, 3) uint8."""
        return self.types.types[IMAGE](header=header, **image_fields(pixels, encoding))

    def compressed(self, header: Any, data: bytes, form: str) -> Any:
        """Return a CompressedImage message."""
        return self.types.types[COMPRESSED](
            header=header, format=form, data=np.frombuffer(data, np.uint8)
        )

    def label_info(self, header: Any, names: tuple[str, ...], threshold: float) -> Any:
        """Return a LabelInfo message."""
        types = self.types.types
        return label_info(
            types[LABEL_INFO], types[VISION_CLASS], header=header, names=names,
            threshold=threshold,
        )  # fmt: skip

    def camera_info(
        self, header: Any, matrix: NDArray[np.float64], height: int, width: int
    ) -> Any:
        """Return a CameraInfo message of an ideal pinhole camera."""
        types = self.types.types
        region = types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        fields = pinhole_fields(matrix, height, width)
        return types[CAMERA_INFO](header=header, binning_x=0, binning_y=0, roi=region, **fields)


@contextlib.contextmanager
def new_bag(out: Path, *, storage: str = 'mcap') -> Iterator[BagWriter]:
    """Write a bag that gets its name when it is whole; what fails leaves nothing.

    Raises:
        ConfigError: If `out` is there already.
        InputError: If the storage is unknown.
    """
    with new_folder(out) as folder:
        folder.rmdir()  # the writer makes it, and takes none that is there
        writer = BagWriter(folder, storage=storage)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.abort()
            raise

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message types: those that we read and write, and ROS 1's brought to ROS 2."""

from dataclasses import replace
import struct
from typing import Any

from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime
from rosbags.typesys import Stores
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore

from hyperseg_core.errors import InputError
from hyperseg_ros.bags.connection import CDR
from hyperseg_ros.bags.connection import ROS1
from hyperseg_ros.bags.connection import Connection
from hyperseg_ros.bags.connection import RawMessage
from hyperseg_ros.messages.decoding import FFMPEG_PACKET
from hyperseg_ros.messages.decoding import FOXGLOVE_VIDEO

CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
LABEL_INFO = 'vision_msgs/msg/LabelInfo'
VISION_CLASS = 'vision_msgs/msg/VisionClass'
# rosbags ships the types of ros2's common_interfaces; these are not among them.
MORE_TYPES = {
    VISION_CLASS: 'uint16 class_id\nstring class_name\n',
    LABEL_INFO: 'std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n',
    FOXGLOVE_VIDEO: (
        'builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n'
    ),
    FFMPEG_PACKET: (
        'std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\n'
        'uint8 flags\nbool is_bigendian\nuint8[] data\n'
    ),
}
_FOREVER = QosTime(0x7FFFFFFF, 0xFFFFFFFF)


def qos(*, latched: bool = False, depth: int = 10) -> Qos:
    """Return a reliable profile, transient local where `latched`."""
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        QosHistory.KEEP_LAST, depth, QosReliability.RELIABLE, durability, _FOREVER, _FOREVER,
        QosLiveliness.AUTOMATIC, _FOREVER, avoid_ros_namespace_conventions=False,
    )  # fmt: skip


def ros2_types() -> Any:
    """Return rosbags' store of ROS 2's types, with those of vision_msgs and of videos."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, text in MORE_TYPES.items():
        if name not in store.fielddefs:
            store.register(get_types_from_msg(text, name))
    return store


class MessageTypes:
    """Turns bytes of bags into messages, by our own definitions of standard types.

    A foreign type that cannot be parsed, or is not described, therefore disturbs nothing.
    """

    def __init__(self) -> None:
        """Load the standard types."""
        self._ros2 = ros2_types()
        self._ros1 = get_typestore(Stores.ROS1_NOETIC)
        self._brought: dict[int, Connection] = {}

    def deserialize(self, message: RawMessage) -> Any:
        """Turn a message of a standard type into an object with its fields.

        A `frame_id` that is no UTF-8 is read with U+FFFD where its bytes are wrong.

        Raises:
            InputError: If the bytes are no such message.
        """
        connection = message.connection
        try:
            return self._deserialize(message.data, connection)
        except Exception as err:  # damaged bytes make the generated code raise what it likes
            try:
                data, frame_id = _with_plain_frame_id(message.data, connection)
                content = self._deserialize(data, connection)
            except Exception:
                reason = ' '.join(str(err).split())[:200]
                msg = f'a damaged {connection.msgtype} ({type(err).__name__}: {reason})'
                raise InputError(msg) from err
        getattr(content, 'header', content).frame_id = frame_id
        return content

    def _deserialize(self, data: bytes, connection: Connection) -> Any:
        if connection.encoding == ROS1:
            return self._ros1.deserialize_ros1(data, connection.msgtype)
        return self._ros2.deserialize_cdr(data, connection.msgtype)

    def as_ros2(self, message: RawMessage) -> RawMessage:
        """Return a message as ROS 2 serialises and describes it; ROS 1 types are learnt.

        Raises:
            InputError: If the type's ROS 1 message is no message of ROS 2's type.
        """
        connection = message.connection
        if connection.encoding == CDR:
            return message
        try:
            if connection.id not in self._brought:
                self._brought[connection.id] = self._bring(connection)
            # By ROS 2's definitions: rosbags leaves out the header's `seq`, which ROS 2 has not.
            data = bytes(self._ros2.ros1_to_cdr(message.data, connection.msgtype))
        except Exception as err:  # of parsing foreign definitions, and of damaged bytes
            msg = f'{connection.msgtype} of ROS 1 cannot be brought to ROS 2: {str(err)[:200]}'
            raise InputError(msg) from err
        return RawMessage(self._brought[connection.id], message.time_ns, data)

    def _bring(self, connection: Connection) -> Connection:
        kind, types = connection.msgtype, self._ros2
        if kind not in types.fielddefs:
            found = get_types_from_msg(connection.definition, kind)
            types.register({k: v for k, v in found.items() if k not in types.fielddefs})
        text, _ = types.generate_msgdef(kind, ros_version=2)
        return replace(
            connection, encoding=CDR, definition=text, definition_form='ros2msg',
            digest=types.hash_rihs01(kind), profiles=(qos(latched=connection.is_latched),),
        )  # fmt: skip


def _with_plain_frame_id(data: bytes, connection: Connection) -> tuple[bytes, str]:
    """Return a message with header whose `frame_id` is ASCII of the same length, and the true one.

    The string follows sec and nanosec: in CDR after 4 bytes that say the order of bytes, in
    ROS 1 after `seq`.
    """
    order = '>' if connection.encoding == CDR and data[1] == 0 else '<'
    (length,) = struct.unpack_from(f'{order}I', data, 12)
    end = 16 + length
    name = data[16:end]
    plain = bytes(byte if byte < 0x80 else 0x3F for byte in name)
    return data[:16] + plain + data[end:], name.rstrip(b'\0').decode(errors='replace')

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever carries an image, to RGB: raw, compressed, or packets of a video."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperseg_ros.messages.compressed_image import compressed_to_rgb
from hyperseg_ros.messages.compressed_image import parse_format
from hyperseg_ros.messages.raw_image import image_to_rgb
from hyperseg_ros.messages.video_packet import VideoDecoder
from hyperseg_ros.messages.video_packet import video_codec

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
FOXGLOVE_VIDEO = 'foxglove_msgs/msg/CompressedVideo'
FFMPEG_PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
VIDEO_TYPES = frozenset({FOXGLOVE_VIDEO, FFMPEG_PACKET})
IMAGE_TYPES = frozenset({IMAGE, COMPRESSED}) | VIDEO_TYPES


class ImageDecoder:
    """Decodes the messages of one topic, in their order: a video's need those before."""

    def __init__(self) -> None:
        """Begin a stream."""
        self._video: VideoDecoder | None = None

    def to_rgb(self, message: Any) -> NDArray[np.uint8]:
        """Decode a message to (H, W, 3) uint8 RGB.

        Args:
            message: With the fields of sensor_msgs/Image, sensor_msgs/CompressedImage,
                foxglove_msgs/CompressedVideo or ffmpeg_image_transport_msgs/FFMPEGPacket.

        Raises:
            InputError: If it holds no colours that can be read; the message says why.
        """
        codec = codec_of(message)
        if codec:
            if self._video is None or self._video.codec != codec:
                self._video = VideoDecoder(codec)
            return self._video.decode(message.data)
        if hasattr(message, 'step'):
            return image_to_rgb(message)
        return compressed_to_rgb(message.data, message.format)


def codec_of(message: Any) -> str:
    """Return FFmpeg's name of the codec, if a message is a packet of a video, else ''.

    Raises:
        InputError: If it is one, of a codec that we do not know.
    """
    if hasattr(message, 'pts'):
        return video_codec(message.encoding)
    if hasattr(message, 'timestamp'):
        return video_codec(message.format)
    return '' if hasattr(message, 'step') else parse_format(message.format).video_codec


def described_kind(message: Any) -> str:
    """Return what a message says of its own coding: its encoding or format."""
    return str(getattr(message, 'encoding', None) or getattr(message, 'format', ''))[:80]

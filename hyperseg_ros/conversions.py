# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Names that moved to `hyperseg_ros.messages`."""

from hyperseg_ros.messages.camera_info import scaled_camera_info
from hyperseg_ros.messages.compressed_image import compressed_to_rgb
from hyperseg_ros.messages.encoding import encode_png
from hyperseg_ros.messages.encoding import fill_image
from hyperseg_ros.messages.raw_image import ENCODINGS
from hyperseg_ros.messages.raw_image import image_to_rgb

__all__ = [
    'ENCODINGS',
    'compressed_to_rgb',
    'encode_png',
    'fill_image',
    'image_to_rgb',
    'scaled_camera_info',
]

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""vision_msgs/LabelInfo: what the ids of masks mean."""

from collections.abc import Callable
from typing import Any


def label_info(
    make_info: Callable[..., Any],
    make_class: Callable[..., Any],
    *,
    header: Any,
    names: tuple[str, ...],
    threshold: float,
) -> Any:
    """Build a LabelInfo message.

    Args:
        make_info: Class of LabelInfo: of ROS, or of a bag's types.
        make_class: Class of VisionClass, likewise.
        header: Header of the message.
        names: Names of the classes, by id.
        threshold: Probability below which a pixel is unlabelled, 0 to 1.
    """
    classes = [make_class(class_id=index, class_name=name) for index, name in enumerate(names)]
    return make_info(header=header, class_map=classes, threshold=threshold)

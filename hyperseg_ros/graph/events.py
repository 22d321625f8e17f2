# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Events of publishers and subscriptions, by the names that they have in each distribution."""

from collections.abc import Callable
from typing import Any

try:
    from rclpy.event_handler import PublisherEventCallbacks
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks
    from rclpy.qos_event import SubscriptionEventCallbacks


def subscription_events(
    on_incompatible_qos: Callable[[Any], None], on_message_lost: Callable[[Any], None]
) -> Any:
    """Return the events of a subscription: publishers that do not fit, messages that got lost."""
    return SubscriptionEventCallbacks(
        incompatible_qos=on_incompatible_qos,
        message_lost=on_message_lost,
        use_default_callbacks=False,
    )


def no_publisher_events() -> Any:
    """Return no events: rclpy's executor waits for each of them anew at every message."""
    return PublisherEventCallbacks(use_default_callbacks=False)

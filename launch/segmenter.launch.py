# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera: ros2 launch hyperseg_ros segmenter.launch.py image:=/camera/image_raw."""

import os
import time
from typing import Any

from launch import LaunchContext
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import OpaqueFunction
from launch.actions import TimerAction
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare
import yaml

from hyperseg_ros.process.status import ENGINE_LOST

_RESPAWN_S, _MAX_RESPAWN_S = 1.0, 30.0
_STEADY_S = 60.0
"""A process that ran so long starts anew at once; others ever later."""
_FROM_FILE = '; empty: as in params_file.'
_CHOSEN = (
    'FASTDDS_BUILTIN_TRANSPORTS',
    'FASTDDS_DEFAULT_PROFILES_FILE',
    'FASTRTPS_DEFAULT_PROFILES_FILE',
)
"""Variables by which a user chooses a transport; then ours is not set."""


def create_node(context: LaunchContext) -> list[LifecycleNode]:
    """Create the node; only arguments that were given override the parameter file."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    names = ('checkpoint', 'engine', 'autostart', 'bond', 'cameras')
    overrides = {name: yaml.safe_load(given(name)) for name in names if given(name)}
    overrides['use_sim_time'] = yaml.safe_load(given('use_sim_time'))
    # Read now: when the node is started again, an including file's arguments may be gone.
    options = {
        'namespace': given('namespace'),
        'parameters': [given('params_file'), overrides],
        'remappings': [(name, given(name)) for name in ('image', 'camera_info') if given(name)],
        'arguments': ['--ros-args', '--log-level', given('log_level')],
        'additional_env': transport_environment(context),
    }
    return [started_node(options)]


def started_node(options: dict[str, Any], delay_s: float = 0.0) -> LifecycleNode:
    """Return the node, which is started again whenever it ends because its engine is lost."""
    start_s = time.monotonic() + delay_s

    def restarted(event: ProcessExited, context: LaunchContext) -> list[TimerAction]:
        if event.returncode != ENGINE_LOST or context.is_shutdown:
            return []
        is_steady = time.monotonic() - start_s >= _STEADY_S
        next_s = _RESPAWN_S if is_steady else min(max(2 * delay_s, _RESPAWN_S), _MAX_RESPAWN_S)
        return [TimerAction(period=next_s, actions=[started_node(options, next_s)])]

    return LifecycleNode(
        package='hyperseg_ros',
        executable='segmenter',
        name='segmenter',
        on_exit=restarted,
        output='screen',
        **options,
    )


def transport_environment(context: LaunchContext) -> dict[str, str]:
    """Return the variables of the transport that was asked for."""
    transport = LaunchConfiguration('transport').perform(context)
    if transport == 'large_data':
        return {'FASTDDS_BUILTIN_TRANSPORTS': 'LARGE_DATA'}
    if transport == 'default' or any(os.environ.get(name) for name in _CHOSEN):
        return {}
    share = FindPackageShare('hyperseg_ros')
    profile = PathJoinSubstitution([share, 'config', 'fastdds.xml']).perform(context)
    # Before Kilted the variable had another name; Kilted warns of that.
    is_old = os.environ.get('ROS_DISTRO') in {'humble', 'iron', 'jazzy'}
    return dict.fromkeys(_CHOSEN[1 : 3 if is_old else 2], profile)


def generate_launch_description() -> LaunchDescription:
    default_parameters = PathJoinSubstitution(
        [FindPackageShare('hyperseg_ros'), 'config', 'segmenter.yaml']
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('image', default_value='image', description='Image topic.'),
            DeclareLaunchArgument(
                'camera_info',
                default_value='',
                description='CameraInfo topic; empty: beside the image topic.',
            ),
            DeclareLaunchArgument(
                'checkpoint',
                default_value='',
                description=f'Checkpoint file or name{_FROM_FILE}',
            ),
            DeclareLaunchArgument(
                'engine',
                default_value='',
                description=f'Inference engine{_FROM_FILE}',
                choices=['', 'auto', 'tensorrt', 'onnxruntime', 'openvino', 'torch'],
            ),
            DeclareLaunchArgument(
                'cameras',
                default_value='',
                description=f'Names of several cameras, [front, rear]{_FROM_FILE}',
            ),
            DeclareLaunchArgument(
                'autostart',
                default_value='',
                description=f'Configure and activate without being asked{_FROM_FILE}',
                choices=['', 'true', 'false'],
            ),
            DeclareLaunchArgument(
                'bond',
                default_value='',
                description=f"Bond with Nav2's lifecycle manager{_FROM_FILE}",
                choices=['', 'true', 'false'],
            ),
            DeclareLaunchArgument(
                'params_file', default_value=default_parameters, description='Parameter YAML.'
            ),
            DeclareLaunchArgument('namespace', default_value='', description='Namespace.'),
            DeclareLaunchArgument('log_level', default_value='info', description='Log level.'),
            DeclareLaunchArgument(
                'use_sim_time', default_value='false', description='Take the time from /clock.'
            ),
            DeclareLaunchArgument(
                'transport',
                default_value='shared_memory',
                description='Fast DDS: shared memory with room for images, its default, or TCP.',
                choices=['shared_memory', 'default', 'large_data'],
            ),
            OpaqueFunction(function=create_node),
        ]
    )

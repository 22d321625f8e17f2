# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segmenter and planners: ros2 launch hyperseg_ros planner.launch.py image:=/camera/image_raw."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from hyperseg_ros.process.transport import transport_environment

_SHARE = FindPackageShare('hyperseg_ros')
_MASKS = [
    (name, f'segmenter/{name}') for name in ('mask', 'confidence', 'camera_info', 'label_info')
]
_POINTS = [
    (name, LaunchConfiguration(argument))
    for name, argument in (
        ('cloud', 'cloud'), ('depth', 'depth'), ('depth/camera_info', 'depth_info'),
    )
]  # fmt: skip
_FOR_SEGMENTER = ('image', 'checkpoint', 'engine', 'namespace', 'use_sim_time', 'log_level')


def planner(name: str, remappings: list[tuple[object, object]]) -> LifecycleNode:
    """Return one of the nodes, started where its argument says so."""
    return LifecycleNode(
        package='hyperseg_ros',
        executable=name,
        name=name,
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            LaunchConfiguration('planner_params_file'),
            {'use_sim_time': LaunchConfiguration('use_sim_time')},
        ],
        remappings=remappings,
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        # Clouds are larger than Fast DDS's default shared memory, too.
        additional_env=transport_environment(),
        condition=IfCondition(LaunchConfiguration(name)),
        output='screen',
    )


def argument(name: str, default: object, description: str) -> DeclareLaunchArgument:
    """Return an argument."""
    return DeclareLaunchArgument(name, default_value=default, description=description)


def generate_launch_description() -> LaunchDescription:
    """Describe the segmenter, `ground` and `labelled_cloud`."""
    parameters = PathJoinSubstitution([_SHARE, 'config', 'planner.yaml'])
    segmenter = PathJoinSubstitution([_SHARE, 'launch', 'segmenter.launch.py'])
    return LaunchDescription(
        [
            argument('image', 'image', 'Image topic.'),
            argument('cloud', 'cloud', 'Points for labelled_cloud.'),
            argument('depth', 'depth', 'Depth image for labelled_cloud.'),
            argument('depth_info', 'depth/camera_info', 'CameraInfo of the depth image.'),
            argument('segmenter', 'true', 'Start the segmenter; false: its masks are there.'),
            argument('ground', 'true', 'Start ground.'),
            argument('labelled_cloud', 'false', 'Start labelled_cloud.'),
            argument('planner_params_file', parameters, 'Parameter YAML of both nodes.'),
            argument('checkpoint', '', 'Checkpoint file or name; empty: as in segmenter.yaml.'),
            argument('engine', '', 'Inference engine; empty: as in segmenter.yaml.'),
            argument('namespace', '', 'Namespace of all nodes.'),
            argument('log_level', 'info', 'Log level.'),
            argument('use_sim_time', 'false', 'Take the time from /clock.'),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(segmenter),
                launch_arguments={
                    name: LaunchConfiguration(name) for name in _FOR_SEGMENTER
                }.items(),
                condition=IfCondition(LaunchConfiguration('segmenter')),
            ),
            planner('ground', _MASKS),
            planner('labelled_cloud', [*_MASKS, *_POINTS]),
        ]
    )

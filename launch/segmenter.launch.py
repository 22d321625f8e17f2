# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera: ros2 launch hyperseg_ros segmenter.launch.py image:=/camera/image_raw."""

from launch import LaunchContext
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import OpaqueFunction
from launch.actions import SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

_FROM_FILE = '; empty: as in params_file.'


def create_node(context: LaunchContext) -> list[LifecycleNode]:
    """Create the node; only arguments that were given override the parameter file."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ('checkpoint', 'engine')}
    overrides = {name: value for name, value in given.items() if value}
    return [
        LifecycleNode(
            package='hyperseg_ros',
            executable='segmenter',
            name='segmenter',
            namespace=LaunchConfiguration('namespace'),
            parameters=[
                LaunchConfiguration('params_file'),
                {**overrides, 'use_sim_time': LaunchConfiguration('use_sim_time')},
            ],
            remappings=[
                ('image', LaunchConfiguration('image')),
                ('camera_info', LaunchConfiguration('camera_info')),
            ],
            arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
            output='screen',
        )
    ]


def generate_launch_description() -> LaunchDescription:
    default_parameters = PathJoinSubstitution(
        [FindPackageShare('hyperseg_ros'), 'config', 'segmenter.yaml']
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('image', default_value='image', description='Image topic.'),
            DeclareLaunchArgument(
                'camera_info', default_value='camera_info', description='CameraInfo topic.'
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
                'params_file', default_value=default_parameters, description='Parameter YAML.'
            ),
            DeclareLaunchArgument('namespace', default_value='', description='Namespace.'),
            DeclareLaunchArgument('log_level', default_value='info', description='Log level.'),
            DeclareLaunchArgument(
                'use_sim_time', default_value='false', description='Take the time from /clock.'
            ),
            # Fast DDS's default transport loses large messages between processes.
            SetEnvironmentVariable(
                'FASTDDS_BUILTIN_TRANSPORTS',
                EnvironmentVariable('FASTDDS_BUILTIN_TRANSPORTS', default_value='LARGE_DATA'),
            ),
            OpaqueFunction(function=create_node),
        ]
    )

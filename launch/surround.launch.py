# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras on one node and one engine, batched; topics under each camera's name."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    default_parameters = PathJoinSubstitution(
        [FindPackageShare('hyperseg_ros'), 'config', 'surround.yaml']
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'params_file',
                default_value=default_parameters,
                description='Parameter YAML; its `cameras` names the cameras.',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of the cameras.'
            ),
            DeclareLaunchArgument('log_level', default_value='info', description='Log level.'),
            # Fast DDS's default transport loses large messages between processes.
            SetEnvironmentVariable(
                'FASTDDS_BUILTIN_TRANSPORTS',
                EnvironmentVariable('FASTDDS_BUILTIN_TRANSPORTS', default_value='LARGE_DATA'),
            ),
            LifecycleNode(
                package='hyperseg_ros',
                executable='segmenter',
                name='segmenter',
                namespace=LaunchConfiguration('namespace'),
                parameters=[LaunchConfiguration('params_file')],
                arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
                output='screen',
            ),
        ]
    )

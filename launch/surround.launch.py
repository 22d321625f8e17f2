# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras on one node and one engine; topics under each camera's name."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare('hyperseg_ros')
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution([share, 'config', 'surround.yaml']),
                description='Parameter YAML; its `cameras` names the cameras.',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of the cameras.'
            ),
            DeclareLaunchArgument('log_level', default_value='info', description='Log level.'),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(
                    PathJoinSubstitution([share, 'launch', 'segmenter.launch.py'])
                ),
                launch_arguments={
                    name: LaunchConfiguration(name)
                    for name in ('params_file', 'namespace', 'log_level')
                }.items(),
            ),
        ]
    )

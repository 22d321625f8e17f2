# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node brought up, watched by a bond and taken down by Nav2's lifecycle manager."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    segmenter = PathJoinSubstitution(
        [FindPackageShare('hyperseg_ros'), 'launch', 'segmenter.launch.py']
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('image', default_value='image', description='Image topic.'),
            DeclareLaunchArgument('namespace', default_value='', description='Namespace.'),
            DeclareLaunchArgument(
                'use_sim_time', default_value='false', description='Take the time from /clock.'
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(segmenter),
                launch_arguments={
                    **{
                        name: LaunchConfiguration(name)
                        for name in ('image', 'namespace', 'use_sim_time')
                    },
                    'autostart': 'false',  # the manager does it
                    'bond': 'true',
                }.items(),
            ),
            Node(
                package='nav2_lifecycle_manager',
                executable='lifecycle_manager',
                name='lifecycle_manager_segmenter',
                namespace=LaunchConfiguration('namespace'),
                parameters=[
                    {
                        'use_sim_time': LaunchConfiguration('use_sim_time'),
                        'autostart': True,
                        'node_names': ['segmenter'],
                        'bond_timeout': 4.0,
                    }
                ],
                output='screen',
            ),
        ]
    )

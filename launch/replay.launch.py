# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag through the node, in the bag's time: ros2 launch hyperseg_ros replay.launch.py bag:=B."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import EmitEvent
from launch.actions import IncludeLaunchDescription
from launch.actions import RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare('hyperseg_ros')
    player = Node(
        package='hyperseg_ros',
        executable='bag_player',
        arguments=[LaunchConfiguration('bag'), '--clock', '--rate', LaunchConfiguration('rate')],
        output='screen',
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='Bag to play.'),
            DeclareLaunchArgument('image', description='Image topic in the bag.'),
            DeclareLaunchArgument('rate', default_value='1.0', description='Speed.'),
            DeclareLaunchArgument('checkpoint', default_value='', description='Weights.'),
            DeclareLaunchArgument('engine', default_value='', description='Engine.'),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(
                    PathJoinSubstitution([share, 'launch', 'segmenter.launch.py'])
                ),
                launch_arguments={
                    'image': LaunchConfiguration('image'),
                    'checkpoint': LaunchConfiguration('checkpoint'),
                    'engine': LaunchConfiguration('engine'),
                    'use_sim_time': 'true',
                }.items(),
            ),
            player,
            RegisterEventHandler(
                OnProcessExit(target_action=player, on_exit=[EmitEvent(event=Shutdown())])
            ),
        ]
    )

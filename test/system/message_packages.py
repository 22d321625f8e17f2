# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Message packages that are on no registry, generated and compiled against the ROS wheels.

So that they go over DDS for real where no ROS distribution is installed; in a few seconds.
"""

from collections.abc import Mapping
import ctypes
import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

from hyperseg_ros.bags.types import MORE_TYPES

VISION_MSGS = {
    name.rpartition('/')[2]: text
    for name, text in MORE_TYPES.items()
    if name.startswith('vision_msgs/')
}
"""What of vision_msgs the node publishes."""
BOND = {
    'Constants': (
        'float32 DEAD_PUBLISH_PERIOD = 0.05\nfloat32 DEFAULT_CONNECT_TIMEOUT = 10.0\n'
        'float32 DEFAULT_HEARTBEAT_TIMEOUT = 4.0\nfloat32 DEFAULT_DISCONNECT_TIMEOUT = 2.0\n'
        'float32 DEFAULT_HEARTBEAT_PERIOD = 1.0\n'
        'string DISABLE_HEARTBEAT_TIMEOUT_PARAM=/bond_disable_heartbeat_timeout\n'
    ),
    'Status': (
        'std_msgs/Header header\nstring id\nstring instance_id\nbool active\n'
        'float32 heartbeat_timeout\nfloat32 heartbeat_period\n'
    ),
}
"""Fields of bond: github.com/ros/bond_core, ros2."""
_KINDS = ('typesupport_fastrtps_c', 'typesupport_introspection_c')
_LIBRARIES = (
    'rcutils', 'rosidl_runtime_c', 'rosidl_typesupport_c', 'fastcdr',
    *(f'rosidl_{kind}' for kind in _KINDS),
    *(f'{package}__rosidl_{kind}' for package in ('std_msgs', 'builtin_interfaces')
      for kind in ('generator_c', 'generator_py', *_KINDS)),
)  # fmt: skip


def build_messages(package: str, messages: Mapping[str, str], folder: Path) -> Path:
    """Build a message package into `folder`, for the paths of Python and of libraries.

    Skips where there are no ROS wheels or no compiler.
    """
    pytest.importorskip('rosidl_adapter')
    prefix = Path(sys.prefix)
    if not (shutil.which('gcc') and shutil.which('g++')):
        pytest.skip('no gcc and g++ to compile messages with')
    if not (prefix / 'include/rosidl_runtime_c').is_dir():
        pytest.skip('the ROS packages here bring no headers')
    if not Path(sysconfig.get_path('include'), 'Python.h').is_file():
        pytest.skip('no Python.h')
    root = folder / package
    (root / 'source/msg').mkdir(parents=True)
    (root / '__init__.py').touch()
    _generate(package, messages, root)
    include = [folder, sysconfig.get_path('include'), np.get_include(), prefix / 'include']
    include += [path for path in (prefix / 'include').iterdir() if path.is_dir()]
    flags = ['-O0', '-fPIC', '-w', *(f'-I{path}' for path in include)]
    objects = []
    for source in sorted(root.rglob('*.c*')):
        if source.suffix in {'.c', '.cpp'}:
            compiler = ['gcc'] if source.suffix == '.c' else ['g++', '-std=c++17']
            objects.append(f'{source}.o')
            subprocess.run([*compiler, *flags, '-c', source, '-o', objects[-1]], check=True)
    extension = f'{package}_s__rosidl_typesupport_c{sysconfig.get_config_var("EXT_SUFFIX")}'
    kinds = [folder / f'lib{package}__rosidl_{kind}.so' for kind in _KINDS]
    for path in (root / extension, *kinds):  # all of it in each, as rcl asks for it by these names
        subprocess.run(
            ['g++', '-shared', '-o', path, f'-Wl,-soname,{path.name}', *objects,
             f'-L{prefix}/lib', *(f'-l{name}' for name in _LIBRARIES), f'-Wl,-rpath,{prefix}/lib'],
            check=True,
        )  # fmt: skip
    for path in kinds:  # this process was started without them on its path
        ctypes.CDLL(str(path))
    return folder


def _generate(package: str, messages: Mapping[str, str], root: Path) -> None:
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_generator_c.cli import GenerateC
    from rosidl_generator_py.cli import GeneratePython
    from rosidl_typesupport_c.cli import GenerateCTypesupport
    from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
    from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport

    os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)
    source = root / 'source'
    for name, text in messages.items():
        (source / 'msg' / f'{name}.msg').write_text(text)
        convert_msg_to_idl(source, package, Path('msg', f'{name}.msg'), source / 'msg')
    interfaces = [f'{source}:msg/{name}.idl' for name in messages]
    kinds = ['rosidl_typesupport_introspection_c', 'rosidl_typesupport_fastrtps_c']
    generators = (
        GenerateC('c'),
        GenerateCTypesupport('c', typesupport_implementations=kinds),
        GenerateIntrospectionCTypesupport('introspection_c'),
        GenerateFastRTPSCTypesupport('fastrtps_c'),
        GeneratePython('py', typesupport_implementations=['rosidl_typesupport_c']),
    )
    for generator in generators:
        generator.generate(package, interfaces, [str(Path(sys.prefix, 'share'))], root)

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A Ray cluster: started or joined, and its machines checked before any work is done."""

from collections.abc import Callable
import contextlib
from dataclasses import dataclass
from importlib import metadata
import logging
import os
from pathlib import Path
import re
import secrets
import shutil
import socket
import tempfile
from typing import Any
from typing import TypeVar

from hyperseg_core.errors import ConfigError
from hyperseg_ros.fleet.node_check import NodeQuestions
from hyperseg_ros.fleet.node_check import NodeReport
from hyperseg_ros.fleet.node_check import report_node
from hyperseg_ros.fleet.ray_library import import_ray
from hyperseg_ros.fleet.ray_library import told
from hyperseg_ros.fleet.signals import signals_held

_STORE_BYTES = 80 << 20
"""Ray's least: bags do not pass through its object store."""
_CHECK_S = 120.0
_REACH_S = 10.0
_LOOPBACK = 'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER'
"""If 0, Ray uses and offers nothing but 127.0.0.1; read when Ray is imported."""
_PREFIX = 'hs-ray-'
_Answer = TypeVar('_Answer')


@dataclass(frozen=True, slots=True)
class Resources:
    """What one task takes of its machine."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int = 0

    def options(self) -> dict[str, Any]:
        """Return Ray's options of a task."""
        found: dict[str, Any] = {'num_cpus': self.cpus}
        if self.gpus:
            found['num_gpus'] = self.gpus
        if self.memory_bytes:
            found['memory'] = self.memory_bytes
        return found


class Cluster:
    """A Ray cluster, from `with` to its end."""

    def __init__(self, address: str | None, num_workers: int | None, resources: Resources) -> None:
        """Choose a cluster.

        Args:
            address: Of a running one (`auto`, `HOST:PORT`, `ray://HOST:PORT`); None starts one on
                this machine that ends with us.
            num_workers: At most so many tasks run at once; None: as many as fit.
            resources: What one takes.
        """
        self._address, self._wanted, self.resources = address, num_workers, resources
        self._folder = ''

    def __enter__(self) -> 'Cluster':
        """Start or join it.

        Raises:
            ConfigError: If that fails, or no task fits on it.
        """
        if self._address is None:
            os.environ |= _private_to_us()
        else:
            _check_reachable(self._address)
        ray = import_ray()
        options: dict[str, Any] = {
            'logging_level': logging.ERROR, 'log_to_driver': False, 'configure_logging': True,
        }  # fmt: skip
        if self._address is None:
            self._folder = _session_folder()
            options |= {
                'address': 'local', 'include_dashboard': False, '_temp_dir': self._folder,
                'num_cpus': self._local_cpus(), 'object_store_memory': _STORE_BYTES,
            }  # fmt: skip
        else:
            options['address'] = self._address
        try:
            with signals_held():  # interrupted, Ray takes the process down
                ray.init(**options)
        except BaseException as error:  # Ray's own, RuntimeError for another version, Ctrl-C
            self.__exit__()
            if isinstance(error, SystemExit):  # what Ray makes of SIGTERM while it starts
                raise KeyboardInterrupt from error
            if not isinstance(error, Exception):
                raise
            place = 'A local Ray cluster' if self._address is None else f'{self._address!r}'
            verb = 'could not be started' if self._address is None else 'cannot be joined'
            msg = f'{place} {verb}: {" ".join(str(error).split())}'
            if self._address is not None and 'RAY_AUTH_MODE' not in os.environ:
                msg += '. A cluster that asks for a token is joined with RAY_AUTH_MODE=token.'
            raise ConfigError(msg) from error
        if not self.capacity():
            total = ray.cluster_resources()
            found = {name: total.get(name, 0.0) for name in ('CPU', 'GPU', 'memory')}
            self.__exit__()
            msg = (
                f'No task fits on the cluster: one asks for {self.resources.options()}, but there '
                f'is {found}. Ask for less: --cpus, --gpus, --memory-gb.'
            )
            raise ConfigError(msg)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it; one that was started here ends, with all its processes."""
        with signals_held():
            with contextlib.suppress(Exception):
                import_ray().shutdown()
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = ''

    def _local_cpus(self) -> float:
        if self._wanted is None:
            return float(len(os.sched_getaffinity(0)))
        return self.resources.cpus * self._wanted

    def capacity(self) -> int:
        """Return how many tasks run at once: clusters grow and shrink."""
        total = import_ray().cluster_resources()
        asked = {'CPU': self.resources.cpus, 'GPU': self.resources.gpus}
        asked['memory'] = self.resources.memory_bytes
        fits = min(
            (int(total.get(name, 0.0) / amount) for name, amount in asked.items() if amount),
            default=1,
        )
        return fits if self._wanted is None else min(fits, self._wanted)

    def each_node(self, function: Callable[..., _Answer], *arguments: Any) -> dict[str, _Answer]:
        """Run something once on every machine; returns the answers by the machines' names.

        Raises:
            ConfigError: If a machine does not answer, or lacks this package.
        """
        ray = import_ray()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = ray.remote(max_retries=0, num_cpus=0)(function)
        asked = {}
        for node in ray.nodes():
            if node['Alive']:
                strategy = NodeAffinitySchedulingStrategy(node['NodeID'], soft=False)
                name = f'{node["NodeManagerHostname"]} ({node["NodeManagerAddress"]})'
                asked[name] = remote.options(scheduling_strategy=strategy).remote(*arguments)
        answers = {}
        for name, reference in asked.items():
            try:
                answers[name] = ray.get(reference, timeout=_CHECK_S)
            except Exception as error:  # a missing package, a machine that is gone, a time-out
                msg = f'{name} cannot work for us: {told(error)}'
                if 'No module named' in msg:
                    version = metadata.version('hyperseg_ros')
                    msg += f". There: `pip install 'hyperseg_ros[fleet]=={version}'`."
                raise ConfigError(msg) from error
        return answers

    def check(self, asked: NodeQuestions, digest: str) -> None:
        """Check that every machine has our Python and package, the checkpoint, and the storage.

        Args:
            asked: What each machine must be able to use.
            digest: Of the checkpoint that is meant.

        Raises:
            ConfigError: If one does not: its name, and what differs.
        """
        ours = report_node(NodeQuestions())
        for name, found in self.each_node(report_node, asked).items():
            trouble = _difference(ours, found, digest)
            if trouble:
                msg = f'{name} {trouble}'
                raise ConfigError(msg)


def _private_to_us() -> dict[str, str]:
    """Return what keeps a local Ray to this user: it runs whatever its ports are sent.

    Without these it listens on every interface, and asks nobody who they are.
    """
    return {
        _LOOPBACK: '0', 'RAY_AUTH_MODE': 'token', 'RAY_AUTH_TOKEN': secrets.token_hex(32),
    }  # fmt: skip


def _check_reachable(address: str) -> None:
    """Check that somebody listens at an address: Ray itself would try for minutes.

    Raises:
        ConfigError: If nobody does.
    """
    found = re.fullmatch(r'(?:ray://)?(.+):(\d{1,5})', address)
    if found is None:  # `auto`, which Ray looks up
        return
    try:
        socket.create_connection((found[1], int(found[2])), _REACH_S).close()
    except (OSError, OverflowError) as error:
        msg = f'{address!r} cannot be joined: {error}. Start a cluster: `ray start --head`.'
        raise ConfigError(msg) from error


def _session_folder() -> str:
    """Return a new folder for Ray's sockets and logs; what killed runs have left is removed.

    Its path is short: that of a socket may have some hundred bytes.
    """
    place = Path(tempfile.gettempdir())
    for folder in place.glob(f'{_PREFIX}*-*'):
        pid = folder.name.removeprefix(_PREFIX).partition('-')[0]
        if pid.isdecimal() and not Path('/proc', pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f'{_PREFIX}{os.getpid()}-')


def _difference(ours: NodeReport, found: NodeReport, digest: str) -> str:
    if found.python != ours.python:
        return f'runs Python {found.python}, but {ours.python} is run here; they must be the same.'
    if found.package != ours.package:
        return (
            f'has hyperseg_ros {found.package}, but {ours.package} is run here: '
            f"`pip install 'hyperseg_ros[fleet]=={ours.package}'` there."
        )
    if found.trouble:
        return f'cannot work for us: {found.trouble}'
    if found.digest != digest:
        return 'has another checkpoint of that name; copy the one that is meant there.'
    return ''

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing reaches the network but DDS: connections and name look-ups of our processes, traced."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from hyperseg_core.drive import DriveScene

# Stands before libc's functions, in C libraries, too, and writes down what they were asked for.
TRACER = r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void note(const char *what, const char *which) {
    const char *path = getenv("TRACE_FILE");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    fprintf(file, "%s %s\n", what, which);
    fclose(file);
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    if (text[0]) note("connect", text);
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    return real(fd, address, length);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
    if (node) note("lookup", node);
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, result);
}

struct hostent *gethostbyname(const char *name) {
    note("lookup", name);
    struct hostent *(*real)(const char *) = dlsym(RTLD_NEXT, "gethostbyname");
    return real(name);
}
"""
_WATCH_S = 30.0
"""ONNX Runtime looked its host up some 20 s after it was imported."""


@pytest.fixture(scope='module')
def tracer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which('cc') or shutil.which('gcc')
    if compiler is None:
        pytest.skip('no C compiler to build the tracer with')
    folder = tmp_path_factory.mktemp('tracer')
    (folder / 'tracer.c').write_text(TRACER)
    library = folder / 'tracer.so'
    command = [compiler, '-shared', '-fPIC', '-o', library, folder / 'tracer.c', '-ldl']
    subprocess.run(command, check=True)
    return library


def _traced(tracer: Path, trace: Path) -> dict[str, str]:
    source = str(Path(__file__).parents[2])
    traced = {'LD_PRELOAD': str(tracer), 'TRACE_FILE': str(trace), 'PYTHONPATH': source}
    return {**os.environ, **traced}


def _foreign(trace: Path) -> list[str]:
    """Return what was asked for outside of this machine."""
    lines = trace.read_text().splitlines() if trace.exists() else []
    return [line for line in lines if line.split()[1] not in {'127.0.0.1', '::1', 'localhost'}]


def test_tracer_sees_look_ups(tracer: Path, tmp_path: Path) -> None:
    code = 'import socket\ntry: socket.getaddrinfo("nowhere.invalid", 80)\nexcept OSError: pass'
    trace = tmp_path / 'trace'
    subprocess.run([sys.executable, '-c', code], env=_traced(tracer, trace), check=True)
    assert _foreign(trace) == ['lookup nowhere.invalid']


@pytest.mark.slow
@pytest.mark.parametrize('engine', ['openvino', 'onnxruntime'])
def test_segmenting_asks_nobody(
    engine: str, tracer: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    """What predict and bag label do, and then long enough for what libraries do later."""
    pytest.importorskip(engine)
    frame = DriveScene(1, height=96, width=128).frame(1.0).image
    assert cv2.imwrite(str(tmp_path / 'a.png'), np.ascontiguousarray(frame[..., ::-1]))
    code = f"""
import sys, time
from pathlib import Path
start = time.monotonic()
from hyperseg_core.commands.predict import predict_command
from hyperseg_ros.bags.label import bag_label_command
from hyperseg_ros.bags.make import bag_make_command
folder, weights = Path(sys.argv[1]), sys.argv[2]
assert predict_command(
    str(folder / 'a.png'), folder / 'out', checkpoint=weights, engine={engine!r}) == 0
bag_make_command(folder / 'bag', drive=0.1, size=(96, 128))
assert bag_label_command(
    folder / 'bag', folder / 'labelled', checkpoint=weights, engine={engine!r}) == 0
time.sleep(max(0, {_WATCH_S} - (time.monotonic() - start)))
"""
    trace = tmp_path / 'trace'
    command = [sys.executable, '-c', code, str(tmp_path), str(small_checkpoint)]
    subprocess.run(command, env=_traced(tracer, trace), check=True, timeout=200)
    assert _foreign(trace) == []


@pytest.mark.slow
def test_the_node_asks_nobody_but_dds(
    tracer: Path, small_checkpoint: Path, tmp_path: Path
) -> None:
    pytest.importorskip('rclpy')
    from node_client import Client
    from node_client import node_process
    from sensor_msgs.msg import Image

    from hyperseg_ros.messages.encoding import fill_image

    trace, client = tmp_path / 'trace', Client()
    try:
        mask, frames = client.listen('/segmenter/mask'), client.publisher('/image')
        message = fill_image(Image(), np.zeros((96, 128, 3), np.uint8), 'rgb8')
        start_s = time.monotonic()
        variables = _traced(tracer, trace)
        options = ('-p', 'engine:=openvino')
        with node_process(small_checkpoint, tmp_path / 'log', *options, variables=variables):
            assert client.wait(lambda: bool(frames.publish(message) or mask), 60)
            client.spin(max(0.0, _WATCH_S - (time.monotonic() - start_s)))
    finally:
        client.close()
    own = {line.split()[1] for line in _foreign(trace) if line.startswith('connect')}
    assert not [line for line in _foreign(trace) if line.startswith('lookup')]
    # Fast DDS finds this machine's own addresses by connecting a datagram socket to itself.
    assert own <= _own_addresses()


def _own_addresses() -> set[str]:
    import socket

    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    listing = subprocess.run(['hostname', '-I'], capture_output=True, text=True, check=False)
    return {str(address) for address in found} | set(listing.stdout.split())

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged files for the fuzz tests: the same for the same seed.

`python test/core/fuzzing.py 5000` runs the long version by hand: so many files of each kind.
"""

from collections.abc import Callable
from collections.abc import Iterator
import json
from pathlib import Path
import resource
import struct
import sys
import tempfile
from typing import Any
import zlib

import cv2
import numpy as np

from hyperseg_core import load_checkpoint
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.data.pairs import read_ids
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.errors import HyperSegError
from hyperseg_core.frames.images import read_rgb
from hyperseg_core.labels import load_labels

Mutation = Callable[[bytes, np.random.Generator], bytes]
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFF)


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        changed[int(rng.integers(len(changed)))] ^= int(rng.integers(1, 256))
    return bytes(changed)


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))]


def _drop(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(data)))
    return data[:start] + data[start + int(rng.integers(1, 64)) :]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(data)))
    piece = data[start : start + int(rng.integers(1, 256))]
    return data[:start] + piece * int(rng.integers(1, 20)) + data[start:]


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    """Put a telling number of 4 bytes somewhere near the beginning, where sizes stand."""
    changed = bytearray(data)
    place = int(rng.integers(min(len(changed) - 4, 600)))
    order = '<I' if rng.integers(2) else '>I'
    changed[place : place + 4] = struct.pack(order, int(rng.choice(NUMBERS)))
    return bytes(changed)


MUTATIONS: tuple[Mutation, ...] = (_flip, _cut, _drop, _repeat, _number)


def damaged(seeds: list[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield so many damaged copies, one to three mutations each."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        data = seeds[int(rng.integers(len(seeds)))]
        for _ in range(int(rng.integers(1, 4))):
            if len(data) > 8:
                data = MUTATIONS[int(rng.integers(len(MUTATIONS)))](data, rng)
        yield data


def pictures() -> list[bytes]:
    """Return small pictures of every kind that is read."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (24, 40, 3), np.uint8), (5, 5), 2)
    found = []
    for ending in ('.png', '.jpg', '.tiff', '.bmp', '.webp', '.ppm'):
        found.append(cv2.imencode(ending, image)[1].tobytes())
    progressive = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))[1]
    found.append(progressive.tobytes())
    found.append(cv2.imencode('.png', rng.integers(0, 12, (24, 40), np.uint8))[1].tobytes())
    found.append(_claiming_png(50_000, 50_000))
    found.append(_claiming_png(16_000, 4_000))
    return found


def _claiming_png(height: int, width: int) -> bytes:
    """Return a small PNG that says it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(1000))
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + chunk(b'IDAT', packed)
        + chunk(b'IEND', b'')
    )


LABELS = b"""name: mine
classes:
  - {name: road, colour: [128, 64, 128], source: [0, 7]}
  - {name: car, colour: [0, 0, 142], source: [[0, 0, 142], 3]}
groups: {drivable: [road], vulnerable: [], obstacle: [car]}
unions:
  - {classes: [road, car], source: 9}
"""
DATA = b"""labels: labels.yaml
aspect: 2.0
ignored: [5, [1, 2, 3]]
splits:
  train: {images: 'a/*.png', labels: 'b/{stem}.png'}
"""


def signed(raw: bytes) -> bytes:
    """Sign a damaged checkpoint anew where its parts can still be told apart.

    Otherwise nothing behind the digest would ever be reached.
    """
    from safetensors.numpy import load
    from safetensors.numpy import save

    from hyperseg_core.checkpoint_file import digest

    try:
        (length,) = struct.unpack_from('<Q', raw)
        header = json.loads(raw[8 : 8 + length])
        metadata = {str(k): str(v) for k, v in header.pop('__metadata__').items()}
        state = load(raw)
        metadata['digest'] = digest(state, metadata)
        return save(state, metadata)
    except Exception:
        return raw


HOSTILE_VALUES = (
    None, True, -1, 0, 1, 7, 10**9, 10**30, -(10**30), 1e308, 0.0, -0.5, '', 'x', 'x' * 5000,
    '../../etc', 'hf-hub:a/b', [], [0], [-1] * 40, [1e9], {}, {'a': {}}, [[[[[[]]]]]],
)  # fmt: skip


def hostile_header(raw: bytes, rng: np.random.Generator) -> bytes:
    """Put a value that cannot be meant somewhere into a checkpoint's header."""
    (length,) = struct.unpack_from('<Q', raw)
    header = json.loads(raw[8 : 8 + length])
    metadata = header['__metadata__']
    part = str(rng.choice(['model', 'labels', 'preprocessing', 'provenance', 'scores']))
    found = json.loads(metadata[part])
    place, key = _somewhere({part: found}, rng)
    place[key] = HOSTILE_VALUES[int(rng.integers(len(HOSTILE_VALUES)))]
    metadata[part] = json.dumps(found)
    packed = json.dumps(header).encode()
    packed += b' ' * (-len(packed) % 8)
    return struct.pack('<Q', len(packed)) + packed + raw[8 + length :]


def _somewhere(data: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Return a random place in nested data: the container, and the key or index in it."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = keys[int(rng.integers(len(keys)))]
    inner = data[key]
    goes_on = isinstance(inner, dict | list) and len(inner) > 0
    if goes_on and (rng.random() < 0.8 or len(data) == 1):
        return _somewhere(inner, rng)
    return data, key


def damaged_checkpoints(raw: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Yield copies of a checkpoint, half with hostile headers and half with damaged bytes."""
    rng = np.random.default_rng(seed)
    others = damaged([raw], count, seed)
    for index in range(count):
        yield hostile_header(raw, rng) if index % 2 else next(others)


def try_picture(data: bytes, folder: Path) -> None:
    """Read a picture as an image and as ids."""
    path = folder / 'x.png'
    path.write_bytes(data)
    read_rgb(path)
    read_ids(path)


def try_yaml(data: bytes, folder: Path) -> None:
    """Read a file as a label set, and as a data set beside a good one."""
    (folder / 'labels.yaml').write_bytes(LABELS)
    (folder / 'x.yaml').write_bytes(data)
    try:
        load_labels(folder / 'x.yaml')
    except HyperSegError:
        pass
    open_data(SourceConfig(kind='folder', root=str(folder / 'x.yaml')))


def try_checkpoint(data: bytes, folder: Path) -> None:
    """Load a checkpoint and assemble its graph."""
    path = folder / 'x.safetensors'
    path.write_bytes(signed(data))
    checkpoint = load_checkpoint(path)
    build_graph(checkpoint, checkpoint.config.size)


def escapes(
    attempt: Callable[[bytes, Path], None], files: Iterator[bytes], folder: Path
) -> list[tuple[bytes, BaseException]]:
    """Return the files that raised anything but our own errors, and what."""
    found: list[tuple[bytes, BaseException]] = []
    for data in files:
        try:
            attempt(data, folder)
        except (HyperSegError, FileNotFoundError) as error:
            if len(str(error)) > 2000:
                found.append((data, error))
        except Exception as error:  # what we look for
            found.append((data, error))
    return found


def peak_mib() -> float:
    """Return the most memory that this process has had [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run the long version."""
    count = int(sys.argv[1])
    kinds: dict[str, tuple[Callable[[bytes, Path], None], Iterator[bytes]]] = {
        'pictures': (try_picture, damaged(pictures(), count, seed=1)),
        'yaml': (try_yaml, damaged([LABELS, DATA], count, seed=1)),
    }
    if len(sys.argv) > 2:
        raw = Path(sys.argv[2]).read_bytes()
        kinds['checkpoints'] = (try_checkpoint, damaged_checkpoints(raw, count, seed=1))
    for name, (attempt, files) in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            found = escapes(attempt, files, Path(folder))
        print(f'{name}: {count} files, {len(found)} escapes, peak {peak_mib():.0f} MiB')
        for data, error in found[:10]:
            print(f'  {type(error).__name__}: {str(error)[:200]} ({len(data)} bytes)')


if __name__ == '__main__':
    main()

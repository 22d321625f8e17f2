# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What half precision costs: the graph that TensorRT is given in float16, against float32.

ONNX Runtime runs both on the CPU, float16 maps rounded after every operator, so no GPU is needed
to know how many pixels change their class, whether any has no probability, and the mean IoU.
"""

import argparse
import json
from typing import Any

import numpy as np

from hyperseg_core import Checkpoint
from hyperseg_core import load_checkpoint
from hyperseg_core.data.catalogue import SourceConfig
from hyperseg_core.data.catalogue import open_data
from hyperseg_core.deploy.forms import Precision
from hyperseg_core.deploy.graph import build_graph
from hyperseg_core.inference.engines.onnxruntime import import_onnxruntime
from hyperseg_core.metrics import Scores
from hyperseg_core.metrics import confusion_matrix
from hyperseg_core.preprocessing import network_size
from hyperseg_core.preprocessing import resize_frame


class Network:
    """One checkpoint in one precision at one size of frames, on ONNX Runtime."""

    def __init__(
        self, checkpoint: Checkpoint, frame_size: tuple[int, int], precision: Precision
    ) -> None:
        """Write and load the graph."""
        self._size = network_size(frame_size, checkpoint.config)
        graph = build_graph(
            checkpoint, self._size, output_size=frame_size, form='tensorrt', precision=precision
        )
        self._session = import_onnxruntime().InferenceSession(
            graph.SerializeToString(), providers=['CPUExecutionProvider']
        )

    def __call__(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Segment a frame: ids and confidence at its own size."""
        frames = np.ascontiguousarray(resize_frame(frame, self._size)[None])
        ids, confidence = self._session.run(None, {'frames': frames})
        return ids[0], confidence[0]


def compare(name: str, source: Any, count: int) -> dict[str, Any]:
    """Run a checkpoint in both precisions over labelled images."""
    checkpoint = load_checkpoint(name)
    num_labels = len(checkpoint.label_set)
    networks: dict[Any, tuple[Network, Network]] = {}
    matrices = np.zeros((2, num_labels, num_labels + 1), np.int64)
    agreements, undefined = [], 0
    for index in range(count):
        image, truth = source.load(index)
        size = image.shape[:2]
        if size not in networks:
            networks[size] = (Network(checkpoint, size, 'f32'), Network(checkpoint, size, 'f16'))
        (exact, _), (half, confidence) = (network(image) for network in networks[size])
        agreements.append(float((exact == half).mean()))
        undefined += int((confidence == 0).sum())
        for matrix, ids in zip(matrices, (exact, half), strict=True):
            matrix += confusion_matrix(truth, ids, num_labels)
    f32, f16 = (Scores.from_confusion(matrix).mean_iou for matrix in matrices)
    return {
        'checkpoint': name, 'images': count, 'agreement': float(np.mean(agreements)),
        'least_agreement': min(agreements), 'undefined': undefined, 'mean_iou_f32': f32,
        'mean_iou_f16': f16,
    }  # fmt: skip


def main() -> None:
    """Print a line of JSON for each checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', default='drive')
    parser.add_argument('--root')
    parser.add_argument('--split', default='test')
    parser.add_argument('--limit', type=int)
    parser.add_argument('--checkpoints', nargs='+', default=['default', 'fast'])
    options = parser.parse_args()
    source = open_data(SourceConfig(kind=options.data, split=options.split, root=options.root))
    count = min(options.limit or len(source), len(source))
    for name in options.checkpoints:
        print(json.dumps(compare(name, source, count)), flush=True)


if __name__ == '__main__':
    main()

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pooled features of frames, computed on the CPU by whichever engine that runs graphs is there."""

import numpy as np
from numpy.typing import NDArray

from hyperseg_core.checkpoint import Checkpoint
from hyperseg_core.deploy.pooled_features import build_feature_graph
from hyperseg_core.errors import EngineError
from hyperseg_core.inference.engine import CPU_ENGINES
from hyperseg_core.inference.engine import EngineSpec
from hyperseg_core.inference.engine import NoFiles
from hyperseg_core.inference.engine import is_installed
from hyperseg_core.inference.engines import graph_engine
from hyperseg_core.preprocessing import resize_frame


class FeatureExtractor:
    """Says what frames are like: backbone's last features, averaged over the image."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Build the engine, at the size that the network was trained at.

        Raises:
            EngineError: If no engine that runs graphs is installed.
        """
        names = [name for name in CPU_ENGINES if name != 'torch' and is_installed(name)]
        if not names:
            msg = 'Features of frames need an engine for graphs: `pip install openvino`.'
            raise EngineError(msg)
        self._size = checkpoint.config.size
        graph = build_feature_graph(checkpoint, self._size)
        content = graph.SerializeToString(deterministic=True)
        spec = EngineSpec(names[0], 'cpu', 'f32')
        self._engine = graph_engine(spec.name)(content, spec, NoFiles())

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features (C,) of a frame (H, W, 3) uint8, RGB, of any size."""
        mean, _ = self._engine.run(resize_frame(frame, self._size)[None])
        return np.asarray(mean[0], np.float32)

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()

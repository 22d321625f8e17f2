# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses that a recipe can be made of."""

from torch import Tensor
from torch.nn import functional

from hyperseg_core.labels import IGNORE_ID


def bootstrapped_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.3,
    min_pixels: int = 4096,
    class_weights: Tensor | None = None,
    unions: Tensor | None = None,
) -> Tensor:
    """Cross-entropy over the pixels that are still hard, without loop or full sort.

    As in the published recipes (docs/published-differences.md: training).

    Per image: the mean of the pixel losses above `threshold` or, where fewer than `min_pixels`
    are, of the `min_pixels` largest. Ignored pixels have loss 0.

    Args:
        logits: (B, N, H, W).
        labels: (B, H, W) int64, 255 = ignored.
        threshold: Loss above which a pixel is hard.
        min_pixels: Least number of pixels that count.
        class_weights: Factors of the pixel losses by true class, (N).
        unions: Which classes each label after the classes' stands for, (K, N) bool.

    Returns:
        Mean over the images, a scalar.
    """
    losses = pixel_losses(logits, labels, class_weights, unions).flatten(1)
    is_hard = losses > threshold
    count = is_hard.sum(1)
    min_pixels = min(min_pixels, losses.shape[1])
    means = (losses * is_hard).sum(1) / count.clamp(min=1)
    few = count < min_pixels
    if bool(few.any()):
        largest = losses[few].topk(min_pixels, dim=1, sorted=False).values.mean(1)
        means = means.masked_scatter(few, largest)
    return means.mean()


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weights: Tensor | None = None,
    unions: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy over the pixels that are not ignored; 0 where all are."""
    losses = pixel_losses(logits, labels, class_weights, unions)
    return losses.sum() / (labels != IGNORE_ID).sum().clamp(min=1)


def pixel_losses(
    logits: Tensor, labels: Tensor, class_weights: Tensor | None, unions: Tensor | None
) -> Tensor:
    """Return the cross-entropy of each pixel, (B, H, W); 0 where it is ignored.

    A pixel that is only known to be of one of some classes counts by the sum of their
    probabilities.

    Args:
        logits: (B, N, H, W).
        labels: (B, H, W) int64; N + k for union k, 255 = ignored.
        class_weights: Factors by true class, (N).
        unions: Classes of each union, (K, N) bool; None: there are none.
    """
    num_classes = logits.shape[1]
    is_union = (labels >= num_classes) & (labels != IGNORE_ID)
    # Planar, because log_softmax over the channels of a channels-last map is five times slower.
    losses = functional.cross_entropy(
        logits.contiguous(), labels.masked_fill(is_union, IGNORE_ID), weight=class_weights,
        ignore_index=IGNORE_ID, reduction='none',
    )  # fmt: skip
    if unions is None or not bool(is_union.any()):
        return losses
    losses = losses.clone()
    for index, members in enumerate(unions):
        chosen = labels == num_classes + index
        logits_PN = logits.permute(0, 2, 3, 1)[chosen]
        losses[chosen] = logits_PN.logsumexp(1) - logits_PN[:, members].logsumexp(1)
    return losses


def soft_jaccard(logits: Tensor, labels: Tensor, *, stride: int = 4) -> Tensor:
    """1 - mean over the classes present of a differentiable intersection over union.

    Args:
        logits: (B, N, H, W).
        labels: (B, H, W) int64; those that are no class are left out.
        stride: Every how many rows and columns are looked at.
    """
    probabilities = logits[..., ::stride, ::stride].float().softmax(1)
    coarse = labels[:, ::stride, ::stride]
    is_known = (coarse < logits.shape[1])[:, None]
    truth = functional.one_hot(coarse.clamp(max=logits.shape[1] - 1), logits.shape[1])
    truth_BNHW = truth.permute(0, 3, 1, 2) * is_known
    probabilities = probabilities * is_known
    intersection = (probabilities * truth_BNHW).sum((0, 2, 3))
    union = (probabilities + truth_BNHW).sum((0, 2, 3)) - intersection
    is_present = truth_BNHW.sum((0, 2, 3)) > 0
    iou = intersection[is_present] / union[is_present]
    return 1 - iou.mean() if bool(is_present.any()) else logits.sum() * 0

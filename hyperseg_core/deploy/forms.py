# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forms: the same network written in the operators that one engine is good at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FloatType = Literal['float32', 'float16']
Precision = Literal['f32', 'f16']
PatchWay = Literal['lines', 'transposes']
FormName = Literal['openvino', 'onnxruntime', 'tensorrt']


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """How the graph is written where there is a choice."""

    inverted_residual: Literal['convolutions', 'products']
    """How the decoder's inverted residual is written. `convolutions`: patches side by side as
    channels, three grouped convolutions with computed kernels. `products`: matrix products and
    nine shifted ones for the depthwise step, for engines without computed kernels."""
    patches: PatchWay
    """How maps are cut into patches: `lines` gathers the patches' lines, each of which lies in one
    piece where channels are innermost, `transposes` permutes axes."""
    bands: int
    """Bands of lines that classes are compared in. Fewer take memory for their maps, more for
    their code, and a cache holds less of them."""
    numbers_at_once: int = 1_500_000
    """Numbers of a map of patches side by side in `convolutions`, at most: more fall out of a
    cache."""
    float_type: FloatType = 'float32'
    """Type of all that is computed between the normalised pixels and the logits."""


FORMS: Mapping[FormName, Form] = {
    'openvino': Form(inverted_residual='convolutions', patches='lines', bands=3),
    'onnxruntime': Form(inverted_residual='convolutions', patches='transposes', bands=1),
    'tensorrt': Form(inverted_residual='products', patches='transposes', bands=1),
}
"""The form of each engine, by the name that `hyperseg export --form` takes."""

FLOAT_TYPES: Mapping[Precision, FloatType] = {'f32': 'float32', 'f16': 'float16'}
"""The type that a graph of a precision computes in."""

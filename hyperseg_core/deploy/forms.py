# Copyright 2026 The hyperseg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forms: the same network written in the operators that one engine is good at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FloatType = Literal['float32', 'float16']
Precision = Literal['f32', 'f16']
FormName = Literal['openvino', 'onnxruntime', 'tensorrt']


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """How the graph is written where there is a choice."""

    depthwise: Literal['grouped', 'shifted']
    """The dynamic depthwise step. `grouped`: one grouped convolution with a computed kernel, the
    fastest on CPUs. `shifted`: nine shifted products, for engines without computed kernels."""
    comparison: Literal['planes', 'reductions']
    """How the largest logit is found, and what the refinement is laid out for. `planes`: class by
    class, a chain that engines fuse. `reductions`: over all classes at once, where they do not."""
    bands: int
    """Bands of lines that classes are compared in. Fewer take memory for their maps, more for
    their code, and a cache holds less of them."""
    float_type: FloatType = 'float32'
    """Type of all that is computed between the normalised pixels and the logits."""


FORMS: Mapping[FormName, Form] = {
    'openvino': Form(depthwise='grouped', comparison='planes', bands=3),
    # Its Where is slow.
    'onnxruntime': Form(depthwise='grouped', comparison='reductions', bands=1),
    'tensorrt': Form(depthwise='shifted', comparison='planes', bands=1),
}
"""The form of each engine, by the name that `hyperseg export --form` takes."""

FLOAT_TYPES: Mapping[Precision, FloatType] = {'f32': 'float32', 'f16': 'float16'}
"""The type that a graph of a precision computes in."""

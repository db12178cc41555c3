"""Two convolutions with one-sided padding, each exported as exactly one ONNX node.

torch pads both sides alike or in a separate operation, and its exporters turn the latter into a
chain of shape arithmetic. Registering the operation with its ONNX form keeps the graphs small and
their padding visible. Inputs are [1, C, T], or [1, C, 1, T]: the two-dimensional form of the same
convolution, for which ONNX Runtime has blocked kernels (1.5x on one thread here).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.onnx import symbolic_helper, utils

__all__ = ["OPSET", "convolve", "upsample"]

OPSET = 17

_LIBRARY = torch.library.Library("sambert_trt", "FRAGMENT")


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: tuple[int, int],
    *,
    dilation: int = 1,
    stride: int = 1,
    groups: int = 1,
) -> Tensor:
    """A convolution over time with `padding` zeros (left, right)."""
    left, right = padding
    out: Tensor = torch.ops.sambert_trt.convolve(
        x, weight, bias, left, right, dilation, stride, groups
    )
    return out


def upsample(x: Tensor, weight: Tensor, bias: Tensor, stride: int, crop: int) -> Tensor:
    """A transposed convolution: `crop` samples dropped at the start, T * stride kept."""
    out: Tensor = torch.ops.sambert_trt.upsample(x, weight, bias, stride, crop)
    return out


def _convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    left: int,
    right: int,
    dilation: int,
    stride: int,
    groups: int,
) -> Tensor:
    padded = F.pad(x, (left, right)) if left or right else x
    if x.dim() == 4:
        return F.conv2d(padded, weight, bias, (1, stride), 0, (1, dilation), groups)
    return F.conv1d(padded, weight, bias, stride, 0, dilation, groups)


def _upsample(x: Tensor, weight: Tensor, bias: Tensor, stride: int, crop: int) -> Tensor:
    length = x.shape[-1] * stride
    if x.dim() == 4:
        y = F.conv_transpose2d(x, weight, bias, (1, stride))
    else:
        y = F.conv_transpose1d(x, weight, bias, stride)
    return y[..., crop : crop + length].contiguous()


@symbolic_helper.parse_args("v", "v", "v", "i", "i", "i", "i", "i")
def _convolve_node(
    graph: Any,
    x: Any,
    weight: Any,
    bias: Any,
    left: int,
    right: int,
    dilation: int,
    stride: int,
    groups: int,
) -> Any:
    sizes = weight.type().sizes()
    flat = len(sizes) == 4
    inputs = [x, weight] if symbolic_helper._is_none(bias) else [x, weight, bias]
    return graph.op(
        "Conv",
        *inputs,
        pads_i=[0, left, 0, right] if flat else [left, right],
        dilations_i=[1, dilation] if flat else [dilation],
        strides_i=[1, stride] if flat else [stride],
        group_i=groups,
        kernel_shape_i=list(sizes[2:]),
    )


@symbolic_helper.parse_args("v", "v", "v", "i", "i")
def _upsample_node(graph: Any, x: Any, weight: Any, bias: Any, stride: int, crop: int) -> Any:
    sizes = weight.type().sizes()
    flat = len(sizes) == 4
    end = sizes[-1] - stride - crop
    return graph.op(
        "ConvTranspose",
        x,
        weight,
        bias,
        pads_i=[0, crop, 0, end] if flat else [crop, end],
        strides_i=[1, stride] if flat else [stride],
        kernel_shape_i=list(sizes[2:]),
    )


_LIBRARY.define(
    "convolve(Tensor x, Tensor weight, Tensor? bias, int left, int right, int dilation, "
    "int stride, int groups) -> Tensor"
)
_LIBRARY.define("upsample(Tensor x, Tensor weight, Tensor bias, int stride, int crop) -> Tensor")
_LIBRARY.impl("convolve", _convolve, "CompositeImplicitAutograd")
_LIBRARY.impl("upsample", _upsample, "CompositeImplicitAutograd")
utils.register_custom_op_symbolic("sambert_trt::convolve", _convolve_node, OPSET)
utils.register_custom_op_symbolic("sambert_trt::upsample", _upsample_node, OPSET)

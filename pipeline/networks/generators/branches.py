"""Re-parameterised convolutions: trained as several branches, used as one 3 × 3 convolution.

Ding et al. 2021, "RepVGG: Making VGG-style ConvNets Great Again"; the branches are those of SPAN
(Wan et al. 2024, "Swift Parameter-free Attention Network for Efficient Super-Resolution").
"""

from collections.abc import MutableMapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.generators.base import conv3x3, draws_weights, init_kaiming

EXPANSION = 2
"""channels within the branch of three convolutions, in multiples of those outside"""
FOLDED = "eval_conv"
"""the name that the folded convolution has in a file"""


class BranchedConv(nn.Module):
    """A 3 × 3 convolution whose kernel is the sum of two branches, `sk` and `conv`.

    `sk` is a 1 × 1 convolution, `conv` one of 1 × 1 to twice the channels, one of 3 × 3 and one of
    1 × 1. Nothing nonlinear is between them, so that their kernels are multiplied and one
    convolution is computed, in training too: the gradients of the branches are the same, for a
    fraction of the time and memory of the wider layers.

    The state holds that kernel as `eval_conv`, too, because the public code expects it there. It is
    computed from the branches; what is loaded of it has no effect.

    `gain`: standard deviation of the first results in multiples of the input's.
    """

    def __init__(self, channels_in: int, channels_out: int, gain: float = 1.0) -> None:
        super().__init__()
        wide_in, wide_out = EXPANSION * channels_in, EXPANSION * channels_out
        self.sk = nn.Conv2d(channels_in, channels_out, 1)
        self.conv = nn.Sequential(
            nn.Conv2d(channels_in, wide_in, 1),
            nn.Conv2d(wide_in, wide_out, 3),
            nn.Conv2d(wide_out, channels_out, 1),
        )
        if draws_weights(self.sk):
            self._init_weights(gain)
        self.register_state_dict_post_hook(_add_folded)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_drop_folded)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `(N, channels_in, h, w)` to `(N, channels_out, h, w)`, zeros around it."""
        return F.conv2d(x, *self.kernel_and_bias(), padding=1)

    def kernel_and_bias(self) -> tuple[Tensor, Tensor]:
        """Return the sum of the branches: `(channels_out, channels_in, 3, 3)`, `(channels_out,)`.

        A border of zeros is the first layer's bias after it, just as a border of zeros in front of
        one convolution contributes to its bias alone. Computed in the weights' precision.
        """
        device = self.sk.weight.device.type
        with torch.autocast("cpu" if device == "meta" else device, enabled=False):
            (narrow, narrow_bias), (wide, wide_bias), (last, last_bias) = map(_weights, self.conv)
            skip, skip_bias = _weights(self.sk)
            first, third = narrow.flatten(1), last.flatten(1)
            product = (third @ wide.flatten(1)).view(len(third), len(first), 9)
            taps = product.transpose(1, 2) @ first
            kernel = taps.transpose(1, 2).reshape(len(third), -1, 3, 3)
            inner_bias = wide.sum((2, 3)) @ narrow_bias + wide_bias
            return kernel + F.pad(skip, (1, 1, 1, 1)), third @ inner_bias + last_bias + skip_bias

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """Return one convolution that computes the same."""
        kernel, bias = self.kernel_and_bias()
        with torch.device("meta"):
            convolution = conv3x3(kernel.shape[1], kernel.shape[0])
        convolution.weight, convolution.bias = nn.Parameter(kernel), nn.Parameter(bias)
        return convolution

    @torch.no_grad()
    def _init_weights(self, gain: float) -> None:
        """Draw weights so that both branches add half of the variance (He et al. 2015)."""
        for layer in (self.sk, *self.conv):
            init_kaiming(cast(nn.Conv2d, layer))
        for weight, _ in map(_weights, (self.sk, self.conv[-1])):
            weight.mul_(gain * 0.5**0.5)


def _weights(convolution: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(convolution, nn.Conv2d)
    assert convolution.bias is not None
    return convolution.weight, convolution.bias


@torch.no_grad()
def _add_folded(
    module: nn.Module, state: MutableMapping[str, Any], prefix: str, _metadata: object
) -> None:
    assert isinstance(module, BranchedConv)
    kernel, bias = _shapes(module.sk) if module.sk.weight.is_meta else module.kernel_and_bias()
    state[f"{prefix}{FOLDED}.weight"] = kernel
    state[f"{prefix}{FOLDED}.bias"] = bias


def _shapes(skip: nn.Module) -> tuple[Tensor, Tensor]:
    """Return tensors without data, for which PyTorch need not import its compiler."""
    weight, bias = _weights(skip)
    return weight.new_empty(*weight.shape[:2], 3, 3), torch.empty_like(bias)


def _drop_folded(
    _module: nn.Module, state: MutableMapping[str, Any], prefix: str, *_report: object
) -> None:
    for name in ("weight", "bias"):
        state.pop(f"{prefix}{FOLDED}.{name}", None)

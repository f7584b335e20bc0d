"""Bicubic interpolation as a convolution."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BICUBIC_RADIUS = 2
"""of the interpolation's kernel, LR pixels"""


class BicubicConv(nn.Module):
    """Bicubic interpolation before its pixel shuffle: a 5 × 5 convolution on repeated edges.

    Equal to `F.interpolate(mode="bicubic")`, to 5e-7 in fp32; PyTorch rounds the positions of
    thirds, which at ×3 is 2e-6 in small pictures. On a CPU it takes a ninth of the time. Runtimes
    lack that, or differ in the kernel's parameter or in the pixels beyond the edge.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        side = 2 * BICUBIC_RADIUS + 1
        self.convolution = nn.Conv2d(3, 3 * scale**2, side, bias=False)
        kernels = _bicubic_kernels(scale, side)
        with torch.no_grad():
            nn.init.zeros_(self.convolution.weight)
            for colour in range(3):
                rows = slice(colour * scale**2, (colour + 1) * scale**2)
                self.convolution.weight[rows, colour] = kernels
        self.requires_grad_(False)

    def forward(self, lr: Tensor) -> Tensor:
        """Return `(N, 3·scale², h, w)` of `(N, 3, h, w)`."""
        edged = F.pad(lr, [BICUBIC_RADIUS] * 4, mode="replicate")
        return cast(Tensor, self.convolution(edged))


def _bicubic_kernels(scale: int, side: int) -> Tensor:
    """Return the kernels `(scale², side, side)` of the pixels that one LR pixel becomes."""
    # The response to a unit impulse at each pixel around it.
    impulses = torch.eye(side**2, dtype=torch.float64).view(-1, 1, side, side)
    enlarged = F.interpolate(impulses, scale_factor=float(scale), mode="bicubic")
    first = BICUBIC_RADIUS * scale
    middle = enlarged[:, 0, first : first + scale, first : first + scale]
    return middle.permute(1, 2, 0).reshape(scale**2, side, side)

"""LPIPS, a perceptual distance between images, trained on people's judgements."""

from collections.abc import Mapping
from importlib.resources import as_file, files

import torch
from torch import nn
from torch.nn import functional as F

from pipeline.networks.perceptual.backbone import pretrained_convolution

# ImageNet's mean and deviation for images in [-1, 1], rounded as in the official code.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
# Index in torchvision's `features`, channels in and out, kernel, stride, padding.
CONVOLUTIONS = (
    (0, 3, 64, 11, 4, 2),
    (3, 64, 192, 5, 1, 2),
    (6, 192, 384, 3, 1, 1),
    (8, 384, 256, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
)
SHAPES = tuple(
    (index, channels_out, channels_in, kernel, kernel)
    for index, channels_in, channels_out, kernel, *_ in CONVOLUTIONS
)
"""Index in torchvision's `features`, and the weight's shape, of each convolution."""
SMALLEST_SIDE = 31
"""pixels; smaller images have no pixel left after AlexNet's poolings"""
POOLED = (1, 2)
"""positions of the convolutions that follow a max pooling"""


class Lpips(nn.Module):
    """LPIPS v0.1 on AlexNet (Zhang et al. 2018, equation 1), with the official linear heads.

    `backbone` holds torchvision's `features.N.weight` and `features.N.bias`; other keys
    are ignored. Raises `KeyError` where one is missing.
    """

    def __init__(self, backbone: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        for index, *_, stride, padding in CONVOLUTIONS:
            self.convolutions.append(pretrained_convolution(backbone, index, stride, padding))
        for layer, head in enumerate(_official_heads()):
            self.register_buffer(f"head{layer}", head)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Compute the distance of each pair, 0 for equal images: `(N,)`.

        Images are RGB, `(N, 3, H, W)` and `(N or 1, 3, H, W) float in [0, 255]`, each side at least
        `SMALLEST_SIDE` pixels.
        """
        total = torch.zeros(len(a), device=a.device)
        for layer, (features_a, features_b) in enumerate(
            zip(self._features(a), self._features(b), strict=True)
        ):
            head = self.get_buffer(f"head{layer}")
            total = total + F.conv2d((features_a - features_b).square(), head).mean(dim=(1, 2, 3))
        return total

    def _features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the features after each ReLU, normalised to length 1 over the channels.

        Images are `(N, 3, H, W) float in [0, 255]`; each layer's features are `(N, C, h, w)`.
        """
        x = (images.float() / 127.5 - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        features = []
        for layer, convolution in enumerate(self.convolutions):
            if layer in POOLED:
                x = F.max_pool2d(x, kernel_size=3, stride=2)
            x = F.relu(convolution(x))
            # Where no channel is above 0, the root's gradient would not be finite.
            norm = (x.square().sum(dim=1, keepdim=True) + 1e-20).sqrt()
            features.append(x / (norm + 1e-10))
        return features


def _official_heads() -> list[torch.Tensor]:
    """Return the weights of the five 1 × 1 convolutions of the package `lpips`, `(1, C, 1, 1)`."""
    with as_file(files("lpips") / "weights/v0.1/alex.pth") as path:
        state = torch.load(path, map_location="cpu", weights_only=True)
    return [state[f"lin{layer}.model.1.weight"] for layer in range(len(CONVOLUTIONS))]

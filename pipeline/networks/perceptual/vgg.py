"""VGG16's features, for the content loss (Simonyan and Zisserman 2015; Johnson et al. 2016)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.perceptual.backbone import pretrained_convolution

# Index of each convolution in torchvision's `features`.
CONVOLUTIONS = {
    "conv1_1": 0,
    "conv1_2": 2,
    "conv2_1": 5,
    "conv2_2": 7,
    "conv3_1": 10,
    "conv3_2": 12,
    "conv3_3": 14,
    "conv4_1": 17,
    "conv4_2": 19,
    "conv4_3": 21,
    "conv5_1": 24,
    "conv5_2": 26,
    "conv5_3": 28,
}
_WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
SHAPES = tuple(
    (index, channels_out, channels_in, 3, 3)
    for index, channels_out, channels_in in zip(
        CONVOLUTIONS.values(), _WIDTHS, (3, *_WIDTHS), strict=False
    )
)
"""Index in torchvision's `features`, and the weight's shape, of each convolution."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VGG16Features(nn.Module):
    """VGG16's features before ReLU at `layers`, only as deep as the deepest of them; frozen.

    `state` holds `features.N.weight` and `features.N.bias` in torchvision's numbering. Raises
    `KeyError` for an unknown layer or a missing tensor.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Sequence[str], state: Mapping[str, Tensor]) -> None:
        super().__init__()
        deepest = max(CONVOLUTIONS[layer] for layer in layers)
        self.names = [name for name, index in CONVOLUTIONS.items() if index <= deepest]
        self.layers = tuple(layers)
        self.convolutions = nn.ModuleList()
        for name in self.names:
            self.convolutions.append(pretrained_convolution(state, CONVOLUTIONS[name]))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the features of `(N, 3, H, W) float in [0, 1]`.

        Return `(N, C, h, w)` for each of `layers`, in their order.
        """
        x = (images - self.mean) / self.std
        features_of = {}
        for name, convolution in zip(self.names, self.convolutions, strict=True):
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2)
            features = convolution(x)
            features_of[name] = features
            # Not in place: the features before ReLU are returned.
            x = F.relu(features)
        return [features_of[layer] for layer in self.layers]

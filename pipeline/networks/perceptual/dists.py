"""DISTS, a perceptual distance between images that tolerates resampled texture."""

from collections.abc import Mapping, Sequence
from importlib.metadata import distribution

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.networks.perceptual.backbone import pretrained_convolution
from pipeline.networks.perceptual.vgg import CONVOLUTIONS, IMAGENET_MEAN, IMAGENET_STD

STAGES = (
    ("conv1_1", "conv1_2"),
    ("conv2_1", "conv2_2"),
    ("conv3_1", "conv3_2", "conv3_3"),
    ("conv4_1", "conv4_2", "conv4_3"),
    ("conv5_1", "conv5_2", "conv5_3"),
)
CHANNELS = [3, 64, 128, 256, 512, 512]
STABILISER = 1e-6
SMALLEST_SIDE = 16
"""pixels; smaller images have no pixel left after four poolings"""


class Dists(nn.Module):
    """DISTS (Ding et al. 2020, equations 3 to 7) on VGG16 with L2 pooling.

    `backbone` holds torchvision's `features.N.weight` and `features.N.bias`; other keys are
    ignored. The weights α of means and β of structures are those of the package `DISTS-pytorch`.
    Raises `KeyError` where a tensor of the backbone is missing.
    """

    def __init__(self, backbone: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(_stage(names, backbone) for names in STAGES)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        window = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("window", window[:, None] * window[None, :])
        alpha, beta = _official_weights()
        self.register_buffer("alpha", alpha)
        self.register_buffer("beta", beta)
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Compute the distance of each pair, 0 for equal images: `(N,)`.

        Images are RGB, `(N, 3, H, W)` and `(N or 1, 3, H, W) float in [0, 255]`, each side at least
        `SMALLEST_SIDE` pixels.
        """
        return self.distance(self.features(a), self.features(b))

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the images in [0, 1], then the features after each of VGG16's five stages.

        Images are `(N, 3, H, W) float in [0, 255]`; a stage's features are `(N, C, h, w)`, of half
        the size of the stage before.
        """
        # On a CPU a quarter faster than channels first.
        image = images.float().contiguous(memory_format=torch.channels_last) / 255
        x = (image - self.get_buffer("mean")) / self.get_buffer("std")
        features = [image]
        for depth, stage in enumerate(self.stages):
            x = stage(x if depth == 0 else self._pooled(x))
            features.append(x)
        return features

    def distance(self, a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
        """Return the distance of each pair, `(N,)`, from both images' `features` (equation 7)."""
        alphas = torch.split(self.get_buffer("alpha"), CHANNELS)
        betas = torch.split(self.get_buffer("beta"), CHANNELS)
        similarity = torch.zeros(len(a[0]), device=a[0].device)
        for features_a, features_b, alpha, beta in zip(a, b, alphas, betas, strict=True):
            luminance, structure = _similarities(features_a, features_b)
            similarity = similarity + luminance @ alpha + structure @ beta
        return 1 - similarity

    def _pooled(self, x: Tensor) -> Tensor:
        """Halve the size of `(N, C, h, w)` by L2 pooling (equation 3)."""
        window = self.get_buffer("window").expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def _similarities(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the similarities of means and of structures (equations 5 and 6), `(N, C)` each."""
    axes = (2, 3)
    mean_a, mean_b = a.mean(axes), b.mean(axes)
    deviation_a, deviation_b = a - mean_a[..., None, None], b - mean_b[..., None, None]
    variances = deviation_a.square().mean(axes) + deviation_b.square().mean(axes)
    covariance = (deviation_a * deviation_b).mean(axes)
    luminance = (2 * mean_a * mean_b + STABILISER) / (mean_a**2 + mean_b**2 + STABILISER)
    return luminance, (2 * covariance + STABILISER) / (variances + STABILISER)


def _stage(names: Sequence[str], backbone: Mapping[str, Tensor]) -> nn.Sequential:
    """Return convolutions of VGG16, each with its ReLU."""
    layers: list[nn.Module] = []
    for name in names:
        layers += [pretrained_convolution(backbone, CONVOLUTIONS[name]), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _official_weights() -> tuple[Tensor, Tensor]:
    """Return the weights α of means and β of structures, `(1475,)` each, which sum to 1 together.

    They are read from the package's file: importing the package would import torchvision.
    """
    path = distribution("DISTS-pytorch").locate_file("DISTS_pytorch/weights.pt")
    state = torch.load(str(path), map_location="cpu", weights_only=True)
    alpha, beta = (state[name].detach().flatten() for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return alpha / total, beta / total

"""A discriminator that judges every pixel (Schönfeld et al. 2020, "A U-Net Based Discriminator for
Generative Adversarial Networks"; with spectral normalisation, Wang et al. 2021, "Real-ESRGAN",
section 3.3)."""

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
FEATURES = 64


class UNetDiscriminator(nn.Module):
    """Three halvings and three doublings with skips between them: a verdict a pixel.

    It tells the generator where a picture looks wrong, which one verdict a picture cannot. Without
    batch normalisation; every convolution but the first and the last is kept from growing by
    spectral normalisation (Miyato et al. 2018). 4,376,897 parameters; crops of at least 16 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        f = FEATURES
        self.first = nn.Conv2d(3, f, 3, padding=1)
        self.down = nn.ModuleList(
            _normalised(given, 2 * given, side=4, stride=2) for given in (f, 2 * f, 4 * f)
        )
        self.up = nn.ModuleList(_normalised(2 * made, made) for made in (4 * f, 2 * f, f))
        self.last = nn.Sequential(
            _normalised(f, f),
            nn.LeakyReLU(SLOPE),
            _normalised(f, f),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(f, 1, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """`(N, 3, H, W) float in [0, 1]` to logits `(N, 1, H, W)`, large for originals."""
        levels = [F.leaky_relu(self.first(images), SLOPE)]
        for convolution in self.down:
            levels.append(F.leaky_relu(convolution(levels[-1]), SLOPE))
        x = levels.pop()
        for convolution in self.up:
            skip = levels.pop()
            enlarged = F.interpolate(x, size=skip.shape[-2:], mode="bilinear")
            x = F.leaky_relu(convolution(enlarged), SLOPE) + skip
        logits: Tensor = self.last(x)
        return logits


def _normalised(given: int, made: int, side: int = 3, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(given, made, side, stride, padding=1, bias=False)
    normalised: nn.Module = spectral_norm(convolution)
    return normalised

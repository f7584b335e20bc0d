"""U-Net discriminator with one logit per pixel (Schönfeld et al. 2020, "A U-Net Based
Discriminator for Generative Adversarial Networks"; with spectral normalisation, Wang et al. 2021,
"Real-ESRGAN", section 3.3)."""

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

LEAKY_SLOPE = 0.2
FEATURES = 64


class UNetDiscriminator(nn.Module):
    """Three ×2 downsamplings and three upsamplings with skips between them: one logit per pixel.

    One logit per picture does not show the generator where it looks wrong; these do. No batch
    normalisation; spectral normalisation (Miyato et al. 2018) of every convolution but the first
    and the last. 4,376,897 parameters; crops of at least 16 pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        f = FEATURES
        self.first = nn.Conv2d(3, f, 3, padding=1)
        self.down = nn.ModuleList(
            _normalised(channels, 2 * channels, kernel=4, stride=2)
            for channels in (f, 2 * f, 4 * f)
        )
        self.up = nn.ModuleList(
            _normalised(2 * channels, channels) for channels in (4 * f, 2 * f, f)
        )
        self.last = nn.Sequential(
            _normalised(f, f),
            nn.LeakyReLU(LEAKY_SLOPE),
            _normalised(f, f),
            nn.LeakyReLU(LEAKY_SLOPE),
            nn.Conv2d(f, 1, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `(N, 1, H, W)`, larger for HR, of crops `(N, 3, H, W) float in [0, 1]`."""
        levels = [F.leaky_relu(self.first(images), LEAKY_SLOPE)]
        for convolution in self.down:
            levels.append(F.leaky_relu(convolution(levels[-1]), LEAKY_SLOPE))
        x = levels.pop()
        for convolution in self.up:
            skip = levels.pop()
            enlarged = F.interpolate(x, size=skip.shape[-2:], mode="bilinear")
            x = F.leaky_relu(convolution(enlarged), LEAKY_SLOPE) + skip
        logits: Tensor = self.last(x)
        return logits


def _normalised(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> nn.Module:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=1, bias=False)
    normalised: nn.Module = spectral_norm(convolution)
    return normalised

"""SRGAN's discriminator with a pooled head (Ledig et al. 2017, figure 4)."""

from torch import Tensor, nn

# (channels, stride) of each convolution; every second one halves the size.
LAYERS = ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))


class SRGANDiscriminator(nn.Module):
    """Distinguishes HR crops from results, for crops of any size of at least 16 pixels.

    The paper flattens the last features into a dense layer: 306,679,169 parameters in all for crops
    of 384 pixels. Here the head takes their mean over the picture: 5,213,569 parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels_in = 3
        for number, (channels, stride) in enumerate(LAYERS):
            # No batch normalisation after the first: it would remove the picture's colours. After
            # the others it would remove a bias.
            normalised = number > 0
            layers.append(nn.Conv2d(channels_in, channels, 3, stride, 1, bias=not normalised))
            if normalised:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.LeakyReLU(0.2))
            channels_in = channels
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(channels_in, 1024),
            nn.LeakyReLU(0.2),
            nn.Linear(1024, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `(N, 1)`, larger for HR, of crops `(N, 3, H, W) float in [0, 1]`."""
        logits: Tensor = self.head(self.features(images * 2 - 1))
        return logits

"""A small generator, and pictures to enlarge with it."""

import numpy as np
import torch

from pipeline.networks import SRResNet


def generator(scale: int = 4, skip: str = "none") -> SRResNet:
    """Weights of noise, so that every weight shows in the result."""
    torch.manual_seed(0)
    network = SRResNet(scale=scale, blocks=1, features=8, norm="none", skip=skip)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


def bicubic() -> SRResNet:
    """A generator that adds nothing to bicubic interpolation."""
    return SRResNet(blocks=1, features=8, norm="none", skip="bicubic").eval()


def noise(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    random = np.random.default_rng(height * width)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, channels), dtype)

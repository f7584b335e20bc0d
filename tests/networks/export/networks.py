"""Small networks of every kind that is exported."""

import torch
from torch import nn

from pipeline.networks import PLKSR, RCAN, SPAN, Compact, Generator, RRDBNet, SRResNet


def networks() -> dict[str, Generator]:
    """Networks in eval mode whose every part changes the result."""
    torch.manual_seed(0)
    small = {"blocks": 1, "features": 8}
    each: dict[str, Generator] = {
        "stages": SRResNet(**small, norm="batch"),
        "stages 1x": SRResNet(1, **small, norm="none", skip="bicubic"),
        "stages 2x": SRResNet(2, **small, norm="batch", skip="bicubic"),
        "stages 3x": SRResNet(3, **small, norm="none", skip="bicubic"),
        "stages 4x": SRResNet(4, **small, norm="none", skip="bicubic"),
        "direct": SRResNet(**small, norm="batch", skip="bicubic", upsampling="direct"),
        "direct 1x": SRResNet(1, **small, norm="none", skip="bicubic", upsampling="direct"),
        "direct 3x": SRResNet(3, **small, norm="none", skip="bicubic", upsampling="direct"),
        "direct without skip": SRResNet(2, **small, norm="none", upsampling="direct"),
        "rrdb": RRDBNet(**small),
        "rrdb 1x": RRDBNet(scale=1, **small),
        "rcan": RCAN(groups=1, blocks=1, features=16),
        "rcan 3x": RCAN(scale=3, groups=1, blocks=1, features=16),
        "compact 1x": Compact(scale=1, blocks=1, features=8),
        "compact 3x": Compact(scale=3, blocks=1, features=8),
        "span 1x": SPAN(scale=1, features=8),
        "plksr 1x": PLKSR(scale=1, blocks=1, features=8, kernel=5),
    }
    for network in each.values():
        nn.init.normal_(network.last_layer.weight, std=0.05)
        _set_statistics(network)
    return {name: network.eval() for name, network in each.items()}


def _set_statistics(network: Generator) -> None:
    """Give batch normalisations means and variances of their own."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)

"""Convolutions of the pretrained backbones VGG16 and AlexNet, in torchvision's numbering."""

from collections.abc import Mapping

from torch import Tensor, nn


def pretrained_convolution(
    backbone: Mapping[str, Tensor], index: int, stride: int = 1, padding: int = 1
) -> nn.Conv2d:
    """Return the convolution with the weights `features.index` of `backbone`.

    Its channels and its square kernel are those of the weights. Raises `KeyError` where a tensor is
    missing.
    """
    weight, bias = (backbone[f"features.{index}.{part}"] for part in ("weight", "bias"))
    channels_out, channels_in, kernel, _ = weight.shape
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding)
    convolution.load_state_dict({"weight": weight, "bias": bias})
    return convolution

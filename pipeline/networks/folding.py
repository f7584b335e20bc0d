"""Networks for use alone: batch normalisation folded into the convolutions before it."""

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

N = TypeVar("N", bound=nn.Module)


def folded(network: N) -> N:
    """A copy in eval mode that computes the same with fewer layers.

    A normalisation by fixed statistics is a linear function, and so is the convolution before it.
    """
    result = copy.deepcopy(network).eval()
    for sequence in result.modules():
        if isinstance(sequence, nn.Sequential):
            for index, (first, second) in enumerate(pairwise(list(sequence))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    sequence[index] = fuse_conv_bn_eval(first, second)
                    sequence[index + 1] = nn.Identity()
    return result

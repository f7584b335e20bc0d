"""Batch normalisation folded into convolutions, for inference."""

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

N = TypeVar("N", bound=nn.Module)


def fold_batch_norm(network: N) -> N:
    """Return a copy in eval mode, with each batch normalisation folded into the convolution before.

    Both are affine functions once the statistics are fixed, so that results stay the same.
    """
    result = copy.deepcopy(network).eval()
    for sequence in result.modules():
        if isinstance(sequence, nn.Sequential):
            for index, (first, second) in enumerate(pairwise(list(sequence))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    sequence[index] = fuse_conv_bn_eval(first, second)
                    sequence[index + 1] = nn.Identity()
    return result

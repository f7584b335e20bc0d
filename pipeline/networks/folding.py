"""Layers folded into convolutions, for inference: batch normalisations, and parallel branches."""

import copy
from itertools import pairwise
from typing import Any, TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pipeline.networks.generators.branches import BranchedConv

N = TypeVar("N", bound=nn.Module)


def fold(network: N) -> N:
    """Return a copy in eval mode, of fewer layers, that computes the same.

    Each batch normalisation becomes part of the convolution before: both are affine functions once
    the statistics are fixed. The branches of each `BranchedConv` become one convolution.
    """
    result = copy.deepcopy(network).eval()
    for module in list(result.modules()):
        if isinstance(module, nn.Sequential):
            _fold_batch_norm(module)
        for name, child in list(module.named_children()):
            if isinstance(child, BranchedConv):
                setattr(module, name, child.folded())
            elif hasattr(child, "update_params") and hasattr(child, "eval_conv"):
                _keep_folded(child)
    return result


def _keep_folded(branches: Any) -> None:
    """Let spandrel's SPAN fold its branches now, instead of again for each picture."""
    branches.update_params()
    branches.update_params = _do_nothing


def _do_nothing() -> None:
    pass


def _fold_batch_norm(sequence: nn.Sequential) -> None:
    for index, (first, second) in enumerate(pairwise(list(sequence))):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            sequence[index] = fuse_conv_bn_eval(first, second)
            sequence[index + 1] = nn.Identity()

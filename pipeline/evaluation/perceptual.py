"""The networks that judge how different images look, and what to say where one is not here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from pipeline.networks.perceptual.dists import SMALLEST_SIDE as DISTS_SIDE
from pipeline.networks.perceptual.dists import Dists
from pipeline.networks.perceptual.lpips import SMALLEST_SIDE as LPIPS_SIDE
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import Backbone, WeightsMissing, backbone_state
from pipeline.params import EvaluateParams

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Judges:
    """LPIPS and DISTS, where their backbones are; `missing` says why one is not."""

    lpips: Lpips | None = None
    dists: Dists | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    """metrics → where the weights of their backbone come from"""
    missing: Mapping[str, str] = field(default_factory=dict)
    """metrics that are not measured → the reason, a sentence"""


def find_judges(params: EvaluateParams, side: int, device: torch.device) -> Judges:
    """The networks that `params` ask for, for images whose shorter side is `side` pixels."""
    origins: dict[str, str] = {}
    missing: dict[str, str] = {}

    def judge(
        metrics: str,
        param: str,
        backbone: Backbone,
        least: int,
        build: Callable[[Mapping[str, Tensor]], N],
    ) -> N | None:
        if getattr(params, param) == "off":
            missing[metrics] = f"evaluate.{param} is off."
            return None
        if side < least:
            missing[metrics] = f"{backbone} needs images of {least} pixels or more."
            return None
        try:
            state, origins[metrics] = backbone_state(backbone, "imagenet")
        except WeightsMissing as error:
            missing[metrics] = f"ImageNet weights of {backbone} are not to be had: {error}."
            return None
        return build(state).to(device)

    lpips = judge("LPIPS", "lpips", "alexnet", LPIPS_SIDE, Lpips)
    dists = judge("DISTS and KVD", "dists", "vgg16", DISTS_SIDE, Dists)
    return Judges(lpips, dists, origins, missing)

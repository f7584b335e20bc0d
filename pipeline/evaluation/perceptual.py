"""The perceptual metrics LPIPS and DISTS, and the reason for each that is not measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from pipeline.networks.perceptual.dists import SMALLEST_SIDE as DISTS_SIDE
from pipeline.networks.perceptual.dists import Dists
from pipeline.networks.perceptual.lpips import SMALLEST_SIDE as LPIPS_SIDE
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import Backbone, WeightsUnavailableError, backbone_state
from pipeline.params import EvaluateParams

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class PerceptualMetrics:
    """LPIPS and DISTS, each None if it is off or its backbone's weights are missing."""

    lpips: Lpips | None = None
    dists: Dists | None = None
    origins: Mapping[str, str] = field(default_factory=dict)
    """metrics → source of their backbone's weights"""
    missing: Mapping[str, str] = field(default_factory=dict)
    """metrics that are not measured → the reason, a sentence"""


def load_perceptual_metrics(
    params: EvaluateParams, side: int, device: torch.device
) -> PerceptualMetrics:
    """Load the networks that `params` ask for onto `device`.

    `side` is the images' shorter side in pixels: a network that needs larger images is missing.
    """
    origins: dict[str, str] = {}
    missing: dict[str, str] = {}

    def load(
        metrics: str,
        param: str,
        backbone: Backbone,
        smallest_side: int,
        build: Callable[[Mapping[str, Tensor]], N],
    ) -> N | None:
        if getattr(params, param) == "off":
            missing[metrics] = f"evaluate.{param} is off."
            return None
        if side < smallest_side:
            missing[metrics] = f"{backbone} needs images of {smallest_side} pixels or more."
            return None
        try:
            state = backbone_state(backbone, "imagenet")
        except WeightsUnavailableError as error:
            missing[metrics] = f"ImageNet weights of {backbone} are not available: {error}."
            return None
        origins[metrics] = "imagenet"
        return build(state).to(device)

    lpips = load("LPIPS", "lpips", "alexnet", LPIPS_SIDE, Lpips)
    dists = load("DISTS and KVD", "dists", "vgg16", DISTS_SIDE, Dists)
    return PerceptualMetrics(lpips, dists, origins, missing)

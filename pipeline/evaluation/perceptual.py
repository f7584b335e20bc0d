"""The perceptual metrics LPIPS and DISTS, and the reason for each that is not measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from pipeline.evaluation.pairs import MeasuredImage
from pipeline.networks.perceptual.dists import SMALLEST_SIDE as DISTS_SIDE
from pipeline.networks.perceptual.dists import Dists
from pipeline.networks.perceptual.lpips import SMALLEST_SIDE as LPIPS_SIDE
from pipeline.networks.perceptual.lpips import Lpips
from pipeline.networks.perceptual.weights import Backbone, WeightsUnavailableError, backbone_state
from pipeline.params import EvaluateParams
from pipeline.progress import Progress

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


@dataclass(frozen=True)
class _Spec(Generic[N]):
    """A network, and what it needs."""

    metrics: str
    """names of its metrics, in reports"""
    param: str
    """name of the param that turns it off"""
    backbone: Backbone
    smallest_side: int
    build: Callable[[Mapping[str, Tensor]], N]


@dataclass(frozen=True)
class _Loaded(Generic[N]):
    """A network and the source of its backbone's weights, or the reason why it is missing."""

    network: N | None = None
    origin: str = ""
    missing: str = ""


LPIPS = _Spec("LPIPS", "lpips", "alexnet", LPIPS_SIDE, Lpips)
DISTS = _Spec("DISTS and KVD", "dists", "vgg16", DISTS_SIDE, Dists)


def load_perceptual_metrics(
    params: EvaluateParams, smallest: MeasuredImage, device: torch.device, progress: Progress
) -> PerceptualMetrics:
    """Load the networks that `params` ask for onto `device`.

    A network that needs larger images than the `smallest` one is missing. `progress` shows what is
    missing though it was asked for.
    """
    lpips = _load(LPIPS, params.lpips, smallest, device)
    dists = _load(DISTS, params.dists, smallest, device)
    for one, spec, choice in ((lpips, LPIPS, params.lpips), (dists, DISTS, params.dists)):
        if one.network is None and choice != "off":
            progress.message(f"{spec.metrics}: not measured; {one.missing}")
    loaded: dict[str, _Loaded[Any]] = {LPIPS.metrics: lpips, DISTS.metrics: dists}
    return PerceptualMetrics(
        lpips.network,
        dists.network,
        {metrics: one.origin for metrics, one in loaded.items() if one.network is not None},
        {metrics: one.missing for metrics, one in loaded.items() if one.network is None},
    )


def _load(
    spec: _Spec[N], choice: Literal["auto", "off"], smallest: MeasuredImage, device: torch.device
) -> _Loaded[N]:
    if choice == "off":
        return _Loaded(missing=f"evaluate.{spec.param} is off.")
    if smallest.shorter_side < spec.smallest_side:
        return _Loaded(
            missing=f"{spec.backbone} needs images of {spec.smallest_side} pixels or more; "
            f"{smallest.name} has {smallest.size_text}."
        )
    try:
        state = backbone_state(spec.backbone, "imagenet")
    except WeightsUnavailableError as error:
        text = f"ImageNet weights of {spec.backbone} are not available: {error}."
        return _Loaded(missing=text)
    return _Loaded(spec.build(state).to(device), "imagenet")

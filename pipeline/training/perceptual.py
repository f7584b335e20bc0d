"""Pretrained networks: VGG16 in the content loss, LPIPS at validation. Neither is trained."""

from dataclasses import dataclass

import torch

from pipeline.devices import DTYPES
from pipeline.errors import UsageError
from pipeline.networks.perceptual.dists import Dists
from pipeline.networks.perceptual.lpips import SMALLEST_SIDE, Lpips
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import (
    Backbone,
    WeightsUnavailableError,
    backbone_state,
    has_backbone,
    sha256_of_tensors,
)
from pipeline.params import TrainParams
from pipeline.progress import Progress
from pipeline.training.extra_losses import ExtraLosses


@dataclass(frozen=True)
class ContentNetwork:
    """VGG16, or None without a discriminator, and the hash of its weights."""

    network: VGG16Features | None = None
    sha256: str | None = None
    """of the weights as tensors, whatever their file"""


def load_content_network(
    params: TrainParams, device: torch.device, precision: str, progress: Progress
) -> ContentNetwork:
    """Return the content loss's VGG16 on `device`, or none where there is no discriminator.

    Its ImageNet weights are downloaded where they are missing; random ones are reported. Raises
    `WeightsUnavailableError` where they are not available, `UsageError` where the named file holds
    none.
    """
    if params.adv_weight == 0:
        return ContentNetwork()
    try:
        state = backbone_state("vgg16", params.vgg, params.seed, progress.message)
    except WeightsUnavailableError as error:
        if params.vgg != "imagenet":
            raise UsageError(f"train.vgg: {error}") from None
        raise WeightsUnavailableError(
            f"{error}; or ask for random weights by name: train.vgg=random"
        ) from None
    if params.vgg == "random":
        progress.message(
            "note: train.vgg is random: the content loss compares features of a VGG16 that learnt "
            "nothing, which is another experiment than the article's"
        )
    network = VGG16Features(params.content_layers, state)
    if precision != "fp32":
        # Once, rather than at each step.
        network.convolutions.to(DTYPES[precision])
    on_device = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ContentNetwork(on_device, sha256_of_tensors(state))


def load_extra_losses(
    params: TrainParams, device: torch.device, progress: Progress
) -> tuple[ExtraLosses, dict[str, str]]:
    """Return the terms of `train.extra_losses` on `device`, and the hashes of their networks.

    Missing ImageNet weights are downloaded. Raises `WeightsUnavailableError`.
    """
    weights: dict[str, float] = {
        name: weight for name, weight in params.extra_losses.items() if weight
    }
    networks: dict[str, Lpips | Dists] = {}
    hashes: dict[str, str] = {}
    kinds: dict[str, tuple[Backbone, type[Lpips | Dists]]]
    kinds = {"lpips": ("alexnet", Lpips), "dists": ("vgg16", Dists)}
    for name in weights.keys() & kinds.keys():
        backbone, kind = kinds[name]
        state = backbone_state(backbone, "imagenet", report=progress.message)
        networks[name], hashes[name] = kind(state).to(device), sha256_of_tensors(state)
    return ExtraLosses(weights, networks), hashes


def load_lpips(side: int, device: torch.device) -> Lpips | None:
    """Return LPIPS on `device`, or None where images of `side` pixels are too small for it.

    None, too, where AlexNet's ImageNet weights were not fetched before: they are not downloaded for
    a validation figure.
    """
    if side < SMALLEST_SIDE or not has_backbone("alexnet"):
        return None
    return Lpips(backbone_state("alexnet", "imagenet")).to(device)

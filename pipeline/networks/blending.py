"""Interpolation between the weights of two generators."""

import copy

import torch

from pipeline.errors import UsageError
from pipeline.networks.generators.base import Generator


@torch.no_grad()
def blend_generators(distortion: Generator, perception: Generator, alpha: float) -> Generator:
    """Return a generator with the weights θ = (1 − α) θ_distortion + α θ_perception.

    Network interpolation (Wang et al. 2018, ESRGAN, equation 4). Meaningful where one was trained
    from the other. Raises `UsageError` where architectures or configs differ, and for
    networks of ONNX files.
    """
    if _shapes(distortion) != _shapes(perception) or not _same_config(distortion, perception):
        raise UsageError(
            "weights of two kinds of generator have nothing between them: "
            f"{_description(distortion)} and {_description(perception)}"
        )
    result = copy.deepcopy(distortion)
    for weight, other in zip(
        result.state_dict().values(), perception.state_dict().values(), strict=True
    ):
        if weight.is_floating_point():
            weight.lerp_(other.to(weight.device), alpha)
    return result


def _shapes(generator: Generator) -> dict[str, torch.Size]:
    """Return name → shape of all weights, which no two architectures have in common."""
    return {name: weight.shape for name, weight in generator.weights.items()}


def _same_config(one: Generator, other: Generator) -> bool:
    """Return whether the configs agree in all that both have: spandrel's networks have a scale."""
    common = one.config.keys() & other.config.keys()
    return all(one.config[name] == other.config[name] for name in common)


def _description(generator: Generator) -> str:
    config = ", ".join(f"{name} {value}" for name, value in generator.config.items())
    return f"{generator.architecture} ({config})"

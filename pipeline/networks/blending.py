"""Networks between two networks: from the least distortion to the best perception."""

import copy

import torch

from pipeline.errors import PipelineError
from pipeline.networks.generators.base import Generator


@torch.no_grad()
def blend(distortion: Generator, perception: Generator, alpha: float) -> Generator:
    """Every weight between two generators: θ = (1 − α) θ_distortion + α θ_perception.

    Network interpolation (Wang et al. 2018, ESRGAN, equation 4). Meaningful where one was trained
    from the other. Raises `PipelineError` where the two are not of one architecture.
    """
    if (type(distortion), distortion.config) != (type(perception), perception.config):
        raise PipelineError(
            f"weights of two kinds of generator have nothing between them: {_kind(distortion)} "
            f"and {_kind(perception)}"
        )
    result = copy.deepcopy(distortion)
    for mixed, other in zip(
        result.state_dict().values(), perception.state_dict().values(), strict=True
    ):
        if mixed.is_floating_point():
            mixed.lerp_(other.to(mixed.device), alpha)
    return result


def _kind(generator: Generator) -> str:
    config = ", ".join(f"{name} {value}" for name, value in generator.config.items())
    return f"{type(generator).__name__} ({config})"

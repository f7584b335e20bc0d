"""Networks compiled by `torch.compile`, so that a step on a GPU is fewer and larger kernels.

By themselves biases, normalisations and activations, which read and write whole feature maps, take
a GPU longer than the convolutions between them.
"""

from collections.abc import Callable

import torch
import torch._functorch.config
from torch import Tensor, nn

from pipeline.params import TrainParams
from pipeline.params.train import COMPILED_STEPS
from pipeline.training.distributed import Group

# Kernels that are chosen by timing them may round differently in the next process.
_OPTIONS: dict[str, str | int | bool | Callable[..., object]] = {"deterministic": True}


def is_compiled(
    params: TrainParams,
    steps: int,
    device: torch.device,
    group: Group,
    kept_step: Callable[[bool], int | None],
    report: Callable[[str], None],
) -> bool:
    """Return whether the networks of a training of `steps` steps are compiled.

    They are on a single CUDA device, where the training is long enough, and a function can be
    compiled: that takes Triton and a C compiler. A training that goes on from a kept run is as that
    run is: `kept_step` returns the step that the run with compiled networks, or the one without,
    has reached, or None. `report` is called with a line that says what is decided.
    """
    if params.compile == "off" or device.type != "cuda" or group.size > 1:
        return False
    compiled = steps >= COMPILED_STEPS
    if kept_step(compiled) is None and kept_step(not compiled) is not None:
        compiled = not compiled
        if not compiled:
            report("networks are not compiled: the training goes on as it began")
    if not compiled:
        return False
    # A finished one computes nothing.
    return kept_step(True) == steps or _can_compile(device, report)


def _can_compile(device: torch.device, report: Callable[[str], None]) -> bool:
    """Return whether a function can be compiled; report it, or why it cannot be."""
    try:
        torch.compile(_probe, dynamic=False, options=_OPTIONS)(torch.ones(64, device=device))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        report(f"networks are not compiled, and steps are slower: {reason}")
        return False
    report("networks are compiled: the first steps take up to a minute")
    return True


def compile_network(network: nn.Module) -> None:
    """Let a network compile itself for each shape that it is called with."""
    # A logged step computes gradients several times, and the first must not use up what the next
    # one needs.
    torch._functorch.config.donated_buffer = False
    network.compile(dynamic=False, options=_OPTIONS)


def compile_function(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return `function`, compiled for each shape that it is called with."""
    compiled: Callable[..., Tensor] = torch.compile(function, dynamic=False, options=_OPTIONS)
    return compiled


def _probe(x: Tensor) -> Tensor:
    return x * 2 + 1

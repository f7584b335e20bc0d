"""Memory that one SRGAN step holds at its peak: does it fit a 4 GB card?

python benchmarks/train_memory.py [generator=rrdb blocks=6 ...] [--device cpu] [--limit 4]

Params of `train` are given as NAME=VALUE. On CUDA the allocator is capped at `--limit` GiB, so
that a step that needs more ends here as it would on the smaller card, and cuDNN's workspaces count.
On the CPU it is PyTorch's own account of the same tensors; the driver's context (0.3 to 0.5 GB) and
the workspaces of a GPU come on top. Gradients at the last layer are measured in the step, as in
every tenth of a training. On CUDA, `reserved` is what the allocator took of the card for it, and a
step is measured both as a CUDA graph and without.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from pipeline.devices import computes_in_bf16, pick_device
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.params.file import override
from pipeline.training.state import State, new_state
from pipeline.training.step import TrainStep

WARM_UP = 8
"""Steps on CUDA: a graph is captured within them."""


@dataclass(frozen=True)
class Peak:
    """Bytes of the networks, the optimisers and everything else at the highest point of a step.

    `reserved` is what the CUDA allocator took for them, None on the CPU.
    """

    allocated: int
    reserved: int | None


def main() -> None:
    arguments = _arguments()
    device = pick_device(arguments.device)
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(arguments.limit * 2**30 / whole, device)
    settings = dict(text.split("=", 1) for text in arguments.params)
    params = override(TrainParams(vgg="random"), settings | {"log_every": "1"})
    generator = new_state(params, torch.device("cpu")).generator
    weights = sum(parameter.numel() for parameter in generator.parameters())
    print(f"{weights:,} parameters, {params.batch} crops of {params.crop} pixels, {device}")
    for bf16 in [True, False] if computes_in_bf16(device) else [False]:
        for graphed in [True, False] if device.type == "cuda" else [False]:
            name = f"{'bf16' if bf16 else 'fp32'}{' graphed' if graphed else ''}"
            print(name, _shown(peak(params, device, bf16, graphed)), flush=True)


def _shown(found: Peak) -> str:
    reserved = "" if found.reserved is None else f", reserved {found.reserved / 2**20:.0f} MiB"
    return f"{found.allocated / 2**20:8.0f} MiB{reserved}"


def peak(params: TrainParams, device: torch.device, bf16: bool, graphed: bool) -> Peak:
    """Take steps and return the most memory that they held."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    weights, _ = backbone_state("vgg16", "random")
    vgg = VGG16Features(params.content_layers, weights).to(device)
    state = new_state(params, device)
    update = TrainStep(params, 1, state, vgg, device, bf16, graphed=graphed)
    side = params.crop
    hr = torch.randint(0, 256, (params.batch, 3, side, side), dtype=torch.uint8)
    if device.type == "cuda":
        for _ in range(WARM_UP):
            update(hr)
        torch.cuda.synchronize(device)
        reserved = torch.cuda.max_memory_reserved(device)
        return Peak(torch.cuda.max_memory_allocated(device), reserved)
    update(hr)
    return Peak(_kept(state, vgg) + _rise(lambda: update(hr)), None)


def _kept(state: State, vgg: VGG16Features) -> int:
    """Bytes of what lives on between two steps."""
    assert state.adversary is not None
    networks = (state.generator, state.average, state.best, state.adversary.network, vgg)
    tensors: list[Tensor] = [t for network in networks for t in network.state_dict().values()]
    for optimiser in (*state.optimisers, state.adversary.optimiser):
        tensors += [t for moments in optimiser.state.values() for t in moments.values()]
    return sum(tensor.nbytes for tensor in tensors)


def _rise(step: Callable[[], object]) -> int:
    """Bytes by which PyTorch's allocations rise during a step, at the most."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    assert profiler.profiler is not None
    results = profiler.profiler.kineto_results
    assert results is not None
    events = [event for event in results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("params", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--limit", type=float, default=4.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()

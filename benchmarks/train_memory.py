"""Peak memory of one SRGAN step: does it fit a 4 GB GPU?

python benchmarks/train_memory.py [generator.kind=rrdb batch=4 ...] [--device cpu] [--limit 4]

Params of `train` are arguments NAME=VALUE. On CUDA the allocator is capped at `--limit` GiB, so
that a step that needs more fails as it would on the smaller GPU, and cuDNN's workspaces count. On
the CPU PyTorch's profiler counts the same tensors; the driver's context (0.3 to 0.5 GB) and the
workspaces of a GPU come on top. The step computes gradient norms, as every tenth of a training
does. On CUDA `reserved` is what the allocator reserved, and a step is measured both as a CUDA graph
and without.
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
from pipeline.training.checkpointed_state import CheckpointedState, new_checkpointed_state
from pipeline.training.crops import Batch
from pipeline.training.step import TrainStep

WARM_UP = 8
"""Steps on CUDA: a graph is captured within them."""


@dataclass(frozen=True)
class Peak:
    """Bytes of networks, optimisers and everything else at the peak of a step.

    `reserved` is what the CUDA allocator reserved for them, None on the CPU.
    """

    allocated: int
    reserved: int | None


def main() -> None:
    arguments = _arguments()
    device = pick_device(arguments.device)
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(arguments.limit * 2**30 / total, device)
    settings = dict(text.split("=", 1) for text in arguments.params)
    params = override(TrainParams(vgg="random"), settings | {"log_every": "1"})
    generator = new_checkpointed_state(params, torch.device("cpu")).state.generator
    weights = generator.parameter_count
    print(f"{weights:,} parameters, {params.batch} crops of {params.crop} pixels, {device}")
    for precision in ["bf16", "fp32"] if computes_in_bf16(device) else ["fp32"]:
        for graphed in [True, False] if device.type == "cuda" else [False]:
            name = f"{precision}{' graphed' if graphed else ''}"
            print(name, _format(measure_peak(params, device, precision, graphed)), flush=True)


def _format(peak: Peak) -> str:
    reserved = "" if peak.reserved is None else f", reserved {peak.reserved / 2**20:.0f} MiB"
    return f"{peak.allocated / 2**20:8.0f} MiB{reserved}"


def measure_peak(params: TrainParams, device: torch.device, precision: str, graphed: bool) -> Peak:
    """Take steps and return the largest memory that they used."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    weights = backbone_state("vgg16", "random")
    vgg = VGG16Features(params.content_layers, weights).to(device)
    training = new_checkpointed_state(params, device)
    step = TrainStep(
        params, 1, training.state, vgg, device, precision, graphed=graphed, report=print
    )
    side = params.crop
    hr = torch.randint(0, 256, (params.batch, 3, side, side), dtype=torch.uint8)
    if device.type == "cuda":
        for _ in range(WARM_UP):
            step(Batch(hr))
        torch.cuda.synchronize(device)
        reserved = torch.cuda.max_memory_reserved(device)
        return Peak(torch.cuda.max_memory_allocated(device), reserved)
    step(Batch(hr))
    return Peak(_persistent_bytes(training, vgg) + _peak_rise(lambda: step(Batch(hr))), None)


def _persistent_bytes(training: CheckpointedState, vgg: VGG16Features) -> int:
    """Return the bytes of what is kept between two steps."""
    state, best = training.state, training.best.generator
    assert state.adversary is not None
    networks = (state.generator, state.ema, best, state.adversary.network, vgg)
    tensors: list[Tensor] = [t for network in networks for t in network.state_dict().values()]
    for optimiser in (*state.optimisers.values(), state.adversary.optimiser):
        tensors += [t for moments in optimiser.state.values() for t in moments.values()]
    return sum(tensor.nbytes for tensor in tensors)


def _peak_rise(step: Callable[[], object]) -> int:
    """Return the most bytes by which PyTorch's allocations rise during a step."""
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

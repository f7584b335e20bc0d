"""The parts of `benchmarks/gpu.py` that measure single steps, in their own process.

A step is timed in rounds of several, one after the other, as training takes them: the clock is read
when the card has done all of them. The variants of a step take their rounds in turns. Crops are of
random pixels and lie on the card. Operations are those of matrix products and convolutions, counted
once by PyTorch on the step without CUDA graphs.
"""

import contextlib
import os
import statistics
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from gpu_task import (
    Results,
    Task,
    cudnn_settings,
    free_unused,
    median_seconds,
    seconds_of,
    synchronise,
)
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from train_memory import measure_peak
from train_step import Step, ours, straightforward

from pipeline.devices import computes_in_bf16
from pipeline.networks.perceptual.vgg import VGG16Features
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.params.file import override

DISTORTION = {
    "generator.blocks": "16",
    "generator.upsampling": "direct",
    "adv_weight": "0",
    "loss_without_adv": "psnr",
    "optimiser.kind": "muon",
}
SRGAN_SIZES = ((2, 384), (8, 192), (24, 192), (32, 96))
DISTORTION_SIZES = ((24, 192), (64, 128))
MEMORY_CASES = {
    "default": {},
    "light rrdb": {"generator.kind": "rrdb", "generator.blocks": "6"},
    "light rcan": {
        "generator.kind": "rcan",
        "generator.groups": "5",
        "generator.blocks": "6",
    },
    "compact": {"generator.kind": "compact"},
    "span": {"generator.kind": "span"},
    "plksr": {"generator.kind": "plksr"},
}
MEMORY_LIMIT_GIB = 4
WARM_UP = 12
"""Steps before the first that is timed; a graph is captured within them."""
LOGGED_WARM_UP = 50
"""The same where every tenth step measures gradients too, and has a graph of its own."""
STEPS_A_ROUND = 10
ROUNDS = 5
NEVER = str(10**9)


@dataclass(frozen=True)
class _Variant:
    """One way to take a step; `graphed` None: each equation by itself, in fp32."""

    name: str
    graphed: bool | None
    benchmark: bool = False
    deterministic: bool = False
    logged: bool = False


STRAIGHTFORWARD = _Variant("straightforward fp32", None)
EAGER, GRAPHED = _Variant("eager bf16", False), _Variant("graphed bf16", True)
CUDNN = tuple(
    _Variant(f"graphed bf16, cudnn {name}", True, benchmark, deterministic)
    for name, benchmark, deterministic in (
        ("benchmark", True, False),
        ("deterministic", False, True),
        ("benchmark and deterministic", True, True),
    )
)
COMPILED = _Variant("compiled, graphed bf16", True)
LOGGED = _Variant("graphed bf16, every 10th step logged", True, logged=True)


@dataclass(frozen=True)
class _Case:
    """A step's params and the variants in which it is taken."""

    name: str
    params: TrainParams
    variants: Sequence[_Variant]


def steps(task: Task, results: Results) -> None:
    """Time, operations and memory of the steps that training takes."""
    device = torch.device(task.device)
    vgg = _vgg(TrainParams(), device)
    for case in _cases(task):
        _measure(case, vgg, task, results)


def _cases(task: Task) -> Iterator[_Case]:
    srgan = override(TrainParams(vgg="random"), {"log_every": NEVER})
    distortion = override(srgan, DISTORTION)
    for batch, crop in _sizes(SRGAN_SIZES, task):
        first = (batch, crop) in (SRGAN_SIZES[0], (1, 32))
        more = (*CUDNN, LOGGED) if first else ()
        yield _case("SRGAN", srgan, batch, crop, (STRAIGHTFORWARD, EAGER, GRAPHED, *more))
    for batch, crop in _sizes(DISTORTION_SIZES, task):
        more = CUDNN if (batch, crop) == DISTORTION_SIZES[0] else ()
        yield _case("PSNR, Muon", distortion, batch, crop, (EAGER, GRAPHED, *more))


def _sizes(sizes: Sequence[tuple[int, int]], task: Task) -> Sequence[tuple[int, int]]:
    return ((1, 32),) if task.toy else sizes


def _case(
    name: str, params: TrainParams, batch: int, crop: int, variants: Sequence[_Variant]
) -> _Case:
    return _Case(name, override(params, {"batch": str(batch), "crop": str(crop)}), variants)


def _measure(case: _Case, vgg: VGG16Features, task: Task, results: Results) -> None:
    """Time the variants of a case in turns; one that fails is named and leaves the others."""
    hr = _crops(case.params, vgg.mean.device)
    count, rounds = (2, 2) if task.toy else (STEPS_A_ROUND, ROUNDS)
    earlier = results.figures.get("steps", [])
    running: list[_Running] = []
    failed: list[dict[str, object]] = []
    for variant in case.variants:
        try:
            running.append(_Running(case, variant, vgg, hr, task.toy))
            running[-1].time_round(count)
        except Exception as error:
            failed.append(_labels(case, variant) | {"error": _first_line(error)})
            traceback.print_exc()
        results.add("steps", [*earlier, *_lines(case, running), *failed])
    for _ in range(rounds - 1):
        for one in running:
            one.time_round(count)
        results.add("steps", [*earlier, *_lines(case, running), *failed])
    running.clear()
    free_unused(hr.device)


class _Running:
    """A variant that is warm: its graphs are captured, its kernels chosen."""

    def __init__(
        self, case: _Case, variant: _Variant, vgg: VGG16Features, hr: Tensor, toy: bool
    ) -> None:
        self.variant, self.params = variant, case.params
        self.hr, self.seconds = hr, list[float]()
        self.flop: int | None = None
        if variant.logged:
            self.params = override(case.params, {"log_every": "10"})
        free_unused(hr.device)
        before = _memory(hr.device)
        self._step = self._new_step(vgg)
        with self._settings():
            if not variant.graphed:
                self.flop = _operations(self._step, hr)
            for _ in range(2 if toy else LOGGED_WARM_UP if variant.logged else WARM_UP):
                self._step(hr)
        synchronise(hr.device)
        self.memory = [after - was for after, was in zip(_peaks(hr.device), before, strict=True)]

    def time_round(self, count: int) -> None:
        """Take so many steps, and keep the seconds that one took."""
        with self._settings():
            self.seconds.append(seconds_of(lambda: self._step(self.hr), count, self.hr.device))

    def figures(self, flop: int | None) -> dict[str, float]:
        """What the table shows, of a step of so many operations."""
        seconds = statistics.median(self.seconds)
        rate = {} if flop is None else {"gflop": flop / 1e9, "tflops": flop / seconds / 1e12}
        return rate | {
            "ms": 1000 * seconds,
            "ms_fastest": 1000 * min(self.seconds),
            "ms_slowest": 1000 * max(self.seconds),
            "images_per_s": self.params.batch / seconds,
            "allocated_mib": self.memory[0] / 2**20,
            "reserved_mib": self.memory[1] / 2**20,
        }

    def _new_step(self, vgg: VGG16Features) -> Step:
        device = self.hr.device
        if self.variant.graphed is None:
            return straightforward(self.params, vgg, device)
        return ours(self.params, vgg, device, precision="bf16", graphed=self.variant.graphed)

    def _settings(self) -> contextlib.AbstractContextManager[None]:
        return cudnn_settings(self.variant.benchmark, self.variant.deterministic)


def _lines(case: _Case, running: Sequence[_Running]) -> list[dict[str, object]]:
    eager = next((one.flop for one in running if one.variant.graphed is False), None)
    # Replays of a graph have no operations to count: they are those of the eager step.
    return [
        _labels(case, one.variant) | one.figures(eager if one.flop is None else one.flop)
        for one in running
        if one.seconds
    ]


def _operations(step: Step, hr: Tensor) -> int:
    """Floating-point operations of one step: two for each multiplication and addition."""
    with FlopCounterMode(display=False) as counter:
        step(hr)
    return counter.get_total_flops()


def compiled(task: Task, results: Results) -> None:
    """Steps whose networks are compiled, as training compiles them."""
    with tempfile.TemporaryDirectory() as cache:
        # A killed compiler leaves half a file in the cache that all processes share.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", cache)
        _time_compiled(task, results)


def _time_compiled(task: Task, results: Results) -> None:
    device = torch.device(task.device)
    srgan = override(TrainParams(vgg="random"), {"log_every": NEVER})
    vgg = _vgg(srgan, device)
    cases = [
        _case("SRGAN", srgan, *_sizes(SRGAN_SIZES, task)[0], ()),
        _case("PSNR, Muon", override(srgan, DISTORTION), *_sizes(DISTORTION_SIZES, task)[0], ()),
        _case("SRGAN", srgan, *_sizes(SRGAN_SIZES, task)[2 % len(_sizes(SRGAN_SIZES, task))], ()),
    ]
    for case in cases:
        params, hr = case.params, _crops(case.params, device)
        step = ours(params, vgg, device, precision="bf16", compiled=True)
        started = time.monotonic()
        for _ in range(2 if task.toy else WARM_UP):
            step(hr)
        synchronise(device)
        warm_up = time.monotonic() - started
        seconds = median_seconds(lambda step=step, hr=hr: step(hr), 2 if task.toy else 10, device)
        images_per_s = params.batch / seconds
        figures = {"ms": 1000 * seconds, "images_per_s": images_per_s, "warm_up_s": warm_up}
        results.append("steps", _labels(case, COMPILED) | figures)
        free_unused(device)


def memory(task: Task, results: Results) -> None:
    """Peaks of a step with gradients at the last layer, on a card of 4 GiB."""
    device = torch.device(task.device)
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(MEMORY_LIMIT_GIB * 2**30 / whole, device)
    small = {"batch": "1", "crop": "32"} if task.toy else {}
    precision = "bf16" if computes_in_bf16(device) else "fp32"
    for name, settings in MEMORY_CASES.items():
        params = override(TrainParams(vgg="random"), settings | small | {"log_every": "1"})
        for graphed in (False, True):
            line: dict[str, object] = {"case": name, "graphed": graphed}
            try:
                found = measure_peak(params, device, precision, graphed)
                line |= {key: value and value / 2**20 for key, value in vars(found).items()}
            except (torch.OutOfMemoryError, RuntimeError) as error:
                line["error"] = _first_line(error)
                traceback.print_exc()
            results.append("memory", line)
            free_unused(device)


def _vgg(params: TrainParams, device: torch.device) -> VGG16Features:
    weights = backbone_state("vgg16", "random")
    network = VGG16Features(params.content_layers, weights)
    return network.to(device=device, memory_format=torch.channels_last)


def _crops(params: TrainParams, device: torch.device) -> Tensor:
    shape = (params.batch, 3, params.crop, params.crop)
    crops = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    return crops.contiguous(memory_format=torch.channels_last)


def _labels(case: _Case, variant: _Variant) -> dict[str, object]:
    params = case.params
    return {
        "case": case.name,
        "batch": params.batch,
        "crop": params.crop,
        "variant": variant.name,
    }


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def _memory(device: torch.device) -> tuple[int, int]:
    if device.type != "cuda":
        return 0, 0
    return torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)


def _peaks(device: torch.device) -> tuple[int, int]:
    if device.type != "cuda":
        return 0, 0
    return torch.cuda.max_memory_allocated(device), torch.cuda.max_memory_reserved(device)

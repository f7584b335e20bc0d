"""The part of `benchmarks/gpu.py` that measures the card itself: what steps are compared with."""

import platform
import shutil
import subprocess
from collections.abc import Callable

import torch
import torchvision
from gpu_task import Results, Task, cudnn_settings, median_seconds
from torch.nn import functional as F

from pipeline.devices import device_name


def environment(task: Task, results: Results) -> None:
    """The card, the libraries, and the ceilings that steps are compared with."""
    device = torch.device(task.device)
    results.add("device", device_name(device))
    results.add("python", platform.python_version())
    results.add("torch", torch.__version__)
    results.add("torchvision", torchvision.__version__)
    results.add("cuda", torch.version.cuda)
    results.add("cudnn", torch.backends.cudnn.version())
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        results.add("capability", f"{properties.major}.{properties.minor}")
        results.add("multiprocessors", properties.multi_processor_count)
        results.add("memory_gib", round(properties.total_memory / 2**30, 1))
        results.add("driver", _driver())
    results.add("matmul_tflops", _matmul(64 if task.toy else 8192, device))
    results.add("copy_gb_per_s", _copy(2**20 if task.toy else 2**32, device))
    for batch, side in ((1, 16),) if task.toy else ((2, 384), (24, 48)):
        for benchmark in (False, True):
            name = f"conv_{batch}x{side}{'_benchmark' if benchmark else ''}_tflops"
            results.add(name, _convolution(batch, side, benchmark, device))


def _driver() -> str:
    """Driver, highest clock and power limit, as the driver's own program says."""
    if shutil.which("nvidia-smi") is None:
        return "unknown: no nvidia-smi"
    query = "--query-gpu=driver_version,clocks.max.sm,power.limit"
    command = ["nvidia-smi", query, "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _matmul(side: int, device: torch.device) -> float:
    left, right = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    return 2 * side**3 / median_seconds(lambda: left @ right, 20, device) / 1e12


def _copy(size: int, device: torch.device) -> float:
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size / median_seconds(lambda: target.copy_(source), 20, device) / 1e9


def _convolution(batch: int, side: int, benchmark: bool, device: torch.device) -> float:
    """TFLOP/s of a forward 3 × 3 convolution from 64 to 64 channels, bf16, channels last."""
    pixels = torch.randn(batch, 64, side, side, device=device).bfloat16()
    weight = torch.randn(64, 64, 3, 3, device=device).bfloat16()
    pixels, weight = (x.to(memory_format=torch.channels_last) for x in (pixels, weight))
    count = 50
    with cudnn_settings(benchmark, False):
        work = _launched_at_once(lambda: F.conv2d(pixels, weight, padding=1), count, device)
    flop = 2 * batch * side**2 * 64 * 64 * 9
    return flop * count / median_seconds(work, 5, device) / 1e12


def _launched_at_once(
    work: Callable[[], object], count: int, device: torch.device
) -> Callable[[], object]:
    """`count` times `work`; as a CUDA graph, because launches take longer than small kernels."""

    def all_of_them() -> None:
        for _ in range(count):
            work()

    if device.type != "cuda":
        return all_of_them
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(3):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        all_of_them()
    return graph.replay

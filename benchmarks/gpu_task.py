"""What a part of `benchmarks/gpu.py` is given, and where it puts its figures."""

import contextlib
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Task:
    """The options of one part; `deadline` is on the monotonic clock."""

    device: str
    toy: bool
    out: Path
    data: Path | None
    train: str
    train_seconds: float
    deadline: float

    @property
    def left(self) -> float:
        """Seconds until the part is stopped."""
        return self.deadline - time.monotonic()


@dataclass
class Results:
    """Figures by name, written after each, so that a part that is stopped loses none."""

    path: Path
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, value: object) -> None:
        """Set one figure."""
        self.figures[name] = value
        self._write()

    def append(self, name: str, value: object) -> None:
        """Add one more to a list of figures."""
        self.figures.setdefault(name, []).append(value)
        self._write()

    def _write(self) -> None:
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.figures))
        temporary.replace(self.path)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], count: int, device: torch.device) -> float:
    """Seconds that `work` takes, in mean of `count` runs one after the other."""
    synchronise(device)
    started = time.perf_counter()
    for _ in range(count):
        work()
    synchronise(device)
    return (time.perf_counter() - started) / count


def median_seconds(
    work: Callable[[], object], count: int, device: torch.device, rounds: int = 7
) -> float:
    """Median over `rounds` of `seconds_of`, after one round that does not count."""
    seconds_of(work, count, device)
    return statistics.median(seconds_of(work, count, device) for _ in range(rounds))


@contextlib.contextmanager
def cudnn_settings(benchmark: bool, deterministic: bool) -> Iterator[None]:
    """Set cuDNN's two switches, and restore them."""
    backend = torch.backends.cudnn
    before = backend.benchmark, backend.deterministic
    backend.benchmark, backend.deterministic = benchmark, deterministic
    try:
        yield
    finally:
        backend.benchmark, backend.deterministic = before


def free_unused(device: torch.device) -> None:
    """Give back what nothing refers to, and begin to measure the peak anew."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)

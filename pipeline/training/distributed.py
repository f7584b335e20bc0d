"""Processes that train one generator together: PyTorch's process groups, under torchrun.

Each process computes its part of each batch. Where a single process would sum over its batch, sums
are over all processes: in batch normalisation, in relativistic means, in gradients. So N processes
take the steps that one takes, within rounding.
"""

import logging
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from pipeline.devices import pick_device
from pipeline.errors import ArgumentError, PipelineError
from pipeline.processes import handled_signals, start_resource_tracker

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes that train together. The main one, of rank 0, alone writes and reports."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def global_mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes' values, equally many in each, with its gradient."""
        mean = values.mean()
        return mean if self.size == 1 else _all_reduce_mean(mean)

    @torch.no_grad()
    def all_reduce_mean_(self, tensors: Sequence[Tensor]) -> None:
        """Replace each process's `tensors` by their means over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def from_main(self, make: Callable[[], T]) -> T:
        """Return in all processes what `make` returns in the main one, which alone calls it.

        A `PipelineError` that it raises is raised in all.
        """
        if self.size == 1:
            return make()
        outcome: list[tuple[T | None, PipelineError | None]] = [(None, None)]
        if self.is_main:
            try:
                outcome = [(make(), None)]
            except PipelineError as error:
                outcome = [(None, error)]
        dist.broadcast_object_list(outcome, src=0)
        value, problem = outcome[0]
        if problem is not None:
            raise problem
        return cast(T, value)

    def any_process(self, flag: bool, device: torch.device) -> bool:
        """Return whether `flag` is True in any process; of several, wait for the others."""
        if self.size == 1:
            return flag
        largest = torch.tensor(float(flag), device=device)
        dist.all_reduce(largest, op=dist.ReduceOp.MAX)
        return bool(largest)


SINGLE_PROCESS = Group()


def in_process_group() -> bool:
    """Return whether torchrun, or `launch`, started this process as one of a group."""
    return dist.is_torchelastic_launched()


def launch(processes: int, work: Callable[..., None], *arguments: object) -> int:
    """Run `work(*arguments)` in several processes, as torchrun does on one machine.

    Return the exit code of the first that failed, or 0. Any of the signals that stop a training
    reaches all of them, as SIGTERM; then raise `KeyboardInterrupt`. Handlers of signals and the
    level of logging are afterwards as before.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="pipeline",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        # PyTorch handles no other; the other signals are sent on as this one.
        signals_to_handle="SIGTERM",
    )
    start_resource_tracker()
    with _silent_logging(), _signals_as_sigterm():
        try:
            elastic_launch(config, work)(*arguments)
        except ChildFailedError as error:
            _, failure = error.get_first_failure()
            return failure.exitcode
        except SignalException:
            raise KeyboardInterrupt from None
    return 0


@contextmanager
def _silent_logging() -> Iterator[None]:
    """PyTorch would log pages of tracebacks; the process that failed reports its error itself."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _signals_as_sigterm() -> Iterator[None]:
    """Send this process SIGTERM, which PyTorch handles, for each other signal that ends it."""
    before = {number: signal.getsignal(number) for number in handled_signals()}
    for number in before:
        if number != signal.SIGTERM:
            signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def process_group(device_name: str) -> Iterator[tuple[Group, torch.device]]:
    """Join the process group of torchrun's variables; yield it and this process's device.

    Without torchrun it is a group of one. On CUDA each process of a machine takes the GPU of its
    local rank. Raises `ArgumentError` where the device does not exist or cannot be shared.
    """
    if not in_process_group():
        yield SINGLE_PROCESS, pick_device(device_name)
        return
    device = pick_device(device_name)
    if device.type == "cuda":
        device = pick_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(device)
    if device.type == "mps":
        raise ArgumentError(
            "device",
            "mps: a single process can train on it; set train.processes to 1, or train.device to "
            "cpu",
        )
    backend, bound = ("nccl", device) if device.type == "cuda" else ("gloo", None)
    dist.init_process_group(backend, device_id=bound)
    yield Group(dist.get_rank(), dist.get_world_size()), device
    # Not after an error: NCCL would wait for the other processes, which wait for this one.
    dist.destroy_process_group()


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the mean and variance over all processes' parts of a batch.

    PyTorch's own `SyncBatchNorm` computes on GPUs alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(N, C, H, W)` to the same shape."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        mean = _all_reduce_mean(values.mean(dim=(0, 2, 3)))
        centred = values - mean.view(1, -1, 1, 1)
        variance = _all_reduce_mean(centred.square().mean(dim=(0, 2, 3)))
        self._update_statistics(mean.detach(), variance.detach(), values.numel() // values.shape[1])
        scale = self.weight / (variance + self.eps).sqrt()
        result = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return result.to(x.dtype)

    @torch.no_grad()
    def _update_statistics(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        total = count * dist.get_world_size()
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * total / (total - 1), self.momentum)


def sync_batch_norm(network: nn.Module | None, group: Group) -> None:
    """Let every batch normalisation in `network` compute over the whole group's batch."""
    if network is None or group.size == 1:
        return
    for parent in network.modules():
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                replacement = SyncBatchNorm2d(child.num_features, child.eps, child.momentum)
                replacement.load_state_dict(child.state_dict())
                setattr(parent, name, replacement.to(child.weight.device))


class _AllReduceSum(torch.autograd.Function):
    """The sum of all processes' tensors, and in the backward pass of all their gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _all_reduce_mean(values: Tensor) -> Tensor:
    total: Tensor = _AllReduceSum.apply(values)
    return total / dist.get_world_size()

"""Processes that train one generator together: PyTorch's process groups, under torchrun.

A process computes its part of each batch. Sums over the processes stand wherever one process would
sum over its batch: in batch normalisation, in relativistic means, in gradients. So N processes take
the steps that one takes, within rounding.
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
from pipeline.errors import PipelineError
from pipeline.processes import handled_signals, start_resource_tracker

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes that train together; the first, of rank 0, leads: it alone writes and tells."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all processes' equally many values, with its gradient."""
        mean = values.mean()
        return mean if self.size == 1 else _mean_of_all(mean)

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each process's `tensors` by their means over the processes, in one message."""
        if self.size == 1 or not tensors:
            return
        together = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(together)
        together /= self.size
        parts = torch.split(together, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def from_leader(self, make: Callable[[], T]) -> T:
        """Return in all processes what `make` returns in the leading one, which alone calls it.

        A `PipelineError` that it raises is raised in all.
        """
        if self.size == 1:
            return make()
        outcome: list[tuple[T | None, PipelineError | None]] = [(None, None)]
        if self.leads:
            try:
                outcome = [(make(), None)]
            except PipelineError as error:
                outcome = [(None, error)]
        dist.broadcast_object_list(outcome, src=0)
        value, problem = outcome[0]
        if problem is not None:
            raise problem
        return cast(T, value)

    def any(self, here: bool, device: torch.device) -> bool:
        """Whether it is true in any process."""
        if self.size == 1:
            return here
        flag = torch.tensor(float(here), device=device)
        dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag)


ALONE = Group()


def is_joined() -> bool:
    """Whether torchrun, or `launch`, started this process as one of a group."""
    return dist.is_torchelastic_launched()


def launch(processes: int, work: Callable[..., None], *arguments: object) -> int:
    """Do what torchrun does on one machine: run `work(*arguments)` in so many processes.

    Returns the exit code of the first that failed, or 0. Any of the signals that stop a training
    reaches all of them, as SIGTERM. Raises `KeyboardInterrupt` then.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="pipeline",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        # It heeds no other; what else stops this process is handed on as this one.
        signals_to_handle="SIGTERM",
    )
    start_resource_tracker()
    # PyTorch would log pages of tracebacks; what went wrong is told by the process that it befell.
    logging.disable(logging.CRITICAL)
    for number in handled_signals():
        if number != signal.SIGTERM:
            signal.signal(number, _terminate)
    try:
        elastic_launch(config, work)(*arguments)
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        return failure.exitcode
    except SignalException:
        raise KeyboardInterrupt from None
    finally:
        logging.disable(logging.NOTSET)
    return 0


def _terminate(number: int, frame: FrameType | None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def joined(device_name: str) -> Iterator[tuple[Group, torch.device]]:
    """The group that torchrun's variables tell of, or a group of one; and this process's device.

    On CUDA each process of a machine takes the card of its local rank.
    """
    if not is_joined():
        yield ALONE, pick_device(device_name)
        return
    device = pick_device(device_name)
    if device.type == "cuda":
        device = pick_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the mean and variance of all processes' parts of a batch.

    PyTorch's own `SyncBatchNorm` computes on GPUs alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` to the same shape."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        mean = _mean_of_all(values.mean(dim=(0, 2, 3)))
        centred = values - mean.view(1, -1, 1, 1)
        variance = _mean_of_all(centred.square().mean(dim=(0, 2, 3)))
        self._remember(mean.detach(), variance.detach(), values.numel() // values.shape[1])
        scale = self.weight / (variance + self.eps).sqrt()
        result = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return result.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        all_count = count * dist.get_world_size()
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * all_count / (all_count - 1), self.momentum)


def synced(network: nn.Module | None, group: Group) -> None:
    """Let every batch normalisation in `network` look at the whole group's batch."""
    if network is None or group.size == 1:
        return
    for parent in network.modules():
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                replacement = SyncedBatchNorm2d(child.num_features, child.eps)
                replacement.load_state_dict(child.state_dict())
                setattr(parent, name, replacement.to(child.weight.device))


class _SumOfAll(torch.autograd.Function):
    """The sum of all processes' tensors, and of all their gradients on the way back."""

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


def _mean_of_all(values: Tensor) -> Tensor:
    total: Tensor = _SumOfAll.apply(values)
    return total / dist.get_world_size()

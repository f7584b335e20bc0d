"""Executors that make shards: processes on this machine, or the workers of a Dask cluster."""

from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import torch

from pipeline.errors import PipelineError, UsageError
from pipeline.processes import new_pool, signals_for_parent, start_worker

_CONNECT_SECONDS = 10


@contextmanager
def process_pool(workers: int) -> Iterator[Executor]:
    """Yield a pool of `workers` processes, each of which computes in one thread.

    Raises `PipelineError` where the block waits for a process that was killed.
    """
    pool = new_pool(workers, _start_worker)
    try:
        yield pool
    except BrokenProcessPool:
        raise PipelineError(
            "resize: a process was killed, perhaps for lack of memory; run again to go on, "
            "with a lower resize.workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def dask_executor(scheduler: str, workers: int) -> Iterator[Executor]:
    """Yield the cluster at the address `scheduler`; if empty, one of `workers` local processes.

    A task whose worker dies goes to another worker, as often as Dask's setting
    `distributed.scheduler.allowed-failures` says. Raises `UsageError` where Dask is not installed,
    `PipelineError` where the scheduler cannot be reached or is lost, and where workers die too
    often.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UsageError(
            "resize.executor: dask needs the package distributed: pip install 'distributed'"
        ) from None
    options = {} if scheduler else {"n_workers": workers, "threads_per_worker": 1}
    try:
        with signals_for_parent():
            client = Client(scheduler or None, timeout=_CONNECT_SECONDS, **options)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        problem = (
            f"resize.scheduler: {scheduler} cannot be reached"
            if scheduler
            else "resize.executor: dask cannot start workers on this machine"
        )
        raise PipelineError(f"{problem}: {error}") from None
    with client:
        try:
            yield client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        except KilledWorker:
            raise PipelineError(
                "resize: the workers that made a shard were killed, perhaps for lack of memory; "
                "run again to go on, with fewer workers or more memory for each"
            ) from None
        except CancelledError:
            raise PipelineError(
                "resize: Dask's scheduler was lost; start it, then run again to go on"
            ) from None


def _start_worker() -> None:
    start_worker()
    torch.set_num_threads(1)

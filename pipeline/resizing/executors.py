"""Executors that make shards: processes on this machine, or the workers of a Dask cluster."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

import torch

from pipeline.errors import PipelineError, UsageError
from pipeline.processes import new_pool, signals_for_parent, start_worker

_RETRIES = 3
_CONNECT_SECONDS = 10


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Yield a pool of `workers` processes, each of which computes in one thread."""
    pool = new_pool(workers, _start_worker)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def dask(scheduler: str, workers: int) -> Iterator[Executor]:
    """Yield the cluster at the address `scheduler`; if empty, one of `workers` local processes.

    A task whose worker dies goes to another worker. Raises `UsageError` where Dask is not
    installed, `PipelineError` where the scheduler cannot be reached.
    """
    try:
        from distributed import Client
    except ImportError:
        raise UsageError(
            "resize.executor: dask needs the package distributed: pip install 'distributed'"
        ) from None
    options = {} if scheduler else {"n_workers": workers, "threads_per_worker": 1}
    try:
        with signals_for_parent():
            client = Client(scheduler or None, timeout=_CONNECT_SECONDS, **options)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise PipelineError(f"resize.scheduler: {scheduler} cannot be reached: {error}") from None
    with client:
        yield client.get_executor(retries=_RETRIES, pure=False)  # type: ignore[no-untyped-call]


def _start_worker() -> None:
    start_worker()
    torch.set_num_threads(1)

"""Threads that compute side by side."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController


def one_core_threads(count: int) -> ThreadPoolExecutor:
    """Return `count` threads, in each of which PyTorch computes on one core."""
    return ThreadPoolExecutor(count, "one-core", _keep_to_one_core)


def _keep_to_one_core() -> None:
    # PyTorch's own function changes what threads start with that others create meanwhile. It has to
    # be called first, as it sets the number when a thread first asks for it.
    torch.get_num_threads()
    _controller().limit(limits=1, user_api="openmp")


def without_blas_threads() -> AbstractContextManager[object]:
    """Let NumPy multiply matrices in the thread that asks for it, until the context ends.

    OpenBLAS's threads spin for a while after each product, on cores that compute pictures.
    """
    context: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return context


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()

"""Batches that are made ahead."""

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.training.prefetch import Prefetcher


def batch(step: int) -> torch.Tensor:
    return torch.full((2, 3, 4, 4), step)


def test_prefetched_batches_are_the_same_in_any_order() -> None:
    ahead = Prefetcher(batch, end=30, workers=3)
    try:
        for step in (0, 1, 2, 7, 3, 20):
            assert torch.equal(ahead(step), batch(step))
    finally:
        ahead.close()


def test_what_a_thread_raises_reaches_the_training() -> None:
    def broken(step: int) -> torch.Tensor:
        raise PipelineError(f"no batch {step}")

    ahead = Prefetcher(broken, end=1, workers=1)
    with pytest.raises(PipelineError, match="no batch 0"):
        ahead(0)
    ahead.close()


def test_no_batch_is_made_beyond_the_last_step() -> None:
    made = []

    def noting(step: int) -> torch.Tensor:
        made.append(step)
        return batch(step)

    ahead = Prefetcher(noting, end=5, workers=3)
    for step in range(5):
        ahead(step)
    ahead.close()
    assert sorted(made) == list(range(5))

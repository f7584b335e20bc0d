"""The pictures and figures that a training keeps."""

import torch

from pipeline.training.history import MAX_STRIPS, History


def test_first_and_newest_strip_stay_when_others_are_dropped() -> None:
    history = History()
    for number in range(3 * MAX_STRIPS):
        history.add_samples(torch.full((3, 1, 1), number, dtype=torch.uint8))
        kept = [int(strip[0, 0, 0]) for strip in history.samples]
        assert (kept[0], kept[-1]) == (0, number)
        assert len(kept) <= MAX_STRIPS
        assert kept == sorted(kept)

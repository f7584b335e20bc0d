"""The kernel distance: against its formula written out, and unbiased."""

import pytest
import torch

from pipeline.evaluation import kvd
from pipeline.evaluation.kvd import DescriptorSets, descriptors


def distances(**sets: torch.Tensor) -> dict[str, float]:
    """Sets are (images, 4, channels)."""
    gathered = DescriptorSets()
    for index in range(len(sets["original"])):
        gathered.add({name: rows[index] for name, rows in sets.items()})
    return gathered.distances("original")


def drawn(seed: int, images: int = 40, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, 4, 8, generator=generator) + shift


def test_equal_sets_are_at_zero_and_others_are_not():
    original = drawn(0)
    distance = distances(original=original, same=original.clone(), near=drawn(0, shift=0.3))
    assert distance["same"] == pytest.approx(0, abs=1e-9)
    assert distance["near"] > 0.1
    assert distances(original=original, far=drawn(0, shift=0.6))["far"] > distance["near"]


def test_is_the_formula_written_out():
    x, y = drawn(1, images=3), drawn(2, images=3)

    def mean(a: torch.Tensor, b: torch.Tensor) -> float:
        kernels = [
            (float(a[i, p].double() @ b[j, q].double()) / 8 + 1) ** 3
            for i in range(3)
            for j in range(3)
            if i != j
            for p in range(4)
            for q in range(4)
        ]
        return sum(kernels) / len(kernels)

    expected = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    assert distances(original=x, other=y)["other"] == pytest.approx(expected)


def test_equal_distributions_are_at_zero_on_average():
    estimates = [
        distances(original=drawn(2 * at), other=drawn(2 * at + 1))["other"] for at in range(60)
    ]
    spread = torch.tensor(estimates).std().item()
    assert min(estimates) < 0 < max(estimates)
    assert abs(sum(estimates) / 60) < 3 * spread / 60**0.5


def test_blocks_change_nothing(monkeypatch):
    sets = {"original": drawn(3), "other": drawn(4)}
    in_one_block = distances(**sets)
    monkeypatch.setattr(kvd, "BLOCK_ROWS", 7)
    assert distances(**sets) == pytest.approx(in_one_block)


def test_one_image_has_no_distance():
    assert distances(original=drawn(0, images=1), other=drawn(1, images=1)) == {}


def test_descriptors_are_means_of_quarters():
    features = torch.arange(32.0).view(1, 2, 4, 4)
    means = descriptors(features)
    assert means.tolist() == [[2.5, 18.5], [4.5, 20.5], [10.5, 26.5], [12.5, 28.5]]

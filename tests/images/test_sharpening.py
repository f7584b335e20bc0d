"""The unsharp mask on HR: edges get steeper, the rest stays."""

import pytest
import torch

from pipeline.images.sharpening import unsharp


def edge(low: int, high: int) -> torch.Tensor:
    image = torch.full((1, 3, 64, 64), low, dtype=torch.uint8)
    image[..., 32:] = high
    return image


def test_edges_get_steeper_within_the_levels() -> None:
    sharp = unsharp(edge(60, 180), 0.5)[0, 0, 32].int()
    assert sharp[31] < 50
    assert sharp[32] > 190
    assert (sharp[0], sharp[63]) == (60, 180)
    assert unsharp(edge(0, 255), 5.0).equal(edge(0, 255))


@pytest.mark.parametrize("image", [edge(90, 90), edge(90, 105)], ids=["flat", "faint edge"])
def test_what_differs_little_from_its_surroundings_stays(image: torch.Tensor) -> None:
    assert unsharp(image, 2.0).equal(image)


def test_images_of_a_batch_do_not_depend_on_each_other() -> None:
    images = torch.randint(0, 256, (3, 3, 16, 20), generator=torch.Generator().manual_seed(1))
    batch = images.byte().contiguous(memory_format=torch.channels_last)
    sharp = unsharp(batch, 0.5)
    assert sharp.dtype == torch.uint8
    assert not sharp.equal(batch)
    for number in range(3):
        single = unsharp(batch[number : number + 1], 0.5)[0]
        assert (sharp[number].int() - single.int()).abs().max() <= 1

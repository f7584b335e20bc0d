from collections import Counter

import pytest

from pipeline.training.image_order import ImageOrder


def drawn(order: ImageOrder, epoch: int) -> list[int]:
    return [order.image(epoch * order.epoch + position) for position in range(order.epoch)]


def test_images_come_as_often_as_their_source_weighs() -> None:
    """Twice; once; every second epoch, and then another half of them."""
    order = ImageOrder((3, 2, 4), (2.0, 1.0, 0.5), seed=5)
    assert order.epoch == 6 + 2 + 2
    first, second = drawn(order, 0), drawn(order, 1)
    once = {0: 2, 1: 2, 2: 2, 3: 1, 4: 1}
    for met in (first, second):
        counts = Counter(met)
        assert {number: counts[number] for number in once} == once
    assert Counter(first + second) == Counter({number: 2 * n for number, n in once.items()}) + (
        Counter([5, 6, 7, 8])
    )


def test_an_order_is_drawn_for_each_epoch_and_seed() -> None:
    order = ImageOrder((20,), (1.0,), seed=0)
    epochs = [tuple(drawn(order, epoch)) for epoch in range(3)]
    epochs.append(tuple(drawn(ImageOrder((20,), (1.0,), seed=1), 0)))
    assert len(set(epochs)) == 4
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)


def test_a_part_of_a_folder_is_not_that_of_its_first_names() -> None:
    order = ImageOrder((100,), (0.1,), seed=0)
    first = drawn(order, 0)
    assert len(first) == 10
    assert max(first) - min(first) > 40


@pytest.mark.parametrize("weight", [1.5, 0.3, 1e-9])
def test_no_image_comes_more_than_once_more_than_another(weight: float) -> None:
    order = ImageOrder((7,), (weight,), seed=0)
    counts = Counter(number for epoch in range(21) for number in drawn(order, epoch))
    assert len(counts) == 7
    assert max(counts.values()) - min(counts.values()) <= 1

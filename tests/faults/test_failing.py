"""A file operation of every stage and command fails: one line, nothing lost, the next run right."""

import errno
import random

import pytest

from tests.faults.cases import NAMES
from tests.faults.shim import Fault
from tests.faults.world import World, disturb, sample

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
POINTS = {"evaluate": 2, "export": 1, "export to ncnn": 3, "booru": 2, "train": 4, "tradeoff": 4}
"""How many operations fail in the short form, where it is not 7."""


@pytest.mark.parametrize("name", NAMES)
def test_some_operations(world: World, name: str) -> None:
    """A sample by a seed."""
    chance = random.Random(name)
    operations = world.undisturbed(name).operations
    numbers = sample(operations, POINTS.get(name, 7), chance)
    disturb(
        world, name, [Fault(at, chance.choice(ERRORS), chance.random() < 0.5) for at in numbers]
    )


@pytest.mark.long
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", NAMES)
def test_every_operation(world: World, name: str, error: int) -> None:
    """Alone or with all after it, by turns."""
    numbers = range(1, len(world.undisturbed(name).operations) + 1)
    disturb(world, name, [Fault(at, error, lasting=at % 2 == 0) for at in numbers])

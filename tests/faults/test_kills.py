"""Each stage is killed somewhere; the next run goes on, and ends as if nothing had happened."""

import random

import pytest

from tests.faults.cases import STAGES
from tests.faults.shim import Fault
from tests.faults.world import World, disturb, sample

KILLS = 20
"""of a stage in the long form"""
POINTS = {"train": 4, "evaluate": 2}
"""How many there are in the short form, where it is not 6."""


@pytest.mark.parametrize("name", STAGES)
def test_killed_at_some_operations(world: World, name: str) -> None:
    """SIGKILL in the middle of a file operation: of a write, half has been written."""
    operations = world.undisturbed(name).operations
    disturb(
        world,
        name,
        [
            Fault(at)
            for at in sample(operations, POINTS.get(name, 6), random.Random(f"kill {name}"))
        ],
    )


@pytest.mark.long
@pytest.mark.parametrize("name", STAGES)
def test_killed_at_many_operations(world: World, name: str) -> None:
    operations = world.undisturbed(name).operations
    chance = random.Random(f"kills {name}")
    disturb(world, name, [Fault(at) for at in sample(operations, KILLS, chance)])


@pytest.mark.long
@pytest.mark.parametrize("name", STAGES)
def test_killed_at_many_moments(world: World, name: str) -> None:
    seconds = world.undisturbed(name).seconds
    chance = random.Random(f"moments {name}")
    for _ in range(KILLS):
        world.disturb(name, kill_after=seconds * chance.random())

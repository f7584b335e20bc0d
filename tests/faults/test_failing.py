"""A file operation of every stage and command fails: one line, nothing lost, the next run right."""

import errno
import random
from collections.abc import Iterable, Sequence

import pytest

from tests.faults.cases import NAMES
from tests.faults.shim import Fault
from tests.faults.world import World

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
POINTS = {"scrape": 5, "resize": 5, "manifest": 4, "evaluate": 2, "export": 1, "booru": 2}
"""How many operations fail in the short form, where it is not 3."""


@pytest.mark.parametrize("name", NAMES)
def test_some_operations(world: World, name: str) -> None:
    """A sample by a seed: of each kind of operation one, as long as there are points for it."""
    chance = random.Random(name)
    operations = world.undisturbed(name).operations
    numbers = sample(operations, POINTS.get(name, 3), chance)
    disturb(
        world, name, [Fault(at, chance.choice(ERRORS), chance.random() < 0.5) for at in numbers]
    )


@pytest.mark.long
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", NAMES)
def test_every_operation(world: World, name: str, error: int, lasting: bool) -> None:
    numbers = range(1, len(world.undisturbed(name).operations) + 1)
    disturb(world, name, [Fault(at, error, lasting) for at in numbers])


def sample(operations: Sequence[str], count: int, chance: random.Random) -> list[int]:
    """Numbers, from 1, of `count` operations of as many kinds as there are."""
    numbers = chance.sample(range(1, len(operations) + 1), len(operations))
    kinds: dict[str, list[int]] = {}
    for number in numbers:
        kinds.setdefault(operations[number - 1].split()[0], []).append(number)
    turns = {number: turn for of_kind in kinds.values() for turn, number in enumerate(of_kind)}
    return sorted(numbers, key=turns.__getitem__)[:count]


def disturb(world: World, name: str, faults: Iterable[Fault]) -> None:
    """Let each fault happen; raise what went wrong with all of them."""
    problems = []
    for fault in faults:
        try:
            world.disturb(name, fault)
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, f"{len(problems)} faults:\n" + "\n\n".join(problems)

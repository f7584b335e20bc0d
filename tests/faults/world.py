"""Runs of `pipeline` in copies of one project, with faults and without."""

import itertools
import os
import random
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.cases import Case, cases, contents, make_project, prepare
from tests.faults.shim import NO_FAULT, Fault, Shim
from tests.stages.program import Driver, Finished

# What SQLite says, and what DVC keeps to itself.
REASONS = re.compile("disk is full|disk I/O error|readonly|unable to open|dvc exp show -v")
NAMES = re.compile(
    r"(^|[ /])(data|reports|models|big|pairs|sr\.(onnx|param)|\.dvc|experiment \w+)\b"
)


class FaultyDriver:
    """Runs `pipeline` in processes whose file operations may fail."""

    def __init__(self, shim: Shim, scratch: Path) -> None:
        self.shim = shim
        self._driver = Driver(scratch, shim.variables)

    def run(
        self,
        folder: Path,
        arguments: tuple[str, ...],
        fault: Fault = NO_FAULT,
        kill_after: float | None = None,
    ) -> Finished:
        """Run `pipeline ARGUMENTS` in `folder`; its code is minus the signal that killed it."""
        self.shim.arm(folder, fault)
        return self._driver.run(folder, arguments, kill_after)

    def close(self) -> None:
        """End the process that runs it."""
        self._driver.close()


@dataclass(frozen=True)
class Undisturbed:
    """What a case does where nothing fails: its operations and seconds, and files by sha256."""

    operations: list[str]
    seconds: float
    result: Finished
    before: dict[str, str]
    after: dict[str, str]


@dataclass
class World:
    """The project, and the cases by name."""

    folder: Path
    driver: FaultyDriver
    cases: dict[str, Case]
    _undisturbed: dict[str, Undisturbed] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    @classmethod
    def make(cls, folder: Path, driver: FaultyDriver, site: str) -> "World":
        """Make the project in `folder`, which holds the site's pictures."""
        make_project(folder / "project", driver, site)
        return cls(folder, driver, cases(site, folder / "pictures"))

    def prepare(self, name: str) -> Path:
        """A new copy of the project for a case."""
        folder = self.folder / f"{name}-{next(self._numbers)}"
        prepare(self.folder / "project", self.cases[name], folder)
        return folder

    def undisturbed(self, name: str) -> Undisturbed:
        """The run of a case without faults."""
        if name not in self._undisturbed:
            folder = self.prepare(name)
            before, started = contents(folder), time.monotonic()
            result = self.driver.run(folder, self.cases[name].arguments)
            seconds = time.monotonic() - started
            assert result.code == self.cases[name].code, result.err
            after = contents(folder)
            assert after != before
            operations = self.driver.shim.operations
            self._undisturbed[name] = Undisturbed(operations, seconds, result, before, after)
            shutil.rmtree(folder)
        return self._undisturbed[name]

    def disturb(self, name: str, fault: Fault = NO_FAULT, kill_after: float | None = None) -> None:
        """Run a case with a fault, then without: the end must be that of an undisturbed run.

        Raises `AssertionError` that says what is wrong.
        """
        case, expected = self.cases[name], self.undisturbed(name)
        folder = self.prepare(name)
        result = self.driver.run(folder, case.arguments, fault, kill_after)
        operations = self.driver.shim.operations
        about = f"{fault}, {operations[fault.at - 1 : fault.at]}: exit {result.code}: {result.err}"
        after = contents(folder)
        self._check_files(case, expected, after, about)
        if result.code == case.code:
            assert after == expected.after, about
        elif result.code == 1:
            _check_message(case, result, expected, fault, about)
        else:
            assert result.code == -9, about
            assert fault.error == 0, about
        if result.code != case.code:
            again = self.driver.run(folder, case.arguments)
            assert again.code == case.code, f"{about}\nand again: {again.err}"
            wrong = {*contents(folder).items()} ^ {*expected.after.items()}
            assert not wrong, f"{about}\nand after another run: {sorted(wrong)}"
        shutil.rmtree(folder)

    @staticmethod
    def _check_files(case: Case, expected: Undisturbed, after: dict[str, str], about: str) -> None:
        """Every file is that of before or that of an undisturbed run."""
        for name in {*expected.before, *expected.after, *after}:
            if name.startswith(case.growing):
                continue
            allowed = {expected.before.get(name), expected.after.get(name)}
            if name.startswith(case.rebuilt):
                allowed.add(None)
            assert after.get(name) in allowed, f"{about}\nspoilt: {name}"


def _check_message(
    case: Case, result: Finished, expected: Undisturbed, fault: Fault, about: str
) -> None:
    """One line that names a file and the reason, and no more than that."""
    assert "Traceback" not in result.err, about
    assert "Exception ignored" not in result.err, about
    lines = result.err.splitlines()
    assert len(lines) <= len(expected.result.err.splitlines()) + case.lines, about
    said = [line for line in lines if REASONS.search(line) or os.strerror(fault.error) in line]
    assert any(NAMES.search(line) for line in said), about


def sample(operations: Sequence[str], count: int, chance: random.Random) -> list[int]:
    """Numbers, from 1, of `count` operations: writes to different files, else different kinds."""
    numbers = chance.sample(range(1, len(operations) + 1), len(operations))
    groups: dict[str, list[int]] = {}
    for number in numbers:
        groups.setdefault(_group(operations[number - 1]), []).append(number)
    turns = {number: turn for group in groups.values() for turn, number in enumerate(group)}
    taken = sorted(numbers, key=turns.__getitem__)
    writes = [number for number in taken if operations[number - 1].startswith("write")]
    others = [number for number in taken if number not in writes]
    # What can be torn is half of all.
    mixed = itertools.chain.from_iterable(itertools.zip_longest(writes, others))
    return [number for number in mixed if number is not None][:count]


def _group(operation: str) -> str:
    kind, path = operation.split(maxsplit=1)
    if kind != "write":
        return kind
    name = path.rpartition("/")[2]
    # Temporary names end in something random.
    return name.rsplit(".", 2)[0] if name.endswith(".tmp") else name


def disturb(world: World, name: str, faults: Iterable[Fault]) -> None:
    """Let each fault happen; raise what went wrong with all of them."""
    problems = []
    for fault in faults:
        try:
            world.disturb(name, fault)
        except AssertionError as error:
            problems.append(str(error))
    assert not problems, f"{len(problems)} faults:\n" + "\n\n".join(problems)

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.params import TrainParams
from pipeline.training.checkpoints import Checkpoints, fingerprint
from pipeline.training.state import State, new_state

CPU = torch.device("cpu")
PARAMS = TrainParams(blocks=1, features=8, adv_weight=0.0)


@pytest.fixture
def state() -> State:
    return new_state(PARAMS, CPU)


def save(folder: Path, state: State, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step in steps:
        state.step = step
        checkpoints.save(state)
    return checkpoints


def test_the_newest_two_are_kept(state: State, tmp_path: Path) -> None:
    checkpoints = save(tmp_path, state, 9, 10, 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000010.pt",
        "step-000000100.pt",
    ]
    saved, problems = checkpoints.newest()
    assert saved is not None
    assert (saved["step"], problems) == (100, [])


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none").newest() == (None, [])


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_strips_of_pictures_stay_on_the_cpu_wherever_training_goes_on(
    state: State, tmp_path: Path
) -> None:
    """There the next strip will be, which has to fit them; `meta` stands in for a card."""
    state.samples.append(torch.zeros(3, 4, 8, dtype=torch.uint8))
    saved, _ = save(tmp_path, state, 10).newest()
    assert saved is not None
    elsewhere = new_state(PARAMS, torch.device("meta"))
    elsewhere.load_state_dict(saved)
    assert [strip.device.type for strip in elsewhere.samples] == ["cpu"]
    assert {weight.device.type for weight in elsewhere.generator.parameters()} == {"meta"}


def cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b""


def one_byte_changed(content: bytes) -> bytes:
    """In the middle of the file, where a tensor lies."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut_off, emptied, one_byte_changed])
def test_a_damaged_newest_falls_back_to_the_one_before(
    damage, state: State, tmp_path: Path
) -> None:
    checkpoints = save(tmp_path, state, 10, 20)
    newest = tmp_path / "step-000000020.pt"
    newest.write_bytes(damage(newest.read_bytes()))
    saved, problems = checkpoints.newest()
    assert saved is not None
    assert saved["step"] == 10
    (problem,) = problems
    assert problem.startswith(f"{newest}: damaged")
    assert "\n" not in problem
    assert checkpoints.newest()[1] == []


@pytest.mark.parametrize("damage", [cut_off, emptied, one_byte_changed])
def test_a_damaged_one_is_kept_under_another_name(damage, state: State, tmp_path: Path) -> None:
    checkpoints = save(tmp_path, state, 10)
    path = tmp_path / "step-000000010.pt"
    content = damage(path.read_bytes())
    path.write_bytes(content)
    assert checkpoints.newest()[0] is None
    (kept,) = tmp_path.iterdir()
    assert kept.name == "step-000000010.pt.damaged"
    assert kept.read_bytes() == content


def test_a_process_without_free_files_loses_no_checkpoint(state: State, tmp_path: Path) -> None:
    """A resource that the machine lacks now says nothing about a file."""
    checkpoints = save(tmp_path, state, 10, 20)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(tmp_path, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, before[1]))
    try:
        with pytest.raises(PipelineError, match=r"cannot be read now \(.*Too many open files"):
            checkpoints.newest()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        os.close(lowest)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000010.pt",
        "step-000000020.pt",
    ]
    assert checkpoints.newest()[1] == []


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import torch
from pipeline.errors import PipelineError
from pipeline.training.checkpoints import Checkpoints
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + 30_000_000, -1))
try:
    Checkpoints(Path(sys.argv[1])).newest()
except PipelineError as error:
    print(error)
"""


def test_short_memory_loses_no_checkpoint(state: State, tmp_path: Path) -> None:
    checkpoints = save(tmp_path, state, 10)
    state.samples.append(torch.zeros(3, 4000, 8000, dtype=torch.uint8))
    save(tmp_path, state, 20)
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    newest = tmp_path / "step-000000020.pt"
    assert ended.stdout.startswith(f"{newest}: cannot be read now ("), ended.stderr
    assert ended.stdout.endswith("; nothing was removed: run again\n")
    assert ended.stdout.count("\n") == 1
    saved, problems = checkpoints.newest()
    assert saved is not None
    assert (saved["step"], problems) == (20, [])


def test_other_files_in_the_folder_are_left_alone(state: State, tmp_path: Path) -> None:
    (tmp_path / "notes.pt").write_text("mine")
    save(tmp_path, state, 1, 2, 3)
    assert (tmp_path / "notes.pt").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "value"), [("adv_weight", 1.0), ("lr", 1e-3), ("seed", 1), ("vgg", "random")]
)
def test_what_shapes_the_result_shapes_the_fingerprint(name: str, value: object) -> None:
    other = PARAMS.model_copy(update={name: value})
    assert fingerprint(other, "m") != fingerprint(PARAMS, "m")


@pytest.mark.parametrize(("name", "value"), [("device", "cpu"), ("checkpoint_seconds", 1.0)])
def test_where_and_when_do_not(name: str, value: object) -> None:
    other = PARAMS.model_copy(update={name: value})
    assert fingerprint(other, "m") == fingerprint(PARAMS, "m")


def test_other_images_are_another_experiment() -> None:
    assert fingerprint(PARAMS, "one") != fingerprint(PARAMS, "two")

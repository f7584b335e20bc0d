"""Checkpoints that anyone made: each is refused in one line, without the memory it asks for."""

import resource
from pathlib import Path

import psutil
import pytest
import torch

from pipeline.networks.files import CHECKPOINT
from pipeline.params import TrainParams
from pipeline.training.checkpoints import FORMAT, restore
from pipeline.training.state import State, new_state
from tests.networks.test_hostile_files import Make, archive, called, inside_itself, saved


@pytest.fixture
def state() -> State:
    return new_state(TrainParams(blocks=1, features=8, adv_weight=0.0), torch.device("cpu"))


HOSTILE = {
    "bytearray": archive(called("builtins bytearray", 4 * 10**9)),
    "storage": archive(called("torch FloatTensor", 4 * 10**9)),
    "views": saved(
        {"kind": CHECKPOINT, "format": FORMAT, "state": torch.zeros(1).expand(10**6, 10**6)}
    ),
    "inside itself": saved({"kind": CHECKPOINT, "format": FORMAT, "state": inside_itself()}),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_one_line_and_takes_no_memory(
    make: Make, state: State, tmp_path: Path
) -> None:
    path = tmp_path / "given.pt"
    make(path)
    used = psutil.Process().memory_info().vms
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, before[1]))
    try:
        problem = restore(path, state)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert problem is not None
    assert problem.startswith("is no checkpoint of this ")
    assert problem.isprintable()

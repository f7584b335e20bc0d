import os
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from pipeline.errors import PipelineError
from pipeline.networks.files import architecture_metadata, load_generator
from pipeline.params import TrainParams
from pipeline.params.file import override
from pipeline.params.generator import SRResNetParams
from pipeline.training.checkpointed_state import CheckpointedState, new_checkpointed_state
from pipeline.training.checkpoints import (
    CHECKPOINT_FORMAT,
    Checkpoints,
    OtherContentError,
    load_checkpoint,
)
from tests.platforms import limits_memory

CPU = torch.device("cpu")
PARAMS = TrainParams(generator=SRResNetParams(blocks=1, features=8), adv_weight=0.0)
LATE = 1_000_000


@pytest.fixture
def training() -> CheckpointedState:
    return new_checkpointed_state(PARAMS, CPU)


def save(folder: Path, training: CheckpointedState, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder)
    for step in steps:
        training.state.step = step
        checkpoints.save(training, architecture_metadata(training.state.ema) | {"step": str(step)})
    return checkpoints


def restored(folder: Path, steps: int = LATE) -> tuple[CheckpointedState, list[str]]:
    """What a new process makes of the checkpoints in `folder`."""
    training = new_checkpointed_state(PARAMS, CPU)
    return training, Checkpoints(folder).restore_newest(training, steps)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_two_are_kept(training: CheckpointedState, tmp_path: Path) -> None:
    save(tmp_path, training, 9, 10, 100)
    assert names(tmp_path) == ["step-000000010.pt", "step-000000100.pt"]
    again, messages = restored(tmp_path)
    assert (again.state.step, messages) == (100, [])


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    again, messages = restored(tmp_path / "none")
    assert (again.state.step, messages) == (0, [])


def test_the_newest_step_is_of_at_most_the_steps(
    training: CheckpointedState, tmp_path: Path
) -> None:
    checkpoints = save(tmp_path, training, 10, 20)
    assert [checkpoints.newest_step(steps) for steps in (9, 10, 19, 20, 21)] == [
        None,
        10,
        10,
        20,
        20,
    ]


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_strips_of_pictures_stay_on_the_cpu_wherever_training_goes_on(
    training: CheckpointedState, tmp_path: Path
) -> None:
    """There the next strip will be, which has to fit them; `meta` stands in for a card."""
    training.history.samples.append(torch.zeros(3, 4, 8, dtype=torch.uint8))
    checkpoints = save(tmp_path, training, 10)
    elsewhere = new_checkpointed_state(PARAMS, torch.device("meta"))
    assert checkpoints.restore_newest(elsewhere, LATE) == []
    assert [strip.device.type for strip in elsewhere.history.samples] == ["cpu"]
    assert {weight.device.type for weight in elsewhere.state.generator.parameters()} == {"meta"}


def test_checksums_are_computed_once(
    training: CheckpointedState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, training, 10)
    testzip, calls = zipfile.ZipFile.testzip, list[str]()

    def counted(archive: zipfile.ZipFile) -> str | None:
        calls.append("testzip")
        return testzip(archive)

    monkeypatch.setattr(zipfile.ZipFile, "testzip", counted)
    assert restored(tmp_path)[1] == []
    assert calls == ["testzip"]


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
    damage, training: CheckpointedState, tmp_path: Path
) -> None:
    save(tmp_path, training, 10, 20)
    newest = tmp_path / "step-000000020.pt"
    content = damage(newest.read_bytes())
    newest.write_bytes(content)
    again, (message,) = restored(tmp_path)
    assert again.state.step == 10
    assert message.startswith(f"{newest}: damaged, renamed to step-000000020.pt.damaged (")
    assert "\n" not in message
    assert restored(tmp_path)[1] == []
    assert (tmp_path / "step-000000020.pt.damaged").read_bytes() == content


def test_a_damaged_one_displaces_no_whole_one(training: CheckpointedState, tmp_path: Path) -> None:
    save(tmp_path, training, 10, 20)
    (tmp_path / "step-000000020.pt").write_bytes(b"")
    again = new_checkpointed_state(PARAMS, CPU)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.restore_newest(again, LATE)
    again.state.step = 11
    checkpoints.save(again, {})
    assert names(tmp_path) == [
        "step-000000010.pt",
        "step-000000011.pt",
        "step-000000020.pt.damaged",
    ]


def test_where_all_are_damaged_it_is_said_that_training_starts_anew(
    training: CheckpointedState, tmp_path: Path
) -> None:
    save(tmp_path, training, 10, 20)
    for path in list(tmp_path.iterdir()):
        path.write_bytes(cut_off(path.read_bytes()))
    again, messages = restored(tmp_path)
    assert again.state.step == 0
    assert len(messages) == 3
    assert messages[-1] == f"{tmp_path}: no checkpoint is usable: training starts at step 0"
    assert names(tmp_path) == ["step-000000010.pt.damaged", "step-000000020.pt.damaged"]


def test_a_process_without_free_files_loses_no_checkpoint(
    training: CheckpointedState, tmp_path: Path
) -> None:
    """A resource that the machine lacks now says nothing about a file."""
    save(tmp_path, training, 10, 20)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(tmp_path, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, before[1]))
    try:
        with pytest.raises(PipelineError, match=r"cannot be read now \(.*Too many open files"):
            restored(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        os.close(lowest)
    assert names(tmp_path) == ["step-000000010.pt", "step-000000020.pt"]
    assert restored(tmp_path)[1] == []


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from pipeline.errors import PipelineError
from tests.training.test_checkpoints import CPU, LATE, PARAMS, Checkpoints, new_checkpointed_state
training = new_checkpointed_state(PARAMS, CPU)
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + 30_000_000, -1))
try:
    Checkpoints(Path(sys.argv[1])).restore_newest(training, LATE)
except PipelineError as error:
    print(error)
"""


@pytest.mark.slow
@limits_memory
def test_short_memory_loses_no_checkpoint(training: CheckpointedState, tmp_path: Path) -> None:
    save(tmp_path, training, 10)
    training.history.samples.append(torch.zeros(3, 4000, 8000, dtype=torch.uint8))
    save(tmp_path, training, 20)
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    newest = tmp_path / "step-000000020.pt"
    assert ended.stdout.startswith(f"{newest}: cannot be read now ("), ended.stderr
    assert "nothing was removed: run again" in ended.stdout
    assert ended.stdout.count("\n") == 1
    again, messages = restored(tmp_path)
    assert (again.state.step, messages) == (20, [])


def test_another_format_is_not_used_and_not_deleted(
    training: CheckpointedState, tmp_path: Path
) -> None:
    save(tmp_path, training, 10)
    path = tmp_path / "step-000000010.pt"
    content = torch.load(path, weights_only=True)
    torch.save(content | {"format": CHECKPOINT_FORMAT - 1}, path)
    formats = f"format {CHECKPOINT_FORMAT - 1}, and this version reads {CHECKPOINT_FORMAT}"
    expected = f"{path}: not used: it has {formats}"
    assert restored(tmp_path)[1][0] == expected
    torch.save(content["state"], path)
    expected = f"{path}: not used: it is no checkpoint of this version of the program"
    assert restored(tmp_path)[1][0] == expected
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator.blocks": "2"}, "not used: it was trained with train.generator.blocks 1"),
        ({"adv_weight": "1"}, "not used: it lacks discriminator, discriminator_optimiser"),
        ({"optimiser.kind": "muon"}, "not used: it lacks muon"),
    ],
)
def test_one_of_another_network_is_one_line(
    changes: dict[str, str], message: str, training: CheckpointedState, tmp_path: Path
) -> None:
    checkpoints = save(tmp_path, training, 10)
    other = new_checkpointed_state(override(PARAMS, changes), CPU)
    weights = [weight.clone() for weight in other.state.generator.parameters()]
    line = checkpoints.restore_newest(other, LATE)[0]
    assert line == f"{tmp_path / 'step-000000010.pt'}: {message}"
    assert all(map(torch.equal, weights, other.state.generator.parameters()))


def test_one_that_lacks_a_key_is_one_line(training: CheckpointedState, tmp_path: Path) -> None:
    save(tmp_path, training, 10)
    path = tmp_path / "step-000000010.pt"
    content = torch.load(path, weights_only=True)
    del content["state"]["best_measure"]
    torch.save(content, path)
    assert restored(tmp_path)[1][0] == f"{path}: not used: it lacks best_measure"


def test_a_run_of_fewer_steps_takes_an_earlier_one_and_leaves_the_rest(
    training: CheckpointedState, tmp_path: Path
) -> None:
    save(tmp_path, training, 10, 20)
    assert restored(tmp_path, 19)[0].state.step == 10
    again, (message,) = restored(tmp_path, 5)
    assert again.state.step == 0
    assert "training starts at step 0" in message
    short = Checkpoints(tmp_path)
    short.restore_newest(again, 5)
    for step in (3, 4, 5):
        again.state.step = step
        short.save(again, {})
    short.keep_newest_only()
    assert names(tmp_path) == [f"step-{step:09}.pt" for step in (5, 10, 20)]


def test_other_files_in_the_folder_are_left_alone(
    training: CheckpointedState, tmp_path: Path
) -> None:
    (tmp_path / "notes.pt").write_text("mine")
    save(tmp_path, training, 1, 2, 3)
    assert (tmp_path / "notes.pt").read_text() == "mine"


def test_moments_that_share_their_values_are_no_checkpoint(
    training: CheckpointedState, tmp_path: Path
) -> None:
    """Their shapes are compared with nothing, and copies of them would be whole."""
    save(tmp_path, training, 10)
    path = tmp_path / "step-000000010.pt"
    content = torch.load(path, weights_only=True)
    content["state"]["adam"]["state"] = {0: {"exp_avg": torch.zeros(1).double().expand(10**12)}}
    torch.save(content, path)
    with pytest.raises(OtherContentError, match="its tensors share their values"):
        load_checkpoint(path, training)


FULL = """
import resource, sys
from pathlib import Path
from pipeline.errors import PipelineError
from tests.training.test_checkpoints import CPU, PARAMS, Checkpoints, new_checkpointed_state
checkpoints = Checkpoints(Path(sys.argv[1]))
training = new_checkpointed_state(PARAMS, CPU)
checkpoints.restore_newest(training, 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
training.state.step = 21
try:
    checkpoints.save(training, {})
except PipelineError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.limits_files
def test_a_write_that_fails_is_one_line_and_costs_nothing(
    training: CheckpointedState, tmp_path: Path
) -> None:
    """A limit on the size of files stands in for a full disk: the write fails half way."""
    save(tmp_path, training, 10, 20)
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    path = tmp_path / "step-000000021.pt"
    assert ended.stdout == f"{path}: cannot be written: File too large\n", ended.stderr
    assert ended.stderr == ""
    assert names(tmp_path) == ["step-000000010.pt", "step-000000020.pt"]
    assert restored(tmp_path)[0].state.step == 20


def test_a_checkpoint_is_a_generators_file_too(training: CheckpointedState, tmp_path: Path) -> None:
    with torch.no_grad():
        for weight in training.state.ema.parameters():
            weight.add_(1.0)
    save(tmp_path, training, 10)
    path = tmp_path / "step-000000010.pt"
    loaded = load_generator(path)
    assert loaded.metadata["step"] == "10"
    expected = training.state.ema.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in loaded.generator.state_dict().items())
    path.write_bytes(one_byte_changed(path.read_bytes()))
    with pytest.raises(
        PipelineError, match=r"000010\.pt: no whole file of weights .*wrong checksum"
    ):
        load_generator(path)

"""What makes two runs one, where a run goes on, and what is kept of those that ended."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file

from pipeline.errors import PipelineError, UsageError
from pipeline.fingerprints import short_hash
from pipeline.locks import hold
from pipeline.networks.files import load_generator
from pipeline.networks.perceptual.weights import backbone_state
from pipeline.params import TrainParams
from pipeline.params.generator import RRDBParams, SRResNetParams
from pipeline.params.optimiser import AdamParams, MuonParams
from pipeline.training.checkpoints import CHECKPOINT_FORMAT, Checkpoints
from pipeline.training.run_description import (
    Description,
    describe_run,
    differences,
)
from pipeline.training.run_folders import (
    LOCK_FILE,
    nearest_checkpoints,
    read_record,
    record_end,
    record_start,
    recorded_resume_sha256,
    remove_run,
)
from tests.evaluation.world import make_world
from tests.training.runs import Recorded, RecordedProgress, run

PARAMS = TrainParams(generator=SRResNetParams(blocks=1, features=8))
INPUTS = {
    "train_images_sha256": "m",
    "folders_sha256": None,
    "init_sha256": None,
    "resume_sha256": None,
    "vgg_sha256": "v",
    "lpips_loss_sha256": None,
    "dists_loss_sha256": None,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 5, "val": 3, "test": 1})
    return root


def described(
    changes: dict[str, object] | None = None,
    steps: int = 10,
    inputs: dict[str, str | None] = INPUTS,
    code: dict[str, str] | None = None,
    torch_version: str = "2.13",
) -> Description:
    params = PARAMS.model_copy(update=changes or {})
    versions = {"torch": torch_version}
    config = {"blocks": params.generator.blocks}
    return describe_run(params, config, steps, "fp32", False, inputs, code or {}, versions)


def test_a_loss_of_weight_0_is_no_other_run() -> None:
    same, other = ({"extra_losses": {"gradient": weight}} for weight in (0.0, 0.5))
    assert described(same) == described()
    assert described(other) != described()


@pytest.mark.parametrize(
    "changes",
    [
        {"adv_weight": 2.0},
        {"lr": 1e-3},
        {"seed": 1},
        {"ema": 0.5},
        {"pretrain_steps": 3},
        {"generator": RRDBParams(blocks=1)},
        {"generator": SRResNetParams(blocks=2)},
        {"optimiser": MuonParams()},
        {"optimiser": AdamParams(beta1=0.9)},
    ],
)
def test_what_shapes_the_weights_shapes_the_key(changes: dict[str, object]) -> None:
    assert short_hash(described(changes)) != short_hash(described())


@pytest.mark.parametrize("name", INPUTS)
def test_other_files_are_another_run(name: str) -> None:
    assert short_hash(described(inputs=INPUTS | {name: "other"})) != short_hash(described())


def test_other_code_and_other_versions_are_another_run() -> None:
    assert short_hash(described(code={"a": "1"})) != short_hash(described())
    assert short_hash(described(torch_version="2.14")) != short_hash(described())


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "cpu"},
        {"checkpoint_seconds": 1.0},
        {"log_every": 3},
        {"validate_every": 3},
        {"validation_images": 3},
        {"processes": 2},
        {"ema": 0.999},
        {"pretrain_steps": 2},
    ],
)
def test_what_does_not_shape_the_weights_does_not(changes: dict[str, object]) -> None:
    assert short_hash(described(changes)) == short_hash(described())


def test_more_steps_are_a_longer_run_where_no_step_depends_on_their_number() -> None:
    assert short_hash(described(steps=20)) != short_hash(described(steps=10))
    for changes in ({"pretrain_steps": 2}, {"adv_weight": 0.0}):
        assert short_hash(described(changes, 20)) == short_hash(described(changes, 10))
        cosine = changes | {"lr_schedule": "cosine"}
        assert short_hash(described(cosine, 20)) != short_hash(described(cosine, 10))


def test_without_a_discriminator_its_params_do_not_count() -> None:
    distortion: dict[str, object] = {"adv_weight": 0.0}
    more = {"content_weight": 3.0, "relativistic": True, "warmup_steps": 9}
    assert short_hash(described(distortion | more)) == short_hash(described(distortion))


def test_differences_say_what_differs() -> None:
    theirs = described({"lr": 2e-4}, code={"a": "1", "b": "1"})
    ours = described(
        {"lr": 1e-4}, inputs=INPUTS | {"train_images_sha256": "n"}, torch_version="2.14"
    )
    assert differences(theirs, ours) == [
        "train.lr 0.0002, here 0.0001",
        "the manifest has other training images",
        "code: a, b changed",
        "torch 2.13, here 2.14",
    ]
    assert differences({"format": 1}, ours) == ["another version of the program wrote it"]
    many = described(code={"a": "1", "b": "1", "c": "1"})
    assert differences(many, described()) == ["code: a, b and 1 more changed"]


def kept(
    root: Path,
    name: str,
    step: int,
    description: Description,
    ended: bool,
    resume: str | None = None,
    init: str | None = None,
) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / f"step-{step:09}.pt").touch()
    record_start(folder, description, step, resume, init)
    if ended:
        checkpoints = Checkpoints(folder, newest=folder / f"step-{step:09}.pt")
        record_end(checkpoints, step)
    return folder


def test_the_nearest_runs_are_named_in_three_lines(tmp_path: Path) -> None:
    kept(tmp_path, "far", 900, described({"lr": 1.0, "seed": 3}), ended=False)
    near = kept(tmp_path, "near", 100, described({"lr": 1.0}), ended=False)
    kept(tmp_path, "farthest", 900, described({"lr": 1.0, "seed": 3, "crop": 32}), ended=False)
    (tmp_path / "empty").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old/step-000000007.pt").touch()
    assert nearest_checkpoints(tmp_path, described()) == [
        f"{near}/step-000000100.pt does not fit: train.lr 1.0, here 0.0002",
        f"{tmp_path}/far/step-000000900.pt does not fit: train.lr 1.0, here 0.0002; "
        "train.seed 3, here 0",
        f"to go on from the first all the same: train.resume={near}/step-000000100.pt",
    ]
    done = kept(tmp_path, "done", 200, described({"lr": 1.0}), ended=True)
    assert nearest_checkpoints(tmp_path, described())[-1] == (
        f"to go on from the first all the same: train.resume={done}/step-000000200.pt; "
        "copy it at once, this training removes it at its end"
    )
    lines = nearest_checkpoints(tmp_path, described(), done / "step-000000200.pt")
    assert not any("done" in line for line in lines)
    shutil.rmtree(done)
    assert nearest_checkpoints(tmp_path / "none", described()) == []
    for name in ("far", "farthest", "near"):
        shutil.rmtree(tmp_path / name)
    (line,) = nearest_checkpoints(tmp_path, described())
    assert line.endswith("step-000000007.pt does not fit: another version of the program wrote it")


@pytest.mark.parametrize(
    "other",
    [
        {"generator": RRDBParams(blocks=1)},
        {"generator": SRResNetParams(blocks=2)},
        {"discriminator": "unet"},
        {"optimiser": MuonParams()},
        {"adv_weight": 0.0},
    ],
)
def test_no_checkpoint_of_other_networks_is_offered(
    other: dict[str, object], tmp_path: Path
) -> None:
    kept(tmp_path, "other", 100, described(other), ended=False)
    (line,) = nearest_checkpoints(tmp_path, described())
    assert "does not fit" in line
    less_near = kept(tmp_path, "same", 9, described({"lr": 1.0, "seed": 2, "crop": 96}), ended=True)
    *_, hint = nearest_checkpoints(tmp_path, described())
    assert f"all the same: train.resume={less_near}/step-000000009.pt" in hint


def run_file(**changes: object) -> bytes:
    content = {"description": described(), "finished": True, "step": 1, "resume": None}
    return json.dumps(content | changes).encode()


FOREIGN = {
    "list": b"[]",
    "no UTF-8": b"\xff",
    "deep": b"[" * 100_000,
    "description list": run_file(description=[]),
    "only a format": run_file(description={"format": CHECKPOINT_FORMAT}),
    "params list": run_file(description={**described(), "params": [1]}),
    "input number": run_file(description={**described(), "inputs": {"resume_sha256": 1}}),
    "code list": run_file(description={**described(), "code": []}),
    "version list": run_file(description={**described(), "versions": {"torch": []}}),
    "another format": run_file(description={"format": CHECKPOINT_FORMAT + 1}),
    "format list": run_file(description={"format": [CHECKPOINT_FORMAT]}),
    "step below 0": run_file(step=-1),
    "step text": run_file(step="1"),
    "finished number": run_file(finished=1),
    "resume list": run_file(resume=["model.pt"]),
    "resume zero byte": run_file(resume="\0"),
    "init number": run_file(init=1),
}


def test_a_run_whose_folder_cannot_be_read_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(tmp_path, "run", 100, described({"lr": 1.0}), ended=False)
    foreign = kept(tmp_path, "foreign", 100, described({"lr": 1.0}), ended=False)
    iterdir = Path.iterdir

    def refuse(folder: Path) -> Iterator[Path]:
        if folder == foreign:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    hint, _ = nearest_checkpoints(tmp_path, described())
    assert hint.startswith(f"{tmp_path}/run/step-000000100.pt does not fit: ")


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_run_file_stops_no_training_and_is_kept(content: bytes, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    path = foreign / "step-000000007.pt"
    path.touch()
    (foreign / "run.json").write_bytes(content)
    fault = f"{path} does not fit: another version of the program wrote it"
    assert nearest_checkpoints(tmp_path, described()) == [fault]
    assert recorded_resume_sha256(tmp_path, "model.pt") is None
    last = kept(tmp_path, "last", 10, described(), ended=False)
    assert record_end(Checkpoints(last, last / "step-000000010.pt"), 10) == []
    assert path.exists()
    assert (foreign / "run.json").read_bytes() == content


def test_a_run_of_another_format_records_no_file(tmp_path: Path) -> None:
    (tmp_path / "older").mkdir()
    content = run_file(description={"format": CHECKPOINT_FORMAT - 1}, resume="model.pt")
    (tmp_path / "older/run.json").write_bytes(content)
    assert recorded_resume_sha256(tmp_path, "model.pt") is None


def test_a_foreign_value_breaks_no_line(tmp_path: Path) -> None:
    kept(tmp_path, "run", 10, described({"lr_schedule": "a\nb\x1b"}), ended=False)
    lines = nearest_checkpoints(tmp_path, described())
    assert "train.lr_schedule a b\N{REPLACEMENT CHARACTER}, here constant" in lines[0]
    assert all(line.isprintable() for line in lines)


def test_of_finished_runs_the_last_is_kept_and_of_others_all(tmp_path: Path) -> None:
    first = kept(tmp_path, "first", 10, described({"seed": 1}), ended=True)
    unfinished = kept(tmp_path, "unfinished", 10, described({"seed": 2}), ended=False)
    last = kept(tmp_path, "last", 10, described({"seed": 3}), ended=True)
    assert not first.exists()
    assert [path.name for path in unfinished.glob("*.pt")] == ["step-000000010.pt"]
    content = json.loads((last / "run.json").read_text())
    assert (content["finished"], content["step"]) == (True, 10)
    assert content["description"]["params"]["seed"] == 3


def test_each_removed_run_is_named(tmp_path: Path) -> None:
    first = kept(tmp_path, "first", 10, described({"seed": 1}), ended=True)
    last = kept(tmp_path, "last", 10, described({"seed": 2}), ended=False)
    lines = record_end(Checkpoints(last, last / "step-000000010.pt"), 10)
    assert lines == [f"{first}: removed; of finished runs the last one is kept"]


def test_a_run_whose_file_is_needed_is_kept(tmp_path: Path) -> None:
    first = kept(tmp_path, "first", 10, described({"seed": 1}), ended=True)
    last = kept(tmp_path, "last", 10, described({"seed": 2}), ended=False)
    checkpoints = Checkpoints(last, last / "step-000000010.pt")
    assert record_end(checkpoints, 10, ["models/checkpoints/first/step-000000010.pt"]) == []
    assert first.exists()
    record_end(checkpoints, 10)
    assert not first.exists()


@pytest.mark.parametrize("key", ["resume", "init"])
def test_a_run_from_which_others_began_is_kept_as_long_as_they_are(
    key: str, tmp_path: Path
) -> None:
    source = kept(tmp_path, "source", 10, described(), ended=True)
    start = {key: f"models/checkpoints/{source.name}/step-000000010.pt"}
    for seed in (1, 2):
        kept(tmp_path, f"sweep{seed}", 10, described({"seed": seed}), ended=True, **start)
        assert source.exists()
    failed = kept(tmp_path, "sweep3", 5, described({"seed": 3}), ended=False, **start)
    kept(tmp_path, "another", 10, described({"seed": 4}), ended=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another", "source", "sweep3"]
    record_start(failed, described({"seed": 3}), 5)
    kept(tmp_path, "last", 10, described({"seed": 5}), ended=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "sweep3"]


def test_a_run_that_was_named_by_a_link_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "checkpoints"
    source = kept(root, "source", 10, described(), ended=True)
    link = tmp_path / "start.pt"
    link.symlink_to(source / "step-000000010.pt")
    kept(root, "last", 10, described({"seed": 1}), ended=True, init=str(link))
    assert source.exists()


def test_a_run_that_is_no_longer_finished_is_not_removed(tmp_path: Path) -> None:
    folder = kept(tmp_path, "run", 10, described(), ended=True)
    record_start(folder, described(), 20)
    assert not remove_run(folder)
    assert (folder / "step-000000010.pt").exists()


def test_a_file_system_without_locks_removes_runs_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept(tmp_path, "first", 10, described(), ended=True)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr("fcntl.flock", refuse)
    assert remove_run(first)
    assert not first.exists()


def test_a_file_that_is_gone_and_was_two_is_not_guessed(tmp_path: Path) -> None:
    for name, sha256 in (("a", "1"), ("b", "1"), ("c", "2")):
        inputs = INPUTS | {"resume_sha256": sha256}
        kept(tmp_path, name, 10, described(inputs=inputs), ended=False, resume=f"{sha256}.pt")
    assert recorded_resume_sha256(tmp_path, "1.pt") == "1"
    assert recorded_resume_sha256(tmp_path, "3.pt") is None
    inputs = INPUTS | {"resume_sha256": "3"}
    kept(tmp_path, "d", 10, described(inputs=inputs), ended=False, resume="1.pt")
    with pytest.raises(UsageError) as raised:
        recorded_resume_sha256(tmp_path, "1.pt")
    assert str(raised.value) == (
        "train.resume: 1.pt is gone, and runs of 2 files of that name are kept; name another"
    )


def test_a_folder_in_which_a_process_works_is_not_removed(tmp_path: Path) -> None:
    first = kept(tmp_path, "first", 10, described(), ended=True)
    with FileLock(first / "lock"):
        kept(tmp_path, "second", 10, described(), ended=True)
        assert not remove_run(first)
        assert (first / "step-000000010.pt").exists()
    assert remove_run(first)
    assert not first.exists()


def test_a_run_that_is_made_longer_is_unfinished_again(tmp_path: Path) -> None:
    folder = kept(tmp_path, "run", 10, described(), ended=True)
    for steps, finished in ((10, True), (5, True), (20, False)):
        record_start(folder, described(), steps, None)
        again = read_record(folder)
        assert again is not None
        assert again.finished is finished


def test_a_run_that_another_process_trains_is_refused(world: Path, tmp_path: Path) -> None:
    run(world, tmp_path, steps=3)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    with (
        hold(folder / LOCK_FILE, "pipeline train"),
        pytest.raises(PipelineError, match=r"lock: pipeline train is running already \(process "),
    ):
        run(world, tmp_path, steps=4)
    run(world, tmp_path, steps=4)


def interrupted(world: Path, models: Path, step: int, **changes: object) -> RecordedProgress:
    progress = RecordedProgress()
    with pytest.raises(KeyboardInterrupt):
        run(world, models, Recorded(signal_at=step, number=signal.SIGINT), progress, **changes)
    return progress


@pytest.mark.parametrize("kind", [{"adv_weight": 0.01}, {"adv_weight": 0}])
def test_a_longer_run_is_the_one_that_was_never_shorter(
    kind: dict[str, object], world: Path, tmp_path: Path
) -> None:
    """It had ended at a step that is no multiple of those that are logged and validated."""
    changes = kind | {"log_every": 2, "validate_every": 3, "lr": 0.003}
    whole, parts = Recorded(), Recorded()
    expected = run(world, tmp_path / "whole", whole, steps=8, **changes)
    short = run(world, tmp_path / "parts", parts, steps=5, **changes)
    assert [step for step, row in parts.rows if "val/psnr_y" in row] == [3, 5]
    assert short.figures == parts.rows[-1][1]
    progress = RecordedProgress()
    longer = run(world, tmp_path / "parts", parts, progress, steps=8, **changes)
    assert "training goes on from step 5 of 8" in progress.messages
    for name in ("generator.safetensors", "best.safetensors"):
        content = [(tmp_path / which / name).read_bytes() for which in ("whole", "parts")]
        assert content[0] == content[1]
    assert parts.rows == whole.rows
    assert np.array_equal(parts.pictures, whole.pictures)
    assert longer.figures == expected.figures


def test_a_shorter_run_is_the_one_that_was_never_longer(world: Path, tmp_path: Path) -> None:
    changes = {"adv_weight": 0, "checkpoint_seconds": 1000.0}
    run(world, tmp_path / "parts", steps=6, **changes)
    progress = RecordedProgress()
    short = run(world, tmp_path / "parts", progress=progress, steps=4, **changes)
    assert any("training starts at step 0" in message for message in progress.messages)
    whole = run(world, tmp_path / "whole", steps=4, **changes)
    assert short.generator.read_bytes() == whole.generator.read_bytes()
    (folder,) = (tmp_path / "parts/checkpoints").iterdir()
    kept = [path.name for path in sorted(folder.glob("*.pt"))]
    assert kept == ["step-000000004.pt", "step-000000006.pt"]


def test_other_rows_and_validations_leave_the_weights_as_they_are(
    world: Path, tmp_path: Path
) -> None:
    changes = {"log_every": 2, "validate_every": 2, "validation_images": 1}
    expected = run(world, tmp_path / "whole", **changes)
    interrupted(world, tmp_path / "parts", 4)
    progress = RecordedProgress()
    resumed = run(world, tmp_path / "parts", progress=progress, **changes)
    assert "training goes on from step 4 of 6" in progress.messages
    assert any("is measured again" in message for message in progress.messages)
    assert resumed.generator.read_bytes() == expected.generator.read_bytes()


def test_a_finished_training_is_validated_on_the_present_pictures(
    world: Path, tmp_path: Path
) -> None:
    changes = {"adv_weight": 0, "steps": 3}
    before = run(world, tmp_path / "parts", **changes).figures
    rows = Recorded()
    again = run(world, tmp_path / "parts", rows, validation_images=1, **changes)
    expected = run(world, tmp_path / "whole", validation_images=1, **changes)
    assert again.figures == expected.figures != before
    assert rows.rows[-1] == (3, expected.figures)
    assert rows.pictures is not None
    assert rows.pictures.shape == (64, 64, 3)


def test_the_best_is_measured_again_when_alexnets_weights_appear(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A score in dB is larger than any of -LPIPS: the first best would stay for ever."""
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path / "none"))
    interrupted(world, tmp_path, 4)
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path))
    save_file(backbone_state("alexnet", "random"), tmp_path / "alexnet.safetensors")
    progress = RecordedProgress()
    run(world, tmp_path, Recorded(), progress)
    assert any("of step 3, is measured again" in message for message in progress.messages)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    saved = torch.load(max(folder.glob("*.pt")), weights_only=True)["state"]
    assert saved["best_measure"].startswith("lpips ")
    assert -1 < saved["best_score"] < 0


def test_an_interrupted_training_leaves_a_file_that_can_be_used(
    world: Path, tmp_path: Path
) -> None:
    progress = interrupted(world, tmp_path, 4)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    path = folder / "step-000000004.pt"
    expected = f"step 4 can be used: pipeline upscale picture.png --model {path}"
    assert progress.messages[-1] == expected
    metadata = load_generator(path).metadata
    assert metadata["step"] == "4"
    assert metadata["torch"] == torch.__version__
    assert metadata["device"] == "cpu"
    assert metadata["precision"] in ("bf16", "fp32")


def test_a_finished_run_keeps_one_checkpoint(world: Path, tmp_path: Path) -> None:
    run(world, tmp_path)
    (folder,) = (tmp_path / "checkpoints").iterdir()
    assert [path.name for path in folder.glob("*.pt")] == ["step-000000006.pt"]
    ended = read_record(folder)
    assert ended is not None
    assert (ended.finished, ended.step) == (True, 6)


def test_another_run_is_continued_on_purpose(world: Path, tmp_path: Path) -> None:
    """With a rate of nearly zero the weights stay those of the other run, also its moments."""
    interrupted(world, tmp_path / "first", 4)
    (folder,) = (tmp_path / "first/checkpoints").iterdir()
    given = folder / "step-000000004.pt"
    progress, recorded = RecordedProgress(), Recorded()
    changes = {"resume": given, "lr": 1e-20, "optimiser.beta1": 0.7, "steps": 7}
    result = run(world, tmp_path / "second", recorded, progress, **changes)
    assert "training goes on from step 4 of 7" in progress.messages
    assert [step for step, row in recorded.rows if "train/loss" in row] == list(range(1, 8))
    before = torch.load(given, weights_only=True)["state"]["generator"]
    (folder,) = (tmp_path / "second/checkpoints").iterdir()
    saved = torch.load(max(folder.glob("*.pt")), weights_only=True)["state"]
    weights = [name for name in before if "running" not in name and "tracked" not in name]
    assert all(torch.equal(before[name], saved["generator"][name]) for name in weights)
    assert saved["discriminator_optimiser"]["param_groups"][0]["betas"] == (0.7, 0.999)
    given.unlink()
    progress = RecordedProgress()
    again = run(world, tmp_path / "second", progress=progress, **changes)
    assert "training is already at step 7 of 7" in progress.messages
    assert again.generator.read_bytes() == result.generator.read_bytes()


def test_what_cannot_be_continued_is_one_line(world: Path, tmp_path: Path) -> None:
    interrupted(world, tmp_path / "first", 4)
    (folder,) = (tmp_path / "first/checkpoints").iterdir()
    given = folder / "step-000000004.pt"
    for changes, problem in (
        ({"generator.blocks": 2}, "it was trained with train.generator.blocks 1"),
        ({"adv_weight": 0}, "it has discriminator, discriminator_optimiser, which this"),
        ({"steps": 3}, "it is of step 4, after the 3 steps that this training has"),
        ({"resume": "nowhere.pt"}, "nowhere.pt: no such file"),
        ({"init": given}, "train.init names another start"),
    ):
        with pytest.raises(UsageError) as raised:
            run(world, tmp_path / "second", **({"resume": given} | changes))
        assert problem in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_plain_file_in_the_place_of_the_folder_is_one_line(world: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with pytest.raises(PipelineError, match="checkpoints: is a file, and a folder is needed"):
        run(world, tmp_path)


def test_a_result_that_dvc_removed_is_not_taken_for_a_wrong_name(
    world: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="it is a result of this stage, removed before"):
        run(world, tmp_path, init=tmp_path / "generator.safetensors")

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.curves import NAMES
from pipeline.manifest.rows import read_manifest, write_manifest
from pipeline.networks.files import load_generator
from pipeline.networks.perceptual.weights import WeightsUnavailableError, backbone_state
from pipeline.params.file import override
from pipeline.training import run_setup
from pipeline.training.trainer import train
from tests.evaluation.world import make_world
from tests.platforms import limits_memory
from tests.training.runs import OTHER_KIND, SMALL, Recorded, RecordedProgress, run

KINDS: dict[str, dict[str, object]] = {
    "srgan": {"adv_weight": 0.01},
    "mse": {"adv_weight": 0, "pretrain_steps": 0},
    "srgan in bf16": {"adv_weight": 0.01, "precision": "bf16"},
    "mse in fp16": {"adv_weight": 0, "pretrain_steps": 0, "precision": "fp16", "crop": 16},
    "mse without norm or average": {"adv_weight": 0, "generator.norm": "none", "ema": 0},
    "relativistic, cosine, clipped": {
        "adv_weight": 0.01,
        "relativistic": True,
        "lr_schedule": "cosine",
        "max_grad_norm": 0.1,
    },
    "unet": {"adv_weight": 0.01, "discriminator": "unet", "relativistic": True},
    "muon": {"adv_weight": 0.01, "optimiser.kind": "muon", "lr_schedule": "cosine"},
    "web": {"adv_weight": 0, "degradation": "web"},
    "heavy": {
        "adv_weight": 0,
        "degradation": "heavy",
        "degradation_strengths": "noise_prob2=0,jpeg_range2=[60,95]",
    },
    "rrdb": {"adv_weight": 0.01, **OTHER_KIND, "generator.kind": "rrdb", "generator.growth": 4},
    "rcan": {
        "adv_weight": 0,
        **OTHER_KIND,
        "generator.kind": "rcan",
        "generator.groups": 1,
        "generator.reduction": 4,
    },
    "compact": {"adv_weight": 0, **OTHER_KIND, "generator.kind": "compact"},
    "span by muon": {
        "adv_weight": 0.01,
        **OTHER_KIND,
        "generator.kind": "span",
        "generator.blocks": "null",
        "optimiser.kind": "muon",
    },
    "more losses": {
        "adv_weight": 0.01,
        "extra_losses": "ssim=0.1,gradient=1,colour=1,artifacts=1",
    },
    "plksr": {"adv_weight": 0, **OTHER_KIND, "generator.kind": "plksr", "generator.kernel": 5},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"train": 5, "val": 3, "test": 1})
    return root


def train_and_kill(world: Path, models: Path, step: int, **changes: object) -> None:
    """Train in a process of its own, which dies of SIGKILL right after a step."""
    texts = [f"{name}={value}" for name, value in changes.items()]
    command = [sys.executable, "-m", "tests.training.runs", str(world), str(models), str(step)]
    ended = subprocess.run([*command, *texts], env=os.environ, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_ends_with_the_same_bytes(
    kind: str, world: Path, tmp_path: Path
) -> None:
    whole, parts = Recorded(), Recorded(signal_at=3, number=signal.SIGINT)
    expected = run(world, tmp_path / "whole", whole, **KINDS[kind])
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "parts", parts, **KINDS[kind])
    assert not (tmp_path / "parts/generator.safetensors").exists()
    resumed = run(world, tmp_path / "parts", parts, **KINDS[kind])
    assert resumed.generator.read_bytes() == expected.generator.read_bytes()
    best = [tmp_path / name / "best.safetensors" for name in ("whole", "parts")]
    assert best[0].read_bytes() == best[1].read_bytes()
    assert parts.rows == whole.rows
    assert np.array_equal(parts.pictures, whole.pictures)
    assert (resumed.steps, resumed.figures) == (6, expected.figures)


@pytest.mark.parametrize(("kind", "step"), [("srgan", 4), ("mse", 1)])
def test_a_killed_training_ends_with_the_same_bytes(
    kind: str, step: int, world: Path, tmp_path: Path
) -> None:
    train_and_kill(world, tmp_path / "killed", step, **KINDS[kind])
    progress, rows = RecordedProgress(), Recorded()
    resumed = run(world, tmp_path / "killed", rows, progress, **KINDS[kind])
    if step > 1:
        assert progress.messages[1].startswith(f"training goes on from step {step - 1} of 6")
    whole = Recorded()
    expected = run(world, tmp_path / "whole", whole, **KINDS[kind])
    assert resumed.generator.read_bytes() == expected.generator.read_bytes()
    assert rows.rows == whole.rows


def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    world: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path, Recorded(signal_at=5, number=signal.SIGINT))
    newest = max((tmp_path / "checkpoints").rglob("*.pt"))
    assert newest.name == "step-000000005.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    progress = RecordedProgress()
    result = run(world, tmp_path, progress=progress)
    assert progress.messages[1].startswith(f"{newest}: damaged, renamed to {newest.name}.damaged (")
    assert progress.messages[2] == "training goes on from step 4 of 6"
    whole = run(world, tmp_path / "whole")
    assert result.generator.read_bytes() == whole.generator.read_bytes()


def test_a_finished_training_is_only_exported_again(world: Path, tmp_path: Path) -> None:
    first = Recorded()
    path = run(world, tmp_path, first).generator
    content = path.read_bytes()
    path.unlink()
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.pt")}
    progress, again = RecordedProgress(), Recorded()
    run(world, tmp_path, again, progress)
    assert path.read_bytes() == content
    warned, *others = progress.messages
    assert warned.startswith("note: train.vgg is random: ")
    assert others == ["training is already at step 6 of 6"]
    assert "read images" not in progress.labels
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.pt")} == kept
    assert again.rows == first.rows
    assert np.array_equal(again.pictures, first.pictures)


def test_only_training_images_make_another_training(world: Path, tmp_path: Path) -> None:
    """A tag changed in the manifest, or an image for testing, costs no step."""
    shutil.copytree(world, tmp_path, dirs_exist_ok=True)
    manifest, models = tmp_path / "data/manifest.csv", tmp_path / "models"
    run(tmp_path, models, steps=4)
    rows = read_manifest(manifest)
    train = [row for row in rows if row.split == "train"]
    tagged = [replace(row, tags=("other",)) for row in rows if row.split != "test"]
    write_manifest(manifest, tagged)
    progress = RecordedProgress()
    run(tmp_path, models, progress=progress)
    assert "training goes on from step 4 of 6" in progress.messages
    write_manifest(manifest, [row for row in tagged if row.id != train[0].id])
    progress = RecordedProgress()
    run(tmp_path, models, progress=progress)
    assert progress.messages[1].endswith("does not fit: the manifest has other training images")


def test_other_params_train_beside_it(world: Path, tmp_path: Path) -> None:
    first = run(world, tmp_path).generator.read_bytes()
    progress = RecordedProgress()
    assert run(world, tmp_path, progress=progress, adv_weight=0).generator.read_bytes() != first
    assert not any("step 6 of 6" in message for message in progress.messages)
    assert progress.messages[0].endswith("does not fit: train.adv_weight 1.0, here 0.0")


def test_a_generator_below_bicubic_is_reported(world: Path, tmp_path: Path) -> None:
    progress = RecordedProgress()
    (warning,) = run(world, tmp_path, progress=progress).warnings
    assert re.fullmatch(
        r"the generator has collapsed, far below bicubic interpolation, \d\d\.\d+ dB: lower "
        r"train\.lr or train\.adv_weight",
        warning,
    )
    assert progress.messages[-1].startswith("step 6: validation psnr_y ")
    assert progress.messages[-1].endswith(f"; {warning}")
    assert run(world, tmp_path).warnings == [warning]
    above = run(world, tmp_path, adv_weight=0, lr=1e-9, **OTHER_KIND)
    assert above.warnings == []


def test_the_losses_follow_the_schedule(world: Path, tmp_path: Path) -> None:
    """Two steps on pixels alone, then the adversarial weight grows over two steps."""
    recorded = Recorded()
    run(world, tmp_path, recorded, adv_weight=0.5, content_weight=0.01, loss_without_adv="l1")
    rows = [row for _, row in recorded.rows if "train/loss" in row]
    assert [set(row) for row in rows[:2]] == [{"train/loss", "train/l1"}] * 2
    for row, weight in zip(rows[2:], [0.25, 0.5, 0.5, 0.5], strict=True):
        expected = 0.01 * row["train/content"] + weight * row["train/adversarial"]
        assert row["train/loss"] == pytest.approx(expected + 0.1 * row["train/pixel"], rel=1e-5)
        assert 0 < row["train/d_sr"] < 1
        assert 0 < row["train/d_hr"] < 1
        assert row["train/discriminator"] > 0
    assert {name for _, row in recorded.rows for name in row} <= NAMES.keys()


def test_validation_comes_in_time_and_at_the_end(world: Path, tmp_path: Path) -> None:
    recorded = Recorded()
    result = run(world, tmp_path, recorded, steps=5)
    steps = [step for step, row in recorded.rows if "val/psnr_y" in row]
    assert steps == [3, 5]
    assert result.figures == recorded.rows[-1][1]
    assert recorded.pictures is not None
    assert recorded.pictures.shape == (2 * 64, 2 * 64, 3)


def test_without_adversarial_weight_nothing_of_it_is_needed(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path))
    recorded = Recorded()
    path = run(world, tmp_path, recorded, adv_weight=0, vgg="imagenet").generator
    assert all(set(row) == {"train/loss", "train/mse"} for _, row in recorded.rows[:2])
    checkpoint = torch.load(max(tmp_path.rglob("*.pt")), weights_only=True)
    assert not any("discriminator" in name for name in checkpoint)
    metadata = load_generator(path).metadata
    assert (metadata["adversarial"], metadata["vgg"], metadata["step"]) == ("false", "none", "6")
    with pytest.raises(WeightsUnavailableError, match="vgg16"):
        run(world, tmp_path, vgg="imagenet")


def test_the_best_generator_is_that_of_the_best_validation(world: Path, tmp_path: Path) -> None:
    """At a rate far too high the first validation is the best."""
    recorded = Recorded()
    result = run(world, tmp_path, recorded, adv_weight=0, lr=0.03, ema=0, validate_every=2)
    psnr = {step: row["val/psnr_y"] for step, row in recorded.rows if "val/psnr_y" in row}
    best = max(psnr, key=lambda step: psnr[step])
    assert list(psnr) == [2, 4, 6]
    assert best != 6
    kept = tmp_path / "best.safetensors"
    assert load_generator(kept).metadata["step"] == str(best)
    stopped = run(world, tmp_path / "stopped", adv_weight=0, lr=0.03, ema=0, steps=best)
    of_both = [load_generator(path).generator for path in (kept, stopped.generator)]
    for ours, theirs in zip(*(network.parameters() for network in of_both), strict=True):
        assert torch.equal(ours, theirs)
    assert load_generator(result.generator).metadata["step"] == "6"


def test_training_goes_on_from_given_weights(world: Path, tmp_path: Path) -> None:
    first = run(world, tmp_path / "first", adv_weight=0).generator
    changes = {"init": first, "steps": 1, "lr": 1e-20, "adv_weight": 0, "seed": 5}
    again = run(world, tmp_path / "again", **changes).generator
    before, after = (load_generator(path).generator.state_dict() for path in (first, again))
    weights = [name for name in before if "running" not in name and "tracked" not in name]
    assert all(torch.equal(before[name], after[name]) for name in weights)
    with pytest.raises(
        UsageError, match=r"^train\.init: .* was trained with train\.generator\.skip none; set"
    ):
        run(world, tmp_path / "other", init=first, **{"generator.skip": "bicubic"})
    with pytest.raises(UsageError, match=r"^train\.init: nowhere is no file, and no model that"):
        run(world, tmp_path / "other", init="nowhere")


def test_a_start_may_have_the_name_of_a_choice_of_vgg(world: Path, tmp_path: Path) -> None:
    """Relative names are the project's, also where the working folder is another."""
    first = run(world, tmp_path / "first", adv_weight=0, steps=1).generator
    shutil.copy(first, tmp_path / "random")
    params = override(SMALL, {"adv_weight": "0", "steps": "1", "init": "random"})
    folders = world / "data/manifest.csv", world / "data/resized", tmp_path / "again"
    assert train(params, *folders, Recorded(), project=tmp_path) is not None


def test_a_deeper_generator_goes_on_from_a_shallower_one(world: Path, tmp_path: Path) -> None:
    changes = {"steps": 1, "lr": 1e-20, "adv_weight": 0, "generator.norm": "none"}
    deeper = changes | {"generator.blocks": 2}
    first = run(world, tmp_path / "first", **changes)
    grown = run(world, tmp_path / "grown", init=first.generator, **deeper)
    assert grown.figures["val/psnr_y"] == pytest.approx(first.figures["val/psnr_y"], abs=1e-4)
    with pytest.raises(UsageError, match=r"was trained with train\.generator\.blocks 2; set that$"):
        run(world, tmp_path / "other", init=grown.generator, **changes)


def test_other_given_weights_are_another_training(world: Path, tmp_path: Path) -> None:
    progress = RecordedProgress()
    for steps in (1, 2):
        given = run(world, tmp_path / "given", adv_weight=0, steps=steps).generator
        run(world, tmp_path / "further", progress=progress, adv_weight=0, init=given)
    first, *_ = (message for message in progress.messages if "does not fit" in message)
    assert first.endswith("does not fit: train.init is another file")


def test_whether_networks_are_compiled_is_decided_by_the_kept_runs(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int | None, int | None]] = []

    def decide(params, steps, device, group, kept_step, report) -> bool:
        seen.append((kept_step(False), kept_step(True)))
        return False

    monkeypatch.setattr(run_setup, "is_compiled", decide)
    for steps in (2, 3, 1):
        run(world, tmp_path, adv_weight=0, steps=steps)
    assert seen == [(None, None), (2, None), (None, None)]


def test_lpips_is_measured_where_its_weights_are(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random ones here: that they are found and used, not what they say."""
    state = backbone_state("alexnet", "random")
    save_file(state, tmp_path / "alexnet.safetensors")
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path))
    recorded = Recorded()
    run(world, tmp_path, recorded)
    found = {step: row["val/lpips"] for step, row in recorded.rows if "val/lpips" in row}
    assert list(found) == [3, 6]
    assert all(value > 0 for value in found.values())
    best = min(found, key=lambda step: found[step])
    assert load_generator(tmp_path / "best.safetensors").metadata["step"] == str(best)


@pytest.mark.parametrize("adv_weight", [0, 0.01])
def test_more_losses_are_added_and_recorded(
    adv_weight: float, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file(backbone_state("alexnet", "random"), folder / "alexnet.safetensors")
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(folder))
    recorded, progress = Recorded(), RecordedProgress()
    params = {
        "adv_weight": adv_weight,
        "content_weight": 0,
        "pixel_weight": 0.1,
        "extra_losses": "gradient=0.5,lpips=0.25,ssim=0",
    }
    run(world, tmp_path, recorded, **params)
    rows = [row for _, row in recorded.rows if "train/loss" in row]
    for row in rows[:2]:
        assert row.keys() == {"train/loss", "train/mse", "train/gradient", "train/lpips"}
        sum_of_terms = row["train/mse"] + row["train/gradient"] / 2 + row["train/lpips"] / 4
        assert row["train/loss"] == pytest.approx(sum_of_terms, rel=1e-5)
    last = rows[-1]
    assert ("train/grad_norm_lpips" in last) == (adv_weight > 0)
    others = {"adversarial": 0.01, "pixel": 0.1} if adv_weight else {"mse": 1}
    weights = {"gradient": 0.5, "lpips": 0.25, **others}
    total = sum(weight * last[f"train/{name}"] for name, weight in weights.items())
    assert last["train/loss"] == pytest.approx(total, rel=1e-5)
    save_file(backbone_state("alexnet", "random", seed=1), folder / "alexnet.safetensors")
    run(world, tmp_path, None, progress, **params)
    assert any(text.endswith("does not fit: LPIPS has other weights") for text in progress.messages)


SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
from pipeline.errors import PipelineError
from tests.training.runs import Recorded, run

class Limiting(Recorded):
    def figures(self, step, figures, status):
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + 5_000_000, -1))

try:
    run(Path(sys.argv[1]), Path(sys.argv[2]), Limiting(), batch=8, crop=48)
except PipelineError as error:
    print(error)
"""


@limits_memory
def test_short_memory_names_what_takes_less(world: Path, tmp_path: Path) -> None:
    """It is limited in the pre-training; the first step with VGG16 needs more."""
    command = [sys.executable, "-c", SHORT_OF_MEMORY, str(world), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stdout.startswith(
        "training: step 3: memory ran out; lower train.batch (8) or train.crop (48), or raise "
        "train.accumulate (1), which computes a batch in so many parts; step 2 can be used: "
    ), ended.stderr


def test_epochs_are_passes_over_the_training_images(world: Path, tmp_path: Path) -> None:
    assert run(world, tmp_path, steps="null", epochs=2, batch=4).steps == 3


def test_epochs_that_end_before_the_discriminator_are_refused(world: Path, tmp_path: Path) -> None:
    changes = {"steps": "null", "epochs": 2, "batch": 5, "pretrain_steps": 2}
    with pytest.raises(UsageError) as raised:
        run(world, tmp_path, **changes)
    assert str(raised.value) == (
        "train.epochs: 2 epochs of 5 images make 2 steps, all in the pre-training of 2, "
        "before the discriminator; raise epochs, lower pretrain_steps, or set adv_weight to 0"
    )
    assert run(world, tmp_path, **(changes | {"adv_weight": 0})).steps == 2
    assert run(world, tmp_path, **(changes | {"pretrain_steps": 1})).steps == 2


def test_training_lowers_the_error(world: Path, tmp_path: Path) -> None:
    recorded = Recorded()
    changes = {
        "adv_weight": 0,
        "generator.norm": "none",
        "generator.skip": "bicubic",
        "loss_without_adv": "l1",
    }
    run(world, tmp_path, recorded, steps=150, lr=0.002, validate_every=30, log_every=30, **changes)
    psnr = [row["val/psnr_y"] for _, row in recorded.rows if "val/psnr_y" in row]
    assert psnr[-1] > psnr[0] + 0.1


@pytest.mark.parametrize(
    ("validate_every", "skipped", "problem"),
    [
        (100, 10, "step 11: the gradients were not finite in the last 10 steps; lower train.lr"),
        (3, 2, "step 3: the generator's result is not finite; lower train.lr"),
    ],
)
def test_a_training_that_overflows_stops_with_one_line(
    validate_every: int, skipped: int, problem: str, world: Path, tmp_path: Path
) -> None:
    progress = RecordedProgress()
    changes = {"steps": 30, "lr": 1e30, "validate_every": validate_every}
    with pytest.raises(PipelineError, match=re.escape(problem)) as raised:
        run(world, tmp_path, progress=progress, **changes)
    assert "\n" not in str(raised.value)
    assert sum("skipped" in message for message in progress.messages) == skipped
    assert not (tmp_path / "generator.safetensors").exists()


def test_crops_must_fit_into_the_images(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is known before VGG16 is downloaded."""
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path))
    with pytest.raises(PipelineError, match=r"train\.crop: 96 is larger .* 64 pixels"):
        run(world, tmp_path, crop=96, vgg="imagenet")


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_images_is_named(split: str, world: Path, tmp_path: Path) -> None:
    rows = read_manifest(world / "data/manifest.csv")
    (tmp_path / "data").mkdir()
    write_manifest(tmp_path / "data/manifest.csv", [row for row in rows if row.split != split])
    with pytest.raises(PipelineError, match=f"no image in the split {split}; "):
        run(tmp_path, tmp_path / "models")


def test_images_per_second_are_shown_but_not_recorded(world: Path, tmp_path: Path) -> None:
    progress, recorded = RecordedProgress(), Recorded()
    run(world, tmp_path, recorded, progress)
    assert isinstance(progress.shown["images/s"], float)
    assert not any("images" in name for _, row in recorded.rows for name in row)


@pytest.mark.parametrize(
    ("changes", "phases"),
    [
        ({}, [("train: pre-training", 2), ("train: adversarial", 6)]),
        ({"pretrain_steps": 0}, [("train", 6)]),
        ({"adv_weight": 0}, [("train", 6)]),
    ],
)
def test_each_phase_has_its_own_progress(
    world: Path, tmp_path: Path, changes: dict[str, object], phases: list[tuple[str, int]]
) -> None:
    """One line for both would show the time left by the speed of the first, which is faster."""
    progress = RecordedProgress()
    run(world, tmp_path, progress=progress, **changes)
    started = zip(progress.labels, progress.totals, strict=True)
    assert [one for one in started if one[0] != "read images"] == phases


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("generator.safetensors", "holds a generator's weights, without what a checkpoint has"),
        ("published.pth", "holds a generator's weights, without what a checkpoint has"),
        ("notes.pth", "is no checkpoint of this version of the program"),
        ("cut.pt", "is damaged, or no checkpoint (File is not a zip file)"),
    ],
)
def test_what_is_no_checkpoint_is_told_by_its_content(
    name: str, problem: str, world: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    torch.save({"params": SRVGGNetCompact(num_feat=8, num_conv=2).state_dict()}, path)
    if name == "generator.safetensors":
        shutil.copy(world / "models" / name, path)
    if name == "notes.pth":
        torch.save({"notes": [1]}, path)
    if name == "cut.pt":
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError) as raised:
        run(world, tmp_path / "models", resume=path)
    text = str(raised.value)
    assert text.startswith(f"train.resume: {path}: it {problem}")
    assert text.endswith("; name it in train.init, to start from them") == ("weights" in problem)


FILE = {
    "generator.kind": "file", "generator.features": 64, "generator.blocks": "null", **OTHER_KIND
}  # fmt: skip


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"init": "notes.pth"}, "train.init: {}/notes.pth: its weights fit no network: "),
        ({"init": "text.pth"}, "train.init: {}/text.pth: is text, not a model; it begins: text"),
        ({"init": "absent.pth"}, "train.init: {}/absent.pth: no such file; name another"),
        ({"resume": "text.pth"}, "train.resume: {}/text.pth: is text, not a checkpoint; "),
        ({"resume": ""}, "train.resume: {}: is a folder, not a checkpoint; name another"),
        ({"resume": "absent.pth"}, "train.resume: {}/absent.pth: no such file; name another"),
        ({"init": "cut.pt"}, "train.init: {}/cut.pt: no whole file of weights and nothing else: "),
        (
            {"init": "cut.pt", **FILE},
            "train.init: {}/cut.pt: no whole file of weights and nothing ",
        ),
        ({"vgg": "text.pth"}, "train.vgg: {}/text.pth: is text, not weights; it begins: text; "),
        ({"vgg": "notes.pth"}, "train.vgg: {}/notes.pth: features.0.weight is missing, as vgg16 "),
        ({"crop": 96}, "train.crop: 96 is larger than the images of "),
    ],
)
def test_params_that_do_not_fit_their_files_are_wrong_usage(
    params: dict[str, object], problem: str, world: Path, tmp_path: Path
) -> None:
    torch.save({"notes": [1]}, tmp_path / "notes.pth")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "notes.pth").read_bytes()[:100])
    (tmp_path / "text.pth").write_text("text")
    files = {
        name: tmp_path / str(params[name]) for name in ("init", "resume", "vgg") if name in params
    }
    params = {**params, **files}
    with pytest.raises(UsageError) as raised:
        run(world, tmp_path / "models", **params)
    assert str(raised.value).startswith(problem.format(tmp_path))
    assert "; " in str(raised.value)


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_a_precision_that_cpus_are_slow_in_is_noted(
    precision: str, world: Path, tmp_path: Path
) -> None:
    progress = RecordedProgress()
    run(world, tmp_path, None, progress, precision=precision, steps=1, adv_weight=0)
    note = "note: train.precision fp16 is slow on this CPU; auto and fp32 are faster"
    assert (note in progress.messages) == (precision == "fp16")

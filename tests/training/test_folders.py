"""Training and validation on folders of one's own, with and without LR images."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from pipeline.errors import PipelineError, UsageError
from pipeline.images.shards import read_images
from pipeline.manifest.rows import read_manifest
from pipeline.metrics import luma, psnr, ssim
from pipeline.networks.files import load_generator
from pipeline.params import TrainParams
from pipeline.progress import Silent
from pipeline.training import images_on_demand
from pipeline.training.run_images import read_run_images
from pipeline.training.run_inputs import TrainPaths
from tests.evaluation.world import drawing, make_world
from tests.training.runs import OTHER_KIND, Recorded, RecordedProgress, run

ROOT = Path(__file__).parents[2]


def write_pair(folder: Path, name: str, width: int, height: int, seed: int, scale: int = 4) -> None:
    """Write `hr/NAME.png`, and as `lr/NAME.png` it made small by a box filter, and darkened."""
    hr = drawing(seed, max(width, height)).crop((0, 0, width, height))
    small = hr.resize((width // scale, height // scale), Image.Resampling.BOX)
    lr = small.point(lambda level: level // 2)
    for side, image in (("hr", hr), ("lr", lr)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        image.save(folder / side / f"{name}.png")


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Pairs of several sizes to train on, and two to validate on; no manifest."""
    for number, (width, height) in enumerate([(64, 48), (40, 72), (101, 66)]):
        write_pair(tmp_path / "mine", f"{number}", width, height, number)
    for number in (10, 11):
        write_pair(tmp_path / "val", f"{number}", 64, 48, number)
    return tmp_path


def options(world: Path, **changes: object) -> dict[str, object]:
    """Train on the pairs alone."""
    named: dict[str, object] = {
        "hr_folders": f"mine={world}/mine/hr",
        "lr_folders": f"mine={world}/mine/lr",
        "folder_weights": "manifest=0",
        "val_hr_folder": f"{world}/val/hr",
        "val_lr_folder": f"{world}/val/lr",
        "steps": 6,
    }
    return named | changes


def weights(path: Path) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in load_file(path).items()}


def test_pairs_are_trained_and_validated_on_without_a_manifest(world: Path) -> None:
    recorded = Recorded()
    result = run(world, world / "models", recorded, **options(world))
    assert result.steps == 6
    assert not (world / "data").exists()
    with safe_open(result.generator, "pt") as file:
        metadata = file.metadata()
    assert len(metadata["folders_sha256"]) == 64
    assert "train_images_sha256" not in metadata


def test_given_lr_images_are_what_is_enlarged(world: Path) -> None:
    """A generator that begins with bicubic interpolation leaves dark LR images dark."""
    begun = OTHER_KIND | {"steps": 1, "adv_weight": 0}
    given = run(world, world / "a", **options(world, **begun))
    validated = run(world, world / "b", **options(world, **begun, lr_folders="{}"))
    made = run(world, world / "c", **options(world, **begun, lr_folders="{}", val_lr_folder="null"))
    assert given.figures["val/psnr_y"] < made.figures["val/psnr_y"] - 5
    assert validated.figures["val/psnr_y"] < made.figures["val/psnr_y"] - 5
    for name, tensor in weights(made.generator).items():
        np.testing.assert_array_equal(weights(validated.generator)[name], tensor)
    assert any(
        (weights(given.generator)[name] != tensor).any()
        for name, tensor in weights(made.generator).items()
    )


@pytest.mark.parametrize(("scale", "crop"), [(1, 32), (3, 33)])
def test_pairs_of_any_scale_are_trained_and_validated_on(
    scale: int, crop: int, tmp_path: Path
) -> None:
    """A generator that begins as its input, or as bicubic interpolation, shows which LR it has."""
    for number, (width, height) in enumerate([(64, 48), (101, 67)]):
        write_pair(tmp_path / "mine", f"{number}", width, height, number, scale)
        write_pair(tmp_path / "val", f"{number}", width, height, 10 + number, scale)
    changes = OTHER_KIND | {"scale": scale, "crop": crop, "steps": 1, "adv_weight": 0}
    result = run(tmp_path, tmp_path / "models", **options(tmp_path, **changes))
    # LR is half as bright: PSNR of Y (16 to 235) cannot be better than of half of it.
    assert 5 < result.figures["val/psnr_y"] < 15


def test_images_in_a_folder_teach_what_those_of_the_manifest_teach(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 5, "val": 2})
    rows = read_manifest(tmp_path / "data/manifest.csv")
    for row, pixels in zip(rows, read_images(tmp_path / "data/resized", rows), strict=True):
        folder = tmp_path / row.split
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{row.name}.png")
    expected, found = Recorded(), Recorded()
    by_manifest = run(tmp_path, tmp_path / "a", expected).generator
    by_folders = run(
        tmp_path,
        tmp_path / "b",
        found,
        hr_folders=f"mine={tmp_path}/train",
        folder_weights="manifest=0",
        val_hr_folder=f"{tmp_path}/val",
    ).generator
    assert found.rows == expected.rows
    for name, tensor in weights(by_manifest).items():
        np.testing.assert_array_equal(weights(by_folders)[name], tensor)


def test_epochs_count_what_folders_weigh(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 5, "val": 1})
    for number in range(3):
        write_pair(tmp_path / "mine", str(number), 64, 48, number)
    result = run(
        tmp_path,
        tmp_path / "models",
        hr_folders=f"mine={tmp_path}/mine/hr",
        folder_weights="mine=3",
        steps="null",
        epochs=2,
        batch=2,
    )
    assert result.steps == 2 * (5 + 9) // 2


def test_a_killed_training_on_pairs_goes_on_as_if_it_had_not_been(world: Path) -> None:
    texts = [f"{name}={value}" for name, value in options(world).items()]
    command = [sys.executable, "-m", "tests.training.runs", world, world / "killed", "4", *texts]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    progress, whole, parts = RecordedProgress(), Recorded(), Recorded()
    expected = run(world, world / "whole", whole, **options(world)).generator.read_bytes()
    found = run(world, world / "killed", parts, progress, **options(world)).generator.read_bytes()
    assert any("goes on from step" in message for message in progress.messages)
    assert found == expected
    assert parts.rows == whole.rows


def test_another_lr_image_is_another_run(world: Path) -> None:
    run(world, world / "models", **options(world))
    path = world / "mine/lr/0.png"
    Image.open(path).rotate(180).save(path)
    progress = RecordedProgress()
    run(world, world / "models", None, progress, **options(world))
    assert any("the images of train.hr_folders are others" in one for one in progress.messages)


def test_moved_folders_are_the_same_run(world: Path) -> None:
    expected = weights(run(world, world / "models", **options(world)).generator)
    (world / "mine").rename(world / "moved")
    progress = RecordedProgress()
    moved = {side: f"mine={world}/moved/{side}" for side in ("hr", "lr")}
    result = run(
        world,
        world / "models",
        None,
        progress,
        **options(world, hr_folders=moved["hr"], lr_folders=moved["lr"]),
    )
    assert any("is already at step 6" in message for message in progress.messages)
    for name, tensor in weights(result.generator).items():
        np.testing.assert_array_equal(expected[name], tensor)


def test_what_does_not_fit_is_reported_and_left_out(world: Path) -> None:
    write_pair(world / "mine", "small", 64, 28, 5)
    (world / "val/hr/10.png").write_bytes((world / "mine/hr/0.png").read_bytes())
    (world / "val/lr/10.png").write_bytes((world / "mine/lr/0.png").read_bytes())
    progress = RecordedProgress()
    run(world, world / "models", None, progress, **options(world, steps=3, pretrain_steps=1))
    told = "\n".join(progress.messages)
    assert (
        "train.hr_folders.mine: 1 of 4 images are smaller than train.crop, 32 pixels, and left "
        f"out: {world}/mine/hr/small.png" in told
    )
    assert (
        "train.val_hr_folder: 1 of 2 images are in train.hr_folders too, so that validation does "
        f"not speak for them: {world}/val/hr/10.png" in told
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"crop": 96},
            "train.hr_folders.mine: all images are smaller than train.crop, 96 pixels; lower that "
            "to 64 or less",
        ),
        ({"hr_folders": "mine=none"}, "train.hr_folders.mine: none: no such folder"),
        ({"val_lr_folder": "none"}, "train.val_lr_folder: none: no such folder"),
        ({"scale": 2}, "train.lr_folders.mine: the images are of scale 4, not 2; "),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(
    changes: dict[str, object], problem: str, world: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        run(world, world / "models", **options(world, **changes))
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_validation_images_must_not_be_tiny(world: Path) -> None:
    write_pair(world / "val", "tiny", 64, 28, 5)
    with pytest.raises(UsageError, match=r"val_hr_folder: smaller than 32 pixels: .*tiny\.png"):
        run(world, world / "models", **options(world))


def test_an_image_that_is_damaged_is_named(world: Path) -> None:
    path = world / "mine/hr/1.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(PipelineError, match=r"mine/hr/1\.png: .*; replace it, or remove it"):
        run(world, world / "models", **options(world))


def test_large_images_are_validated_on_whole(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read anew at each validation, enlarged in tiles, measured in strips: the same figures."""
    write_pair(world / "large", "0", 1201, 1100, 3)
    large = options(
        world,
        val_hr_folder=f"{world}/large/hr",
        val_lr_folder=f"{world}/large/lr",
        adv_weight=0,
        steps=1,
        **OTHER_KIND,
    )
    result = run(world, world / "models", **large)
    generator = load_generator(result.generator, torch.device("cpu")).generator
    lr, hr = (
        torch.from_numpy(np.array(Image.open(world / f"large/{side}/0.png"))).permute(2, 0, 1)
        for side in ("lr", "hr")
    )
    with torch.no_grad():
        sr = generator.enlarge(lr[None])
    pair = luma(sr.float()), luma(hr[None, :, :, :1200].float())
    assert result.figures["val/psnr_y"] == pytest.approx(psnr(*pair, 4).item(), abs=1e-4)
    assert result.figures["val/ssim_y"] == pytest.approx(ssim(*pair, 4).item(), abs=1e-6)
    monkeypatch.setattr(images_on_demand, "KEPT_BYTES", 2**32)
    assert run(world, world / "kept", **large).figures == result.figures


@pytest.mark.parametrize(("width", "is_kept"), [(1024, True), (1025, False)])
def test_of_a_large_image_neither_hr_nor_lr_is_kept(
    width: int, is_kept: bool, tmp_path: Path
) -> None:
    """At scale 1 both have one size; of an image that is kept the file is not missed."""
    write_pair(tmp_path / "val", "0", width, 1024, 3, scale=1)
    names = {f"val_{side}_folder": f"{tmp_path}/val/{side}" for side in ("hr", "lr")}
    mine = {"hr_folders": {"mine": names["val_hr_folder"]}, "folder_weights": {"manifest": 0}}
    params = TrainParams(scale=1, lr_folders={"mine": names["val_lr_folder"]}, **mine, **names)
    images = read_run_images(params, TrainPaths(*[tmp_path] * 4), Silent())
    assert images.validation_lr is not None
    before = images.validation_hr[0], images.validation_lr[0]
    for side in ("hr", "lr"):
        (tmp_path / f"val/{side}/0.png").unlink()
    for expected, of_side in zip(before, (images.validation_hr, images.validation_lr), strict=True):
        if is_kept:
            np.testing.assert_array_equal(of_side[0], expected)
        else:
            with pytest.raises(PipelineError, match=r"0\.png: cannot be read"):
                of_side[0]

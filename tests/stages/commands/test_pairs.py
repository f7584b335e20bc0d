"""`pipeline pairs`, run as a user runs it, and its results measured."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import alexnet, vgg16

from pipeline.files import sha256_of
from pipeline.locks import hold, lock_file
from pipeline.networks.perceptual.weights import FOLDER_VARIABLE
from tests.evaluation.world import drawing, make_world
from tests.stages.program import pipeline

PARAMS = "evaluate:\n  device: cpu\n  lpips: 'off'\n  dists: 'off'\n  pictures: 1\n"


def test_what_another_program_makes_of_them_is_measured(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "test": 2})
    (tmp_path / "params.yaml").write_text(PARAMS)
    result = pipeline(tmp_path, "pairs", "pairs")
    assert result.code == 0, result.err
    names = sorted(path.name for path in (tmp_path / "pairs").iterdir())
    assert names == [".locks", "hr", "lr", "pairs.json"]
    assert {path.suffix for path in (tmp_path / "pairs").glob("?r/*")} == {".png"}
    assert not (tmp_path / "reports/.locks").exists()
    assert result.out == "pairs: 2 images in lr/ and in hr/\n"
    result = pipeline(tmp_path, "evaluate", "--results", "perfect=pairs/hr")
    assert result.code == 0, result.err
    assert "perfect: PSNR_Y 100.00 dB, swd 0.0000" in result.out
    assert "dvc exp run -S ++evaluate.results.perfect=pairs/hr" in result.err


@pytest.mark.parametrize("degradation", ["none", "web"])
def test_a_folder_of_them_has_the_figures_of_the_split(tmp_path: Path, degradation: str) -> None:
    """Image by image and on average, by all metrics that do not draw positions at random."""
    make_world(tmp_path, {"train": 1, "test": 3})
    variables = {FOLDER_VARIABLE: str(random_backbones(tmp_path / "weights"))}
    params = "evaluate:\n  device: cpu\n  pictures: 1\n  degradation: "
    (tmp_path / "params.yaml").write_text(params + degradation + "\n")
    assert pipeline(tmp_path, "pairs", "OUT").code == 0
    tables = []
    for options in ((), ("--hr-folder", "OUT/hr", "--lr-folder", "OUT/lr")):
        result = pipeline(tmp_path, "evaluate", *options, **variables)
        assert result.code == 0, result.err
        reports = tmp_path / "reports/evaluate"
        means = (reports / "means.csv").read_text().splitlines()
        tables.append(
            [
                (reports / "per_image.csv").read_text(),
                [line for line in means if ",swd" not in line and ",kvd," not in line],
            ]
        )
    assert tables[0] == tables[1]
    assert "lpips,dists" in tables[0][0]


def random_backbones(folder: Path) -> Path:
    folder.mkdir()
    torch.manual_seed(1)
    for network in (alexnet, vgg16):
        state = network(weights=None).features.state_dict()
        named = {f"features.{key}": value for key, value in state.items()}
        save_file(named, folder / f"{network.__name__}.safetensors")
    return folder


def test_images_of_a_folder_are_written_and_measured(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "test": 1})
    for number, name in enumerate(("a.png", "part/b.webp")):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        drawing(number, 66 + number).save(tmp_path / "own" / name, lossless=True)
    (tmp_path / "params.yaml").write_text(PARAMS + "  hr_folder: own\n  degradation: web\n")
    result = pipeline(tmp_path, "pairs", "pairs")
    assert (result.code, result.out) == (0, "pairs: 2 images in lr/ and in hr/\n")
    description = json.loads((tmp_path / "pairs/pairs.json").read_text())
    assert [description[key] for key in ("degradation", "split")] == ["web", "evaluate.hr_folder"]
    assert description["images"] == {
        name: sha256_of(tmp_path / "own" / f"{name}{suffix}")
        for name, suffix in (("a", ".png"), ("part/b", ".webp"))
    }
    assert Image.open(tmp_path / "pairs/hr/part/b.png").size == (64, 64)
    result = pipeline(tmp_path, "evaluate", "--results", "perfect=pairs/hr")
    assert result.code == 0, result.err
    assert "perfect: PSNR_Y 100.00 dB" in result.out
    # They are the LR images that the evaluation makes.
    tables = [(tmp_path / "reports/evaluate/per_image.csv").read_text()]
    assert pipeline(tmp_path, "evaluate", "--lr-folder", "pairs/lr").code == 0
    tables.append((tmp_path / "reports/evaluate/per_image.csv").read_text())
    assert [line for line in tables[0].splitlines() if ",perfect," not in line] == tables[
        1
    ].splitlines()
    # A split that is named is that of the manifest.
    assert pipeline(tmp_path, "pairs", "split", "--split", "test").code == 0
    assert json.loads((tmp_path / "split/pairs.json").read_text())["split"] == "test"


def test_lr_images_that_are_given_are_not_written(tmp_path: Path) -> None:
    for folder, side in (("own/hr", 64), ("own/lr", 16)):
        (tmp_path / folder).mkdir(parents=True)
        drawing(side, side).save(tmp_path / folder / "a.png")
    folders = "  hr_folder: own/hr\n  lr_folder: own/lr\n"
    (tmp_path / "params.yaml").write_text(PARAMS + folders)
    result = pipeline(tmp_path, "pairs", "made")
    assert (result.code, result.problems) == (
        2,
        [
            "evaluate.lr_folder: the LR images are in own/lr already; to make others, name "
            "--degradation"
        ],
    )
    assert pipeline(tmp_path, "pairs", "made", "--degradation", "none").code == 0
    lr = [Image.open(tmp_path / folder / "lr/a.png") for folder in ("own", "made")]
    assert lr[0].size == lr[1].size
    assert lr[0].tobytes() != lr[1].tobytes()


@pytest.mark.parametrize("option", [(), ("--split", "test"), ("--degradation", "web")])
@pytest.mark.parametrize(
    ("folders", "folder", "written"),
    [
        ("hr_folder: own/hr", "own", "own/hr"),
        ("hr_folder: own", "own", "own/lr"),
        ("hr_folder: own/lr", "own", "own/lr"),
        ("hr_folder: own/hr/part", "own", "own/hr"),
        ("hr_folder: a\n  lr_folder: own/hr", "own", "own/hr"),
        ("hr_folder: a\n  lr_folder: ./own/lr", "own/", "own/lr"),
    ],
)
def test_nothing_is_written_among_given_images(
    tmp_path: Path, folders: str, folder: str, written: str, option: tuple[str, ...]
) -> None:
    (tmp_path / "params.yaml").write_text(f"{PARAMS}  {folders}\n")
    result = pipeline(tmp_path, "pairs", folder, *option)
    name, source = folders.split("\n  ")[-1].split(": ")
    assert (result.code, result.problems) == (
        2,
        [
            f"{written}: would lie among the images of evaluate.{name}, {source}; name another "
            "folder"
        ],
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml"]


def test_images_for_training_are_written_without_a_limit(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 3, "test": 2})
    (tmp_path / "params.yaml").write_text(PARAMS + "  max_images: 1\n")
    result = pipeline(tmp_path, "pairs", "train", "--split", "train")
    assert result.out == "train: 3 images in lr/ and in hr/\n"
    assert json.loads((tmp_path / "train/pairs.json").read_text())["split"] == "train"
    assert pipeline(tmp_path, "pairs", "test").out == "test: 1 images in lr/ and in hr/\n"


def test_another_degradation_and_split_need_another_folder(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "val": 1, "test": 2})
    (tmp_path / "params.yaml").write_text(PARAMS)
    options = ("--degradation", "web", "--split", "val")
    for folder in ("pairs", "web"):
        assert pipeline(tmp_path, "pairs", folder, *(options if folder == "web" else ())).code == 0
    description = json.loads((tmp_path / "web/pairs.json").read_text())
    assert (description["degradation"], description["split"]) == ("web", "val")
    result = pipeline(tmp_path, "pairs", "pairs", *options)
    assert result.code == 1
    assert result.problems == [
        "pairs/pairs.json: the pairs here have degradation none, split test; name another folder, "
        "or remove this one"
    ]


def test_images_that_are_written_again_are_counted(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "test": 2})
    (tmp_path / "params.yaml").write_text(PARAMS)
    first = pipeline(tmp_path, "pairs", "pairs")
    assert (first.code, "already" in first.err) == (0, False)
    next((tmp_path / "pairs/lr").iterdir()).unlink()
    again = pipeline(tmp_path, "pairs", "pairs")
    assert (again.code, again.out) == (0, first.out)
    assert again.problems[0] == ("pairs: 1 of 2 images are there already, and are written again")


def test_a_second_run_beside_it_is_refused(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "test": 2})
    (tmp_path / "params.yaml").write_text(PARAMS)
    lock = lock_file(Path("pairs"), "pairs")
    with hold(tmp_path / lock, "pipeline pairs"):
        result = pipeline(tmp_path, "pairs", "pairs")
    assert result.code == 1
    assert result.err.startswith(f"{lock}: pipeline pairs is running already (process ")
    assert not (tmp_path / "pairs/lr").exists()


def test_without_a_manifest_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    result = pipeline(tmp_path, "pairs", "pairs")
    assert result.code == 1
    assert result.problems[0].startswith("data/manifest.csv: ")
    assert not (tmp_path / "pairs").exists()

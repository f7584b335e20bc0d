"""Results of other programs: missing files, and results of another task."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.other_programs import check_results
from pipeline.evaluation.pairs import SplitPairs
from pipeline.images.degradation import Degradation
from pipeline.images.interpolation import interpolate
from pipeline.networks.files import load_generator
from pipeline.progress import Silent
from pipeline.shipped import shipped_models
from tests.evaluation.world import make_world

METHODS = ("nearest", "bilinear", "bicubic", "lanczos", "perception", "web")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> SplitPairs:
    root = tmp_path_factory.mktemp("world")
    make_world(root, {"test": 4}, side=128)
    return SplitPairs.from_split(root / "data/manifest.csv", root / "data/resized", "test", 4)


def enlarge(lr: torch.Tensor, method: str) -> torch.Tensor:
    if method not in shipped_models():
        return interpolate(lr, 4, method)
    return load_generator(shipped_models()[method], torch.device("cpu")).generator.enlarge(
        lr[None]
    )[0]


def write_results(folder: Path, images: SplitPairs, method: str) -> None:
    folder.mkdir()
    for index, image in enumerate(images.images):
        result = enlarge(images.pair(index)[0], method)
        Image.fromarray(result.permute(1, 2, 0).numpy()).save(folder / f"{image.name}.png")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("made_of", ["none", "web"])
def test_results_are_of_the_measured_task(
    clean: SplitPairs, tmp_path: Path, method: str, made_of: Degradation
) -> None:
    tasks = {"none": clean, "web": replace(clean, degradation="web")}
    write_results(tmp_path / "theirs", tasks[made_of], method)
    for task, images in tasks.items():
        if task == made_of:
            check_results({"theirs": tmp_path / "theirs"}, images)
            continue
        with pytest.raises(PipelineError) as caught:
            check_results({"theirs": tmp_path / "theirs"}, images)
        enlarged, measured = ("clean", "damaged") if task == "web" else ("damaged", "clean")
        assert str(caught.value) == (
            f"{tmp_path / 'theirs'}: evaluate.results: theirs enlarged {enlarged} LR images, not "
            f"the {measured} ones of evaluate.degradation {task}; let it enlarge those that "
            f"`pipeline pairs --degradation {task}` writes"
        )


def test_images_without_damage_say_nothing(clean: SplitPairs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "pipeline.evaluation.pairs.make_lr",
        lambda hr, scale, kind, seeds: hr[..., ::scale, ::scale],
    )
    write_results(tmp_path / "theirs", clean, "nearest")
    for task in ("none", "web"):
        check_results({"theirs": tmp_path / "theirs"}, replace(clean, degradation=task))


def test_flat_images_say_nothing(tmp_path: Path) -> None:
    """They have nothing that blur changes, but JPEG does change their colour."""
    (tmp_path / "hr").mkdir()
    Image.new("RGB", (64, 64), (201, 33, 90)).save(tmp_path / "hr/flat.png")
    images = FolderPairs.from_folders(str(tmp_path / "hr"), None, 4, None, "none", Silent())
    check_results({"theirs": tmp_path / "hr"}, images)


@pytest.mark.parametrize(
    ("present", "problem"),
    [
        ([], "100.png: not found; .*: 4 of 4 are missing$"),
        (["100", "102"], "101.png: not found; .*: 2 of 4 are missing$"),
        (["100_x4", "101_x4"], "4 of 4 are missing, and 100_x4.png is no image's name$"),
    ],
)
def test_missing_results_are_counted(
    clean: SplitPairs, tmp_path: Path, present: list[str], problem: str
) -> None:
    for name in present:
        (tmp_path / f"{name}.png").touch()
    with pytest.raises(PipelineError, match=problem) as caught:
        check_results({"theirs": tmp_path}, clean)
    assert "with the names of lr/ of `pipeline pairs`" in str(caught.value)

"""SplitPairs of a split: which images, cropped how, and written for another program."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.evaluation.pairs import SplitPairs, write_pairs
from pipeline.images.resample import downscale
from pipeline.manifest.rows import Split
from pipeline.params.degradation import Degradation
from pipeline.progress import Silent
from pipeline.spacing import evenly_spaced
from tests.evaluation.world import make_world


def pairs(
    root: Path,
    split: Split = "test",
    max_images: int | None = None,
    degradation: Degradation = "none",
    scale: int = 4,
) -> SplitPairs:
    return SplitPairs.from_split(
        root / "data/manifest.csv", root / "data/resized", split, scale, max_images, degradation
    )


def pixels(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(5, 5, [0, 1, 2, 3, 4]), (3, 9, [0, 1, 2]), (10, 4, [0, 3, 6, 9]), (7, 1, [3]), (1, 1, [0])],
)
def test_spread(length, count, expected):
    assert evenly_spaced(length, count) == expected


@pytest.mark.parametrize(("scale", "side"), [(1, 53), (2, 52), (3, 51), (4, 52), (8, 48)])
def test_sides_are_cropped_to_a_multiple_of_the_scale(
    scale: int, side: int, tmp_path: Path
) -> None:
    make_world(tmp_path, {"test": 2}, side=53)
    selected = pairs(tmp_path, degradation="web", scale=scale)
    assert [(image.width, image.height) for image in selected.images] == [(side, side)] * 2
    lr, hr = selected.pair(1)
    assert hr.shape == (3, side, side)
    assert lr.shape == (3, side // scale, side // scale)


def test_both_sides_are_written_and_read_back(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "test": 3}, side=50)
    selected = pairs(tmp_path, max_images=2)
    write_pairs(selected, tmp_path / "out", Silent())
    written = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")
    )
    assert written == ["hr/101.png", "hr/103.png", "lr/101.png", "lr/103.png", "pairs.json"]
    original = selected.hr(1)
    assert torch.equal(pixels(tmp_path / "out/hr/103.png"), original)
    assert torch.equal(pixels(tmp_path / "out/lr/103.png"), downscale(original[None], 4)[0])


def test_an_empty_split_names_what_to_change(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "val": 1})
    with pytest.raises(PipelineError, match=r"no image in the split test; raise manifest\.test"):
        pairs(tmp_path)


def test_no_images_for_training_names_what_to_change(tmp_path: Path) -> None:
    make_world(tmp_path, {"test": 1})
    problem = r"no image in the split train; lower manifest\.val_fraction and manifest\.test_frac"
    with pytest.raises(PipelineError, match=problem):
        pairs(tmp_path, "train")


def test_more_images_of_the_same_task_are_added(tmp_path: Path) -> None:
    make_world(tmp_path, {"test": 3})
    for count in (1, 2):
        write_pairs(pairs(tmp_path, max_images=count), tmp_path / "out", Silent())
    description = json.loads((tmp_path / "out/pairs.json").read_text())
    assert list(description) == ["degradation", "scale", "split", "images"]
    assert list(description["images"]) == ["101", "100", "102"]


@pytest.mark.parametrize(
    ("split", "degradation", "problem"),
    [("val", "none", "split test;"), ("test", "web", "degradation none;")],
)
def test_pairs_of_another_task_are_not_overwritten(
    tmp_path: Path, split: Split, degradation: Degradation, problem: str
) -> None:
    make_world(tmp_path, {"val": 1, "test": 1})
    write_pairs(pairs(tmp_path), tmp_path / "out", Silent())
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    with pytest.raises(PipelineError, match=rf"pairs\.json: the pairs here have {problem}"):
        write_pairs(pairs(tmp_path, split, degradation=degradation), tmp_path / "out", Silent())
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before


def test_pairs_of_other_images_are_not_overwritten(tmp_path: Path) -> None:
    for root, side in ((tmp_path / "first", 48), (tmp_path / "second", 64)):
        make_world(root, {"test": 1}, side)
    write_pairs(pairs(tmp_path / "first"), tmp_path / "out", Silent())
    with pytest.raises(PipelineError, match="have other images; name another folder"):
        write_pairs(pairs(tmp_path / "second"), tmp_path / "out", Silent())


def test_pairs_that_nothing_describes_are_not_overwritten(tmp_path: Path) -> None:
    make_world(tmp_path, {"test": 1})
    write_pairs(pairs(tmp_path), tmp_path / "out", Silent())
    (tmp_path / "out/pairs.json").unlink()
    with pytest.raises(PipelineError, match="lr: has images of an unknown task"):
        write_pairs(pairs(tmp_path), tmp_path / "out", Silent())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"images": 3}', "null"])
def test_a_damaged_description_is_one_line(tmp_path: Path, text: str) -> None:
    make_world(tmp_path, {"test": 1})
    write_pairs(pairs(tmp_path), tmp_path / "out", Silent())
    (tmp_path / "out/pairs.json").write_text(text)
    with pytest.raises(PipelineError, match=r"pairs\.json: damaged JSON; remove the folder"):
        write_pairs(pairs(tmp_path), tmp_path / "out", Silent())

"""PairedImages of a split: which images, cropped how, and written for another program."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.evaluation.pairs import PairedImages, write_pairs
from pipeline.evaluation.spacing import evenly_spaced
from pipeline.images.resample import downscale
from pipeline.progress import Silent
from tests.evaluation.world import make_world


def pairs(root: Path, split: str = "test", max_images: int | None = None) -> PairedImages:
    return PairedImages.from_split(
        root / "data/manifest.csv", root / "data/resized", split, 4, max_images
    )


def pixels(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(5, 5, [0, 1, 2, 3, 4]), (3, 9, [0, 1, 2]), (10, 4, [0, 3, 6, 9]), (7, 1, [3]), (1, 1, [0])],
)
def test_spread(length, count, expected):
    assert evenly_spaced(length, count) == expected


def test_sides_are_cropped_to_a_multiple_of_the_scale(tmp_path: Path) -> None:
    make_world(tmp_path, {"test": 2}, side=50)
    selected = pairs(tmp_path)
    assert (len(selected), selected.size) == (2, (48, 48))
    assert selected.hr(1).shape == (3, 48, 48)


def test_both_sides_are_written_and_read_back(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "test": 3}, side=50)
    selected = pairs(tmp_path, max_images=2)
    write_pairs(selected, tmp_path / "out", Silent())
    written = sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")
    )
    assert written == ["hr/101.png", "hr/103.png", "lr/101.png", "lr/103.png"]
    original = selected.hr(1)
    assert torch.equal(pixels(tmp_path / "out/hr/103.png"), original)
    assert torch.equal(pixels(tmp_path / "out/lr/103.png"), downscale(original[None], 4)[0])


def test_an_empty_split_names_what_to_change(tmp_path: Path) -> None:
    make_world(tmp_path, {"train": 1, "val": 1})
    with pytest.raises(PipelineError, match=r"no image in the split test; raise manifest\.test"):
        pairs(tmp_path)

"""Every way an LR image is enlarged, and what is wrong with other programs' results."""

import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.errors import PipelineError
from pipeline.evaluation.methods import UpscalingMethods
from pipeline.evaluation.result_files import ResultFiles
from pipeline.images.interpolation import FILTERS
from pipeline.images.resample import downscale
from pipeline.networks import Generator


class Constant(Generator):
    """A generator that paints one value, in [0, 1]."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.value.expand(1, 3, lr.shape[-2] * 4, lr.shape[-1] * 4)

    @property
    def receptive_radius(self) -> int:
        return 0

    @property
    def last_layer(self) -> nn.Conv2d:
        raise NotImplementedError


def image() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 256, (3, 8, 8), generator=generator, dtype=torch.uint8)
    return coarse.repeat_interleave(6, 1).repeat_interleave(6, 2)


def written(folder: Path, pixels: torch.Tensor) -> ResultFiles:
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / "7.png")
    return ResultFiles.find("theirs", folder, ["7"], "the HR images")


def test_methods_are_interpolation_the_models_and_the_folders(tmp_path):
    theirs = {"theirs": written(tmp_path, image().flip(1))}
    methods = UpscalingMethods({"model": Constant(0.5), "other": Constant(0.7)}, 4, theirs)
    lr = downscale(image()[None], 4)[0]
    results = methods.upscale(lr, "7")
    assert lr.shape == (3, 12, 12)
    assert tuple(results) == methods.names == (*FILTERS, "model", "other", "theirs")
    assert all(result.shape == (3, 48, 48) for result in results.values())
    assert all(result.dtype == torch.uint8 for result in results.values())
    assert torch.equal(results["theirs"], image().flip(1))


@pytest.mark.parametrize(
    ("value", "level"), [(0.5, 128), (-0.2, 0), (1.3, 255), (100.4 / 255, 100), (100.6 / 255, 101)]
)
def test_a_models_result_is_rounded_and_clamped(value, level):
    methods = UpscalingMethods({"model": Constant(value)}, 4)
    results = methods.upscale(downscale(image()[None], 4)[0], "7")
    assert results["model"].unique().tolist() == [level]


def test_a_result_that_is_not_finite_is_an_error():
    methods = UpscalingMethods({"model": Constant(math.nan)}, 4)
    with pytest.raises(PipelineError, match="model: the generator's result is not finite"):
        methods.upscale(downscale(image()[None], 4)[0], "7")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.unlink(), "not found; it needs a result of every image"),
        (lambda path: path.write_bytes(b"GIF89a"), "no complete image"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "no complete image"),
        (lambda path: Image.new("RGB", (24, 48)).save(path), "is 24×48, not 48×48; let it enlarge"),
    ],
)
def test_a_result_that_does_not_fit_is_named(tmp_path, damage, problem):
    methods = UpscalingMethods({}, 4, {"theirs": written(tmp_path, image())})
    damage(tmp_path / "7.png")
    with pytest.raises(PipelineError, match=problem) as caught:
        methods.upscale(downscale(image()[None], 4)[0], "7")
    assert str(caught.value).startswith(f"evaluate.results.theirs: {tmp_path / '7.png'}")
    assert "\n" not in str(caught.value)

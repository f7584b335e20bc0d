"""Training images from memory and from the shards are the same."""

import math
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.images.degradation import make_lr
from pipeline.images.shards import read_images
from pipeline.manifest.rows import read_manifest
from pipeline.networks import SRResNet
from pipeline.networks.perceptual.weights import backbone_state, sha256_of_tensors
from pipeline.params.degradation import Degradation
from pipeline.training import data, images_on_demand
from pipeline.training.data import load_images
from pipeline.training.sources import ManifestImages
from pipeline.training.validation import Validation
from tests.evaluation.world import SIDE, make_world
from tests.training.runs import Recorded, RecordedProgress, run

CPU = torch.device("cpu")


class Memory:
    """What `psutil` returns on a machine with so few bytes free."""

    def __init__(self, available: int) -> None:
        self.available = available


def test_images_are_in_memory_where_they_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, {"train": 5, "val": 1})
    rows = read_manifest(tmp_path / "data/manifest.csv")
    needed = len(rows) * SIDE * SIDE * 3
    expected = torch.from_numpy(read_images(tmp_path / "data/resized", rows))
    for free, processes, in_memory in (
        (3 * needed, 1, True),
        (2 * needed, 1, False),
        (4 * needed, 2, False),
        (6 * needed, 2, True),
    ):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: Memory(free))
        progress = RecordedProgress()
        source = ManifestImages(tmp_path / "data/resized", rows, SIDE)
        images = load_images([source], 3, CPU, processes, progress)
        assert images.prefetch != in_memory
        assert bool(progress.messages) != in_memory
        loaded = images.load([4, 0, 4])
        found = loaded.hr.cut(loaded.positions, np.zeros((3, 2), np.int64), SIDE)
        assert torch.equal(found.permute(0, 2, 3, 1), expected[[4, 0, 4]])


@pytest.mark.parametrize("free", [0, 10**9])
def test_images_of_another_size_are_one_line(
    free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, {"train": 2, "val": 1})
    rows = read_manifest(tmp_path / "data/manifest.csv")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(free))

    def load() -> None:
        source = ManifestImages(tmp_path / "data/resized", rows, SIDE // 2)
        load_images([source], 2, CPU, 1, RecordedProgress()).load([0, 1])

    with pytest.raises(PipelineError, match=r"at byte \d+ has another size than the first"):
        load()


class LargeImages:
    """Ten images of 12 MB, of which one thread can hold two in 100 MB."""

    weight = 1.0
    lr_sizes = None
    hr_sizes = np.full((10, 2), 2000)

    def read_hr(self, index: int) -> np.ndarray:
        return np.full((2000, 2000, 3), index, np.uint8)

    def read_lr(self, index: int) -> np.ndarray:
        raise NotImplementedError


def test_few_threads_hold_large_images(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    for free in (10**8, 2 * 10**8):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: Memory(free))
        monkeypatch.setattr(data, "usable_cores", lambda: 64)
        images = load_images([LargeImages()], 1, CPU, 1, RecordedProgress())
        threads.append(images.threads)
        assert images.load([7]).hr.levels.unique().tolist() == [7]
    assert threads == [1, 3]


def test_images_are_decoded_in_chunks_of_some_memory() -> None:
    sizes = np.array([(8192, 8192), (10, 10), (20, 20), (8192, 10000), (1, 1)])
    chunks = list(data._chunks(sizes))
    assert chunks == [range(3), range(3, 5)]
    assert list(data._chunks(np.array([(20000, 10000)] * 2))) == [range(1), range(1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("side", [30, 66])
def test_images_of_any_side_are_trained_on(
    side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No multiple of the scale; and too small for LPIPS, whose weights are there."""
    make_world(tmp_path, {"train": 5, "val": 1}, side)
    state = backbone_state("alexnet", "random")
    save_file(state, tmp_path / "alexnet.safetensors")
    monkeypatch.setenv("PIPELINE_WEIGHTS", str(tmp_path))
    recorded = Recorded()
    assert run(tmp_path, tmp_path / "models", recorded, crop=28).steps == 6
    assert any("val/lpips" in row for _, row in recorded.rows) == (side > 31)


def test_validation_at_scale_1_is_held_against_its_input() -> None:
    """A restored image may have been undamaged: its PSNR is finite all the same."""
    random = np.random.default_rng(0)
    hr = random.integers(0, 200, (24, 31, 3), np.uint8)
    brighter = hr + 10
    damaged = Validation.from_images([hr, hr], 1, given_lr=[brighter, brighter])
    # Y of a level of grey is 219 / 255 of it.
    expected = 20 * math.log10(255 / (10 * 219 / 255))
    assert damaged.baseline_psnr_y == pytest.approx(expected, abs=1e-3)
    network = SRResNet(1, blocks=1, features=8, norm="none", skip="bicubic")
    assert damaged(network)[0]["psnr_y"] == pytest.approx(expected, abs=1e-3)
    undamaged = Validation.from_images([hr], 1, given_lr=[hr])
    assert (undamaged.baseline_psnr_y, undamaged(network)[0]["psnr_y"]) == (100, 100)


@pytest.mark.parametrize(("scale", "size"), [(3, (24, 30)), (8, (24, 24))])
def test_validation_images_are_cut_to_a_multiple_of_the_scale(
    scale: int, size: tuple[int, int]
) -> None:
    validation = Validation.from_images([np.zeros((26, 31, 3), np.uint8)], scale)
    assert validation.hr[0].shape == (3, *size)
    assert validation.lr[0].shape == (3, *(side // scale for side in size))


class Pictures(Sequence[Tensor]):
    """Random pictures, made when they are used; none may be used while another is."""

    def __init__(self, count: int, side: int) -> None:
        self.count, self.side = count, side
        self.newest: weakref.ref[Tensor] | None = None

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]
        assert self.newest is None or self.newest() is None
        random = torch.Generator().manual_seed(index)
        shape = (3, self.side, self.side)
        picture = torch.randint(256, shape, generator=random, dtype=torch.uint8)
        self.newest = weakref.ref(picture)
        return picture


def test_one_validation_image_is_in_memory_at_a_time() -> None:
    validation = Validation(Pictures(5, 32), Pictures(5, 32), None)
    network = SRResNet(1, blocks=1, features=8, norm="none", skip="bicubic")
    figures, strip = validation(network)
    assert strip.shape == (3, 32, 4 * 32)
    # The network begins as its input.
    assert figures["psnr_y"] == 100
    assert validation.baseline_psnr_y == 100
    assert len(validation.sha256) == 64


@pytest.mark.parametrize(("scale", "degradation"), [(1, "web"), (4, "none"), (4, "web")])
def test_lr_that_is_made_anew_is_the_same(
    scale: int, degradation: Degradation, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (2, 66, 70, 3), np.uint8))
    lr_bytes = 3 * (66 // scale) * (70 // scale)
    found = []
    for kept_bytes, is_kept in ((lr_bytes, True), (lr_bytes - 1, False)):
        monkeypatch.setattr(images_on_demand, "KEPT_BYTES", kept_bytes)
        validation = Validation.from_images(images, scale, None, degradation)
        assert (validation.lr[1] is validation.lr[1]) == is_kept
        found.append(validation.sha256)
    made = {
        f"lr.{index}": make_lr(hr[None], scale, degradation, [(index,)])[0]
        for index, hr in enumerate(validation.hr)
    }
    cut = {f"hr.{index}": hr for index, hr in enumerate(validation.hr)}
    assert found == [sha256_of_tensors(cut | made)] * 2


@pytest.mark.slow
def test_training_is_the_same_from_the_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, {"train": 5, "val": 1})
    inside, outside = Recorded(), Recorded()
    expected = run(tmp_path, tmp_path / "inside", inside).generator.read_bytes()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(0))
    assert run(tmp_path, tmp_path / "outside", outside).generator.read_bytes() == expected
    assert outside.rows == inside.rows

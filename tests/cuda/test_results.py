"""What a card computes is what the CPU computes, within rounding."""

import numpy as np
import pytest
import torch

from pipeline import Upscaler
from pipeline.devices import free_memory, pick_device
from pipeline.metrics import luma, ms_ssim, psnr, ssim
from pipeline.networks.tiles import best_tile
from tests.evaluation.world import drawing
from tests.training.runs import RecordedProgress

pytestmark = pytest.mark.cuda

PICTURE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
MODELS = ("perception", "distortion", "web", "article-perception", "article-distortion")


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.abs(ours.astype(int) - theirs.astype(int))


@pytest.mark.parametrize("model", MODELS)
def test_pictures_are_those_of_the_cpu(model: str) -> None:
    expected = Upscaler(model, device="cpu", precision="fp32")(PICTURE)
    whole = Upscaler(model, device="cuda", precision="fp32")(PICTURE)
    tiles = Upscaler(model, device="cuda", precision="fp32", tile=32)(PICTURE)
    for result in (whole, tiles):
        assert difference(result, expected).max() <= 1
        assert difference(result, expected).mean() < 0.001


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_of_a_batch_are_those_of_each_alone(channels: int) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (9, 40, 60, channels), np.uint8)
    upscaler = Upscaler("distortion", device="cuda", precision="fp32", seamless=True)
    expected = np.stack([upscaler(picture) for picture in batch])
    assert difference(upscaler(batch), expected).max() <= 1


@pytest.mark.parametrize("model", MODELS)
def test_half_precision_differs_little_on_a_drawing(model: str) -> None:
    """As on a CPU, where the mean difference is 0.03 to 0.10 levels."""
    picture = np.asarray(drawing(1, 96))
    exact, fast = (
        Upscaler(model, device="cuda", precision=precision)(picture)
        for precision in ("fp32", "bf16")
    )
    assert 0 < difference(fast, exact).mean() < 0.2


def test_figures_are_those_of_the_cpu() -> None:
    pick_device("cuda")
    random = torch.Generator().manual_seed(0)
    hr = torch.randint(0, 256, (1, 3, 192, 192), generator=random).float()
    sr = (hr + 8 * torch.randn(hr.shape, generator=random)).clamp(0, 255)
    pair = luma(sr), luma(hr)
    on_card = tuple(tensor.cuda() for tensor in pair)
    for metric in (psnr, ssim, ms_ssim):
        ours, theirs = metric(*on_card, border=4).cpu(), metric(*pair, border=4)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_memory_that_pytorch_keeps_counts_as_free() -> None:
    device = torch.device("cuda")
    torch.cuda.empty_cache()
    before = free_memory(device)
    kept = torch.empty(2**30, dtype=torch.uint8, device=device)
    assert before - free_memory(device) >= 2**30
    del kept
    assert abs(free_memory(device) - before) < 2**22
    assert torch.cuda.memory_reserved(device) >= 2**30


def test_a_second_picture_is_cut_as_the_first() -> None:
    upscaler = Upscaler("distortion", device="cuda")
    tile = best_tile(upscaler._tiled.generator, torch.device("cuda"), 10_000, 10_000)
    first = upscaler(PICTURE)
    assert best_tile(upscaler._tiled.generator, torch.device("cuda"), 10_000, 10_000) == tile
    assert np.array_equal(upscaler(PICTURE), first)


def test_where_memory_ends_smaller_tiles_give_the_same_picture() -> None:
    device = torch.device("cuda", 0)
    picture = np.random.default_rng(1).integers(0, 256, (400, 500, 3), np.uint8)
    upscaler = Upscaler("distortion", device="cuda", precision="fp32", tile=512)
    expected = upscaler(picture)
    progress = RecordedProgress()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(0.4 * 2**30 / total, device)
    try:
        result = upscaler(picture, progress)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert any(text.startswith("memory ran out; goes on") for text in progress.messages)
    assert difference(result, expected).max() <= 1

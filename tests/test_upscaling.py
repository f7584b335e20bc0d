"""Enlarging any picture: tiles without seams, every mode, and what cannot be read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.networks.srresnet import SRResNet
from pipeline.progress import Silent
from pipeline.upscaling import Upscaler, read_picture, split_alpha, windows, write_picture


@pytest.fixture(scope="module")
def generator() -> SRResNet:
    torch.manual_seed(0)
    network = SRResNet(scale=4, blocks=1, features=8, norm="none")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(("width", "height", "tile"), [(50, 34, 16), (64, 64, 32), (1, 70, 16)])
def test_windows_cover_every_pixel_once(width: int, height: int, tile: int) -> None:
    seen = np.zeros((height, width), int)
    for window in windows(width, height, tile, overlap=5):
        left, top, right, bottom = window.inner
        seen[top:bottom, left:right] += 1
        assert max(right - left, bottom - top) <= tile
        assert window.outer[0] == max(left - 5, 0)
        assert window.outer[3] == min(bottom + 5, height)
    assert (seen == 1).all()


@pytest.mark.parametrize("skip", ["none", "bicubic"])
def test_tiled_equals_whole(skip: str) -> None:
    torch.manual_seed(0)
    network = SRResNet(scale=4, blocks=2, features=8, norm="none", skip=skip).eval()
    with torch.no_grad():
        network.state_dict()[next(reversed(network.state_dict()))].normal_()
    lr = noise(61, 47)
    whole = Upscaler(network, tile=64).pixels(lr, Silent())
    tiled = Upscaler(network, tile=16).pixels(lr, Silent())
    # Sums in another order may round one level apart where a value lies between two levels.
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert (whole != tiled).mean() < 1e-3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (17, 5)])
def test_any_size_becomes_four_times_as_large(generator: SRResNet, size: tuple[int, int]) -> None:
    result = Upscaler(generator).image(Image.new("RGB", size, "red"))
    assert (result.size, result.mode) == ((size[0] * 4, size[1] * 4), "RGB")


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "I;16"])
def test_modes_without_transparency_become_rgb(generator: SRResNet, mode: str) -> None:
    result = Upscaler(generator).image(Image.new(mode, (8, 6)))
    assert (result.size, result.mode) == ((32, 24), "RGB")


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept(generator: SRResNet, mode: str) -> None:
    image = Image.new(mode, (8, 6))
    result = Upscaler(generator).image(image)
    assert (result.size, result.mode) == ((32, 24), "RGBA")
    assert result.getchannel("A").getextrema() == (0, 0)


def test_hidden_colours_do_not_reach_the_network() -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, :2] = (200, 100, 50, 255)
    pixels[:, 2:] = (0, 255, 0, 0)
    rgb, alpha = split_alpha(Image.fromarray(pixels))
    assert rgb.getcolors() == [(16, (200, 100, 50))]
    assert alpha is not None
    assert alpha.getextrema() == (0, 255)


def test_sixteen_bits_become_eight_without_clipping() -> None:
    levels = np.array([[0, 257 * 128, 65535]], np.uint16)
    rgb, _ = split_alpha(Image.fromarray(levels))
    assert np.asarray(rgb)[0, :, 0].tolist() == [0, 128, 255]


def test_the_cameras_orientation_is_applied(generator: SRResNet, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif)
    result = Upscaler(generator).image(read_picture(tmp_path / "a.jpg"))
    assert result.size == (24, 32)


def test_broken_weights_give_no_picture(generator: SRResNet) -> None:
    broken = SRResNet(scale=4, blocks=1, features=8, norm="none").eval()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(PipelineError, match="not finite"):
        Upscaler(broken).image(Image.new("RGB", (8, 8)))


def png_bytes(tmp_path: Path) -> bytes:
    write_picture(tmp_path / "good.png", Image.fromarray(noise(40, 40)))
    return (tmp_path / "good.png").read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.png", b"no picture"), ("empty.png", b""), ("half.png", None)],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    whole = png_bytes(tmp_path)
    (tmp_path / name).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(PipelineError, match=name):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_lossless_formats_return_every_pixel(tmp_path: Path, name: str) -> None:
    pixels = noise(20, 30)
    write_picture(tmp_path / name, Image.fromarray(pixels))
    assert (np.asarray(read_picture(tmp_path / name).convert("RGB")) == pixels).all()


def test_jpeg_refuses_transparency_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"ending in \.png"):
        write_picture(tmp_path / "a.jpg", Image.new("RGBA", (8, 8)))
    assert list(tmp_path.iterdir()) == []

"""Textures that tile: opposite edges of the result meet."""

import numpy as np
import pytest
import torch

from pipeline import Upscaler
from pipeline.networks import Generator, SRResNet
from tests.upscaling.small import bicubic, generator, noise


def rolled(pixels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.roll(pixels, (rows, columns), (0, 1))


@pytest.mark.parametrize("tile", [16, 32, 128])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_result_of_a_rolled_texture_is_rolled(dtype: type, channels: int, tile: int) -> None:
    texture = noise(40, 56, channels, np.uint16 if dtype == np.uint16 else np.uint8)
    if dtype == np.float32:
        texture = (texture / 255).astype(dtype)
    upscaler = Upscaler(generator(), seamless=True, tile=tile, device="cpu", precision="fp32")
    result = upscaler(rolled(texture, 11, -17)).astype(float)
    expected = rolled(upscaler(texture), 44, -68).astype(float)
    rounding = 1e-5 if dtype == np.float32 else 1
    assert np.abs(result - expected).max() <= rounding


@pytest.mark.parametrize(("scale", "rows", "columns"), [(2, 11, -17), (8, 11, -17), (2.5, 10, -16)])
def test_other_scales_are_seamless_too(scale: float, rows: int, columns: int) -> None:
    texture = torch.from_numpy(noise(24, 36)).permute(2, 0, 1).float() / 255
    upscaler = Upscaler(bicubic(), scale=scale, seamless=True, tile=16, device="cpu")
    result = upscaler(texture.roll((rows, columns), (1, 2)))
    shift = (round(rows * scale), round(columns * scale))
    torch.testing.assert_close(result, upscaler(texture).roll(shift, (1, 2)), rtol=0, atol=1e-5)


def test_it_is_the_inner_part_of_the_repeated_texture() -> None:
    """Of a texture smaller than what the network sees, many repetitions."""
    texture = noise(5, 7)
    network = SRResNet(blocks=16, features=4, norm="none", upsampling="direct")
    assert network.receptive_radius > 7
    upscaler = Upscaler(network, seamless=True, device="cpu", precision="fp32")
    whole = Upscaler(network, tile=256, device="cpu", precision="fp32")(
        np.tile(texture, (21, 15, 1))
    )
    inner = whole[5 * 40 : 5 * 44, 7 * 28 : 7 * 32].astype(int)
    assert np.abs(upscaler(texture) - inner).max() <= 1


@pytest.mark.parametrize("network", [bicubic(), "distortion"], ids=["bicubic", "distortion"])
def test_opposite_edges_meet_as_neighbours_inside(network: Generator | str) -> None:
    """A wave that tiles: its edges differ by no more than columns that are neighbours."""
    rows, columns = np.mgrid[:32, :48]
    wave = np.cos(2 * np.pi * (2 * columns / 48 + rows / 32)) * 100 + 128
    texture = np.repeat(wave[..., None], 3, 2).round().astype(np.uint8)
    result = Upscaler(network, seamless=True, device="cpu")(texture).astype(int)
    inside = np.abs(np.diff(result, axis=1)).max()
    assert np.abs(result[:, 0] - result[:, -1]).max() <= inside
    assert np.abs(result[0] - result[-1]).max() <= np.abs(np.diff(result, axis=0)).max()

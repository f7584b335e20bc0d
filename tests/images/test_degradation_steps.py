"""Steps of the chain: each does what was drawn for it, and the same each time."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import convolve as reference_convolve

from pipeline.images.blur_kernels import bell, sinc
from pipeline.images.degradation_steps import (
    CODECS,
    FILTERS,
    TILE_SIDE,
    Blur,
    Codec,
    Compress,
    Noise,
    Planes,
    Resize,
    Sharpen,
    Step,
    convolve,
)
from pipeline.images.quality import jpeg_of

FLAT = np.broadcast_to(np.float32([200, 90, 30])[:, None, None], (3, 40, 56)).copy()
NOISY = np.random.default_rng(3).uniform(0, 255, (3, 40, 56)).astype(np.float32)
STEPS: list[Step] = [
    Blur(bell("gaussian", 21, (3.0, 1.0), 0.4), "blur"),
    Blur(sinc(21, 1.0), "sinc"),
    *(Resize(33, 17, name, name) for name in FILTERS),
    Sharpen(0.8),
    Noise("gaussian", 9.0, False, 5),
    Noise("poisson", 0.4, True, 5),
    *(Compress(codec, 60, True, 5, 9) for codec in CODECS),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.label)
def test_a_step_gives_the_same_each_time_and_keeps_its_input(step: Step) -> None:
    before = NOISY.copy()
    results = [step(NOISY), step(NOISY)]
    assert np.array_equal(*results)
    assert np.array_equal(before, NOISY)
    assert results[0].dtype == np.float32
    size = (33, 17) if isinstance(step, Resize) else (40, 56)
    assert results[0].shape == (3, *size)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.label)
def test_flat_colours_stay(step: Step) -> None:
    means = step(FLAT).mean((1, 2))
    assert means == pytest.approx([200, 90, 30], abs=0.6 if isinstance(step, Noise) else 1.5)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.label)
def test_a_single_pixel_is_taken(step: Step) -> None:
    pixel = np.full((3, 1, 1), 100, np.float32)
    assert step(pixel).shape == ((3, 33, 17) if isinstance(step, Resize) else (3, 1, 1))


def test_the_blur_is_a_mirrored_convolution() -> None:
    kernel = bell("gaussian", 7, (1.0, 2.5), 0.3)
    expected = reference_convolve(NOISY, kernel[None], mode="reflect")
    assert convolve(NOISY, kernel) == pytest.approx(expected, abs=1e-3)


def noise_of(step: Noise, level: float) -> Planes:
    planes = np.full((3, 200, 200), level, np.float32)
    return step(planes) - planes


def test_noise_has_its_deviation() -> None:
    coloured = noise_of(Noise("gaussian", 7.0, False, 1), 120)
    assert coloured.std() == pytest.approx(7, rel=0.02)
    assert abs(np.corrcoef(coloured[0].ravel(), coloured[1].ravel())[0, 1]) < 0.02
    grey = noise_of(Noise("gaussian", 7.0, True, 1), 120)
    assert grey[0].std() == pytest.approx(7, rel=0.02)
    assert np.array_equal(grey[0], grey[2])
    assert not np.array_equal(noise_of(Noise("gaussian", 7.0, True, 2), 120), grey)


def test_noise_of_photons_grows_with_the_root_of_the_level() -> None:
    for level in (25, 100):
        noise = noise_of(Noise("poisson", 0.5, False, 1), level)
        assert noise.std() == pytest.approx(0.5 * level**0.5, rel=0.02)
    assert not noise_of(Noise("poisson", 0.5, False, 1), 0).any()


def test_sharpening_makes_halos_beside_an_edge() -> None:
    edge = np.full((3, 20, 20), 80, np.float32)
    edge[:, :, 10:] = 160
    sharp = Sharpen(1.0)(edge)
    assert sharp[0, 10, 9] < 75
    assert sharp[0, 10, 10] > 165
    assert sharp[0, 10, [0, 19]] == pytest.approx([80, 160], abs=0.01)
    assert np.array_equal(Sharpen(0.0)(edge), edge)


def test_compression_loses_more_at_a_lower_quality() -> None:
    for codec in CODECS:
        losses = [
            np.abs(Compress(codec, quality, False)(NOISY) - NOISY).mean() for quality in (90, 20)
        ]
        assert losses[0] < losses[1]


@pytest.mark.parametrize("codec", CODECS)
def test_what_no_file_is_large_enough_for_is_compressed_in_parts(codec: Codec) -> None:
    long = np.random.default_rng(3).uniform(0, 255, (3, 5, 2 * TILE_SIDE + 9)).astype(np.float32)
    step = Compress(codec, 60, True, 3, 2)
    # Of the tile, the first columns are what the image is extended by.
    first = TILE_SIDE - step.left
    for image, part in ((long, long[..., :first]), (long.mT, long.mT[:, :first])):
        turned = image.shape[1] > image.shape[2]
        own = replace(step, left=2, top=3) if turned else step
        found = own(image)
        assert found.shape == image.shape
        assert np.array_equal(found[:, : part.shape[1], : part.shape[2]], own(part))


def test_subsampled_chroma_loses_colours() -> None:
    stripes = np.zeros((3, 32, 32), np.float32)
    stripes[0, :, ::2] = stripes[2, :, 1::2] = 255
    for codec in ("jpeg", "avif"):
        whole = Compress(codec, 95, False)(stripes)
        halved = replace(Compress(codec, 95, True))(stripes)
        contrasts = [np.abs(np.diff(planes[0], axis=1)).mean() for planes in (whole, halved)]
        assert contrasts[0] > 2 * contrasts[1]


def test_the_file_has_the_quality_that_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pillow writes is a JPEG of that quality and subsampling, as `quality` reads it."""
    from PIL import Image

    found = []
    opened = Image.open

    def noting(file: object) -> object:
        image = opened(file)  # type: ignore[arg-type]
        found.append(jpeg_of(image))
        return image

    monkeypatch.setattr(Image, "open", noting)
    Compress("jpeg", 37, True)(NOISY)
    assert found[0] is not None
    assert found[0].quality == 37

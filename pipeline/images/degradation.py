"""Degraded LR images like those on the web: downscaled by any filter, some noisy, most JPEG.

The chain is short on purpose (one downscaling, one or two compressions): drawings on the web are
degraded by sites, not by lenses. The ranges were chosen by looking at the results.
"""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from pipeline.images.resample import downscale, lr_size

Degradation = Literal["none", "web"]

FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
BLUR_PROBABILITY = 0.3
NOISE_PROBABILITY = 0.2
JPEG_PROBABILITY = 0.85
SECOND_JPEG_PROBABILITY = 0.25
"""Of the compressed images."""
CHROMA_SUBSAMPLED_PROBABILITY = 0.7
"""Of the compressions, to 4:2:0."""
MAX_BLUR = 0.4
"""Standard deviation of a Gaussian, LR pixels."""
MAX_NOISE = 4.0
"""Standard deviation, levels of 255."""
QUALITY_RANGE = (40, 95)
"""Lowest and highest JPEG quality."""
MACROBLOCK_SIDE = 16
"""Side of a JPEG macroblock with subsampled chroma, pixels."""


def make_lr(
    hr: Tensor,
    scale: int,
    kind: Degradation,
    seeds: Sequence[Sequence[int]],
    cut_out: bool = False,
) -> Tensor:
    """Make LR images of `(N, 3, H, W) uint8`: `(N, 3, H/scale, W/scale) uint8`, same device.

    `none` is antialiased bicubic and ignores `seeds`. `web` degrades each image at random by its
    own entry of `seeds`, integers of 0 or more as `numpy.random.default_rng` takes them, so that
    the result does not depend on the batch. JPEG's blocks begin in the image's corner, or at a
    random offset if the images are crops (`cut_out`). Raises `ValueError` where a side is no
    multiple of `scale`.
    """
    if kind == "none":
        return downscale(hr, scale)
    degraded = [
        _degrade(image, scale, np.random.default_rng(seed), cut_out)
        for image, seed in zip(hr.cpu(), seeds, strict=True)
    ]
    return torch.stack(degraded).to(hr.device)


def _degrade(hr: Tensor, scale: int, random: np.random.Generator, cut_out: bool) -> Tensor:
    lr_height, lr_width = lr_size(hr.shape[-2], hr.shape[-1], scale)
    image = Image.fromarray(hr.permute(1, 2, 0).contiguous().numpy())
    if random.random() < BLUR_PROBABILITY:
        deviation = random.uniform(0, MAX_BLUR) * scale
        image = image.filter(ImageFilter.GaussianBlur(deviation))
    filter_ = FILTERS[random.integers(len(FILTERS))]
    image = image.resize((lr_width, lr_height), filter_)
    if random.random() < NOISE_PROBABILITY:
        image = _add_noise(image, random.uniform(0, MAX_NOISE), random)
    if random.random() < JPEG_PROBABILITY:
        left, top = random.integers(MACROBLOCK_SIDE, size=2) if cut_out else (0, 0)
        image = _pad(image, left, top)
        for _ in range(1 + (random.random() < SECOND_JPEG_PROBABILITY)):
            image = _compress(image, random)
        image = image.crop((left, top, image.width, image.height))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _add_noise(image: Image.Image, deviation: float, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = deviation * random.standard_normal(pixels.shape, np.float32)
    return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))


def _pad(image: Image.Image, left: int, top: int) -> Image.Image:
    """Pad an image by mirroring, on its left and top sides."""
    pixels = np.pad(np.asarray(image), ((top, 0), (left, 0), (0, 0)), "symmetric")
    return Image.fromarray(pixels)


def _compress(image: Image.Image, random: np.random.Generator) -> Image.Image:
    quality = int(random.integers(*QUALITY_RANGE, endpoint=True))
    subsampling = 2 if random.random() < CHROMA_SUBSAMPLED_PROBABILITY else 0
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(file).convert("RGB")

"""LR images as the web has them: shrunk by anyone's program, sometimes noisy, mostly JPEG.

The chain is short on purpose (one shrinking, one or two compressions): drawings on the web are
damaged by sites, not by lenses. Where the numbers end was set by looking at what comes out.
"""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from pipeline.images.resample import downscale

Degradation = Literal["none", "web"]

FILTERS = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
BLURRED, NOISY, COMPRESSED, TWICE = 0.3, 0.2, 0.85, 0.25
"""Shares of the images that are blurred first, noisy, compressed, and that again."""
LARGEST_BLUR = 0.4
"""Deviation of a Gaussian, LR pixels."""
LARGEST_NOISE = 4.0
"""Deviation, levels of 255."""
QUALITIES = (40, 95)
"""JPEG's."""
BLOCKS = 16
"""Side of what JPEG compresses by itself, pixels, where colour has half of the size."""


def make_lr(
    hr: Tensor,
    scale: int,
    kind: Degradation,
    seeds: Sequence[Sequence[int]],
    cut_out: bool = False,
) -> Tensor:
    """LR images of `(N, 3, H, W) uint8`: `(N, 3, H/scale, W/scale) uint8`, on the same device.

    `none` is antialiased bicubic. `web` draws what befalls an image from its own of the `seeds`, so
    that it does not depend on the batch it is in; JPEG's blocks begin in the image's corner, or,
    where it was `cut_out` of a larger one, anywhere. Raises `ValueError` where a side is no
    multiple of `scale`.
    """
    if kind == "none":
        return downscale(hr, scale)
    damaged = [
        _from_web(image, scale, np.random.default_rng(seed), cut_out)
        for image, seed in zip(hr.cpu(), seeds, strict=True)
    ]
    return torch.stack(damaged).to(hr.device)


def _from_web(hr: Tensor, scale: int, random: np.random.Generator, cut_out: bool) -> Tensor:
    height, width = hr.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"{width}×{height} is no multiple of {scale}")
    image = Image.fromarray(hr.permute(1, 2, 0).contiguous().numpy())
    if random.random() < BLURRED:
        deviation = random.uniform(0, LARGEST_BLUR) * scale
        image = image.filter(ImageFilter.GaussianBlur(deviation))
    filter_ = FILTERS[random.integers(len(FILTERS))]
    image = image.resize((width // scale, height // scale), filter_)
    if random.random() < NOISY:
        image = _noisy(image, random.uniform(0, LARGEST_NOISE), random)
    if random.random() < COMPRESSED:
        left, top = random.integers(BLOCKS, size=2) if cut_out else (0, 0)
        image = _extended(image, left, top)
        for _ in range(1 + (random.random() < TWICE)):
            image = _compressed(image, random)
        image = image.crop((left, top, image.width, image.height))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _noisy(image: Image.Image, deviation: float, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = deviation * random.standard_normal(pixels.shape, np.float32)
    return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))


def _extended(image: Image.Image, left: int, top: int) -> Image.Image:
    """With so many pixels more on two sides, mirrored."""
    pixels = np.pad(np.asarray(image), ((top, 0), (left, 0), (0, 0)), "symmetric")
    return Image.fromarray(pixels)


def _compressed(image: Image.Image, random: np.random.Generator) -> Image.Image:
    quality = int(random.integers(*QUALITIES, endpoint=True))
    subsampling = 2 if random.random() < 0.7 else 0
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return Image.open(file).convert("RGB")

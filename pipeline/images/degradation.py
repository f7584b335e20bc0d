"""LR images, made of HR ones: clean, as on the web, or by the chain of two orders.

`web` is short on purpose (one downscaling by any filter, one or two compressions): drawings on the
web are degraded by sites, not by lenses. Its ranges were chosen by looking at the results, and do
not change: figures and shipped models depend on them. `light` and `heavy` are of
`degradation_chain`, whose strengths may be others.
"""

import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, overload

import numpy as np
import torch
from PIL import Image, ImageFilter, features
from torch import Tensor

from pipeline.errors import UsageError
from pipeline.images.degradation_chain import draw_steps
from pipeline.images.degradation_presets import PRESETS
from pipeline.images.degradation_steps import Compress, Levels, in_tiles
from pipeline.images.resample import downscale, lr_size
from pipeline.params.degradation import ChainStrengths, Damage, Degradation

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
JPEG_SIDE = 65_488
"""Largest side of a JPEG file that has whole macroblocks, pixels; libjpeg writes up to 65,500."""


def make_lr(
    hr: Tensor,
    scale: int,
    kind: Degradation | ChainStrengths,
    seeds: Sequence[Sequence[int]],
    cut_out: bool = False,
) -> Tensor:
    """Make LR images of `(N, 3, H, W) uint8`: `(N, 3, H/scale, W/scale) uint8`, same device.

    `none` is antialiased bicubic and ignores `seeds`. The others degrade each image at random by
    its own entry of `seeds`, integers of 0 or more as `numpy.random.default_rng` takes them, so
    that the result does not depend on the batch. The codecs' blocks begin in the image's corner, or
    at a random offset if the images are crops (`cut_out`). Raises `ValueError` where a side is no
    multiple of `scale`.
    """
    if kind == "none":
        return downscale(hr, scale)
    resolved = degradation_of(kind) if isinstance(kind, str) else kind
    degraded = [
        degrade(image, scale, resolved, seed, cut_out)[0]
        for image, seed in zip(hr.cpu(), seeds, strict=True)
    ]
    return torch.stack(degraded).to(hr.device)


def degrade(
    hr: Tensor,
    scale: int,
    kind: Literal["web"] | ChainStrengths,
    seed: Sequence[int],
    cut_out: bool,
) -> tuple[Tensor, list[str]]:
    """Degrade `(3, H, W) uint8` on the CPU, as `make_lr` does.

    Return `(3, H/scale, W/scale) uint8`, and what was done to it, step by step.
    """
    random = np.random.default_rng(seed)
    if kind == "web":
        return _degrade_as_web(hr, scale, random, cut_out)
    height, width = hr.shape[-2:]
    steps = draw_steps(kind, (height, width), scale, random, cut_out)
    planes = hr.numpy().astype(np.float32)
    for step in steps:
        planes = step(planes)
    lr = torch.from_numpy(planes.round().clip(0, 255).astype(np.uint8))
    return lr, [step.label for step in steps]


@overload
def degradation_of(
    kind: Damage, strengths: Mapping[str, Any] = ...
) -> Literal["web"] | ChainStrengths: ...
@overload
def degradation_of(
    kind: Degradation, strengths: Mapping[str, Any] = ...
) -> Literal["none", "web"] | ChainStrengths: ...
def degradation_of(
    kind: Degradation, strengths: Mapping[str, Any] = MappingProxyType({})
) -> Literal["none", "web"] | ChainStrengths:
    """Return what `make_lr` takes: the chain of a preset with `strengths` in place of its own.

    Raises `UsageError` where it has AVIF and this Pillow writes none.
    """
    if kind in ("none", "web"):
        return kind
    # The chain alone needs it, and it takes a second to load: once, before threads degrade.
    import scipy.signal  # noqa: F401

    chain = PRESETS[kind].replaced(strengths) if strengths else PRESETS[kind]
    has_avif = chain.first.compression_prob[-1] or chain.second.compression_prob[-1]
    if has_avif and not features.check("avif"):
        raise UsageError(
            f"degradation {kind}: this Pillow writes no AVIF; install Pillow 11.3 or newer, or set "
            "the last number of train.degradation_strengths' compression_prob and "
            "compression_prob2 to 0"
        )
    return chain


def _degrade_as_web(
    hr: Tensor, scale: int, random: np.random.Generator, cut_out: bool
) -> tuple[Tensor, list[str]]:
    lr_height, lr_width = lr_size(hr.shape[-2], hr.shape[-1], scale)
    image = Image.fromarray(hr.permute(1, 2, 0).contiguous().numpy())
    done = []
    if random.random() < BLUR_PROBABILITY:
        deviation = random.uniform(0, MAX_BLUR) * scale
        image = image.filter(ImageFilter.GaussianBlur(deviation))
        done.append(f"blur {deviation:.1f}")
    filter_ = FILTERS[random.integers(len(FILTERS))]
    image = image.resize((lr_width, lr_height), filter_)
    done.append(f"×{1 / scale:.2f} {filter_.name.lower()}")
    if random.random() < NOISE_PROBABILITY:
        deviation = random.uniform(0, MAX_NOISE)
        image = _add_noise(image, deviation, random)
        done.append(f"noise {deviation:.1f}")
    if random.random() < JPEG_PROBABILITY:
        left, top = random.integers(MACROBLOCK_SIDE, size=2) if cut_out else (0, 0)
        image = _pad(image, left, top)
        for _ in range(1 + (random.random() < SECOND_JPEG_PROBABILITY)):
            quality = int(random.integers(*QUALITY_RANGE, endpoint=True))
            subsampled = bool(random.random() < CHROMA_SUBSAMPLED_PROBABILITY)
            image = _compress(image, quality, subsampled)
            done.append(Compress("jpeg", quality, subsampled).label)
        image = image.crop((left, top, image.width, image.height))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous(), done


def _add_noise(image: Image.Image, deviation: float, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    noise = deviation * random.standard_normal(pixels.shape, np.float32)
    return Image.fromarray((pixels + noise).round().clip(0, 255).astype(np.uint8))


def _pad(image: Image.Image, left: int, top: int) -> Image.Image:
    """Pad an image by mirroring, on its left and top sides."""
    pixels = np.pad(np.asarray(image), ((top, 0), (left, 0), (0, 0)), "symmetric")
    return Image.fromarray(pixels)


def _compress(image: Image.Image, quality: int, subsampled: bool) -> Image.Image:
    def written_and_read(levels: Levels) -> Levels:
        file = io.BytesIO()
        part = Image.fromarray(levels)
        part.save(file, "JPEG", quality=quality, subsampling=2 if subsampled else 0)
        return np.asarray(Image.open(file).convert("RGB"))

    return Image.fromarray(in_tiles(np.asarray(image), JPEG_SIDE, written_and_read))

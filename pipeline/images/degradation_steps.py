"""The steps of the degradation chain, each drawn in full before it is applied.

A step maps planes, `(3, H, W) float32` of levels in [0, 255], to planes. It holds all that was
drawn for it, so that it gives the same planes each time, and says in `label` what that was.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.blur_kernels import Kernel, bell

Planes = NDArray[np.float32]
Levels = NDArray[np.uint8]
"""`(H, W, 3)`."""
Codec = Literal["jpeg", "webp", "avif"]
CODECS: tuple[Codec, ...] = ("jpeg", "webp", "avif")
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
CODEC_NAMES = {"jpeg": "JPEG", "webp": "WebP", "avif": "AVIF"}
# The fast settings of the encoders, which take most of the chain's time.
_SPEEDS: dict[Codec, dict[str, Any]] = {
    "jpeg": {},
    "webp": {"method": 0},
    "avif": {"speed": 10, "max_threads": 1},
}
TILE_SIDE = 8192
"""Side of the parts in which larger pictures are compressed, pixels.

WebP has at most 16,383 a side, and Pillow opens no file of more than 178,956,970 pixels. A multiple
of all codecs' blocks.
"""
UNSHARP_SIGMA = 1.0
"""Standard deviation of the blur of an unsharp mask, pixels."""
GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue in the luma of ITU-R BT.601."""


@dataclass(frozen=True)
class Blur:
    """Convolution with a kernel of `blur_kernels`, section 3.1 of Real-ESRGAN.

    Beyond the borders the image is mirrored.
    """

    kernel: Kernel = field(repr=False, compare=False)
    label: str

    def __call__(self, planes: Planes) -> Planes:
        """Blur; levels may end beyond [0, 255] where the kernel rings."""
        return convolve(planes, self.kernel)


@dataclass(frozen=True)
class Resize:
    """Antialiased resampling to `(height, width)` by Pillow's filter of that name.

    Real-ESRGAN draws one of several filters each time, section 3.1.
    """

    height: int
    width: int
    filter: str
    label: str

    def __call__(self, planes: Planes) -> Planes:
        """Resample each plane."""
        size, filter_ = (self.width, self.height), FILTERS[self.filter]
        resized = [Image.fromarray(plane).resize(size, filter_) for plane in planes]
        return np.stack([np.asarray(image, np.float32) for image in resized])


@dataclass(frozen=True)
class Sharpen:
    """An unsharp mask: the difference from a blurred image is added `weight` times.

    Sites sharpen what they scale down, which leaves halos. Real-ESRGAN sharpens HR by such a mask.
    """

    weight: float

    @property
    def label(self) -> str:
        """Name and weight."""
        return f"sharpen {self.weight:.2f}"

    def __call__(self, planes: Planes) -> Planes:
        """Sharpen; levels are clamped."""
        kernel = bell("gaussian", 7, (UNSHARP_SIGMA, UNSHARP_SIGMA))
        sharp = planes + np.float32(self.weight) * (planes - convolve(planes, kernel))
        return sharp.clip(0, 255)


@dataclass(frozen=True)
class Noise:
    """Noise of standard deviation `strength`, or of Poisson's kind `strength · √level`.

    Section 3.1 of Real-ESRGAN, Gaussian or Poisson's, coloured or grey. Poisson's is drawn as a
    normal distribution of its variance, which takes half of the time and, at the 256 photons that
    white has there, looks the same.
    """

    kind: Literal["gaussian", "poisson"]
    strength: float
    """levels of 255; factor of the root of a level"""
    grey: bool
    """whether all channels get the same"""
    seed: int

    @property
    def label(self) -> str:
        """Kind, strength and colour."""
        sign = "√level" if self.kind == "poisson" else ""
        return f"{'grey ' if self.grey else ''}noise {self.strength:.1f}{sign}"

    def __call__(self, planes: Planes) -> Planes:
        """Add noise; levels are clamped."""
        shape = (1 if self.grey else 3, *planes.shape[1:])
        noise = np.random.default_rng(self.seed).standard_normal(shape, np.float32)
        noise *= np.float32(self.strength)
        if self.kind == "poisson":
            levels = grey(planes) if self.grey else planes
            noise *= np.sqrt(levels.clip(0))
        return (planes + noise).clip(0, 255)


@dataclass(frozen=True)
class Compress:
    """A file of a lossy format, written by Pillow and read again.

    Real-ESRGAN has JPEG, section 3.1; Wang et al. 2024, "APISR: Anime Production Inspired
    Real-World Anime Super-Resolution", WebP and AVIF beside it. `left` and `top` are the pixels by
    which the image is extended first, mirrored, so that blocks begin anywhere in a crop. What is
    larger than `TILE_SIDE` becomes several files.
    """

    codec: Codec
    quality: int
    subsampled: bool
    """whether chroma has half the resolution; always so in WebP"""
    left: int = 0
    top: int = 0

    @property
    def label(self) -> str:
        """Format, quality and subsampling of chroma."""
        chroma = "4:2:0" if self.subsampled else "4:4:4"
        name = f"{CODEC_NAMES[self.codec]} {self.quality}"
        return name if self.codec == "webp" else f"{name} {chroma}"

    def __call__(self, planes: Planes) -> Planes:
        """Compress; levels become integers."""
        height, width = planes.shape[1:]
        levels = planes.round().clip(0, 255).astype(np.uint8).transpose(1, 2, 0)
        levels = np.pad(levels, ((self.top, 0), (self.left, 0), (0, 0)), "symmetric")
        read = in_tiles(levels, TILE_SIDE, self._written_and_read)
        cut = read[self.top : self.top + height, self.left : self.left + width]
        return np.ascontiguousarray(cut.transpose(2, 0, 1), np.float32)

    def _written_and_read(self, levels: Levels) -> Levels:
        file = io.BytesIO()
        Image.fromarray(levels).save(file, self.codec.upper(), **self._settings())
        with Image.open(file) as image:
            return np.asarray(image.convert("RGB"))

    def _settings(self) -> dict[str, Any]:
        settings = {"quality": self.quality, **_SPEEDS[self.codec]}
        if self.codec != "webp":
            settings["subsampling"] = "4:2:0" if self.subsampled else "4:4:4"
        return settings


Step = Blur | Resize | Sharpen | Noise | Compress
Apply = Callable[[Planes], Planes]


def in_tiles(levels: Levels, side: int, apply: Callable[[Levels], Levels]) -> Levels:
    """Apply what keeps an image's size to each of its tiles of at most `side` pixels a side."""
    height, width = levels.shape[:2]
    rows = [
        [apply(levels[top : top + side, left : left + side]) for left in range(0, width, side)]
        for top in range(0, height, side)
    ]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def convolve(planes: Planes, kernel: Kernel) -> Planes:
    """Convolve each plane with a kernel of odd side, mirrored beyond the borders."""
    from scipy.signal import fftconvolve

    radius = len(kernel) // 2
    padded = np.pad(planes, ((0, 0), (radius, radius), (radius, radius)), "symmetric")
    return fftconvolve(padded, kernel[None], mode="valid", axes=(1, 2))


def grey(planes: Planes) -> Planes:
    """Return luma, `(1, H, W)`."""
    return np.tensordot(np.array(GREY_WEIGHTS, np.float32), planes, 1)[None]

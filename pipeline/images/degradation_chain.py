"""The second-order degradation chain: what is drawn for one image, as a list of steps.

Wang et al. 2021, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic
Data", section 3.2: blur, resampling, noise and compression twice in a row, as of a picture that was
published and then saved, scaled and published again.
"""

import math
from collections.abc import Iterator

import numpy as np

from pipeline.images.blur_kernels import KernelKind, bell, sinc
from pipeline.images.degradation_steps import (
    CODECS,
    FILTERS,
    Blur,
    Compress,
    Noise,
    Resize,
    Sharpen,
    Step,
)
from pipeline.images.resample import lr_size
from pipeline.params.degradation import ChainStrengths, OrderStrengths

BLOCK_SIDE = 16
"""Side of a macroblock of JPEG with subsampled chroma and of WebP, pixels."""
_KERNELS: tuple[tuple[KernelKind, bool], ...] = (
    ("gaussian", True),
    ("gaussian", False),
    ("generalized", True),
    ("generalized", False),
    ("plateau", True),
    ("plateau", False),
)
"""Kinds in the order of `kernel_prob`, and whether they are isotropic."""
_LARGE_KERNEL = 13
"""Side from which a sinc filter may cut off lower frequencies, pixels, as in Real-ESRGAN."""

Size = tuple[int, int]
Range = tuple[float, float]


def draw_steps(
    strengths: ChainStrengths, hr: Size, scale: int, random: np.random.Generator, cut_out: bool
) -> list[Step]:
    """Draw the steps that make LR, `hr / scale`, of an HR image of (height, width) `hr`.

    The codecs' blocks begin in the corner, or at a random offset in crops (`cut_out`). Raises
    `ValueError` where a side is no multiple of `scale`.
    """
    lr = lr_size(*hr, scale)
    first = _Order(strengths, strengths.first, random, cut_out)
    second = _Order(strengths, strengths.second, random, cut_out)
    size = first.drawn_size(hr)
    steps = [*first.blur(), *first.resize(hr, size), *first.noise(), *first.compression()]
    resized = second.drawn_size(lr)
    steps += [*second.blur(), *second.resize(size, resized), *second.noise()]
    last = [*second.resize(resized, lr, sharpens=False), *second.final_sinc()]
    compression = list(second.compression())
    if random.random() < 0.5:
        return [*steps, *last, *compression]
    return [*steps, *compression, *last]


class _Order:
    """Draws the steps of one order."""

    def __init__(
        self,
        shared: ChainStrengths,
        own: OrderStrengths,
        random: np.random.Generator,
        cut_out: bool,
    ) -> None:
        self._shared, self._own, self._random, self._cut_out = shared, own, random, cut_out

    def blur(self) -> Iterator[Blur]:
        if not self._happens(self._own.blur_prob):
            return
        side = self._side()
        if self._happens(self._own.sinc_prob):
            yield self._sinc(side, math.pi / (3 if side < _LARGE_KERNEL else 5))
            return
        kind, isotropic = _KERNELS[self._choose(self._own.kernel_prob)]
        sigma = self._uniform(self._own.blur_sigma)
        other = sigma if isotropic else self._uniform(self._own.blur_sigma)
        angle = 0.0 if isotropic else self._random.uniform(-math.pi, math.pi)
        exponent = 1.0
        if kind != "gaussian":
            is_plateau = kind == "plateau"
            exponent = self._exponent(
                self._own.betap_range if is_plateau else self._own.betag_range
            )
        shown = f"{sigma:.1f}" if isotropic else f"{sigma:.1f}/{other:.1f}"
        name = "" if kind == "gaussian" else f"{kind} "
        yield Blur(bell(kind, side, (sigma, other), angle, exponent), f"{name}blur {shown}")

    def final_sinc(self) -> Iterator[Blur]:
        if self._happens(self._shared.final_sinc_prob):
            yield self._sinc(self._side(), math.pi / 3)

    def drawn_size(self, base: Size) -> Size:
        """Return `base` times a factor that is drawn: up, down or kept."""
        low, high = self._own.resize_range
        up, down = 0, 1
        direction = self._choose(self._own.resize_prob)
        factor = 1.0
        if direction in (up, down):
            factor = self._random.uniform(*((1, high) if direction == up else (low, 1)))
        return max(1, round(base[0] * factor)), max(1, round(base[1] * factor))

    def resize(self, size: Size, target: Size, sharpens: bool = True) -> Iterator[Resize | Sharpen]:
        if size != target:
            filter_ = tuple(FILTERS)[self._choose(self._shared.resize_mode_prob)]
            factor = math.sqrt(target[0] * target[1] / (size[0] * size[1]))
            yield Resize(*target, filter_, f"×{factor:.2f} {filter_}")
        if sharpens and self._happens(self._own.sharpen_prob):
            yield Sharpen(self._uniform(self._own.sharpen_range))

    def noise(self) -> Iterator[Noise]:
        if not self._happens(self._own.noise_prob):
            return
        grey = self._happens(self._own.gray_noise_prob)
        if self._happens(self._own.gaussian_noise_prob):
            yield Noise("gaussian", self._uniform(self._own.noise_range), grey, self._seed())
        else:
            yield Noise("poisson", self._uniform(self._own.poisson_scale_range), grey, self._seed())

    def compression(self) -> Iterator[Compress]:
        number = self._choose(self._own.compression_prob)
        if not number:
            return
        codec = CODECS[number - 1]
        ranges = (self._own.jpeg_range, self._own.webp_range, self._own.avif_range)
        quality = int(self._random.integers(*ranges[number - 1], endpoint=True))
        subsampled = codec == "webp" or self._happens(self._own.subsampling_prob)
        left, top = self._random.integers(BLOCK_SIDE, size=2) if self._cut_out else (0, 0)
        yield Compress(codec, quality, subsampled, int(left), int(top))

    def _sinc(self, side: int, least_cutoff: float) -> Blur:
        cutoff = self._random.uniform(least_cutoff, math.pi)
        return Blur(sinc(side, cutoff), f"sinc {cutoff / math.pi:.2f}π")

    def _side(self) -> int:
        low, high = self._own.kernel_range
        return low + 2 * int(self._random.integers((high - low) // 2, endpoint=True))

    def _exponent(self, limits: Range) -> float:
        """Return β, as often below 1 as above it."""
        low, high = limits
        return self._random.uniform(low, 1) if self._happens(0.5) else self._random.uniform(1, high)

    def _happens(self, probability: float) -> bool:
        return bool(self._random.random() < probability)

    def _choose(self, weights: tuple[float, ...]) -> int:
        shares = np.array(weights) / sum(weights)
        return int(self._random.choice(len(weights), p=shares))

    def _uniform(self, limits: Range) -> float:
        return float(self._random.uniform(*limits))

    def _seed(self) -> int:
        return int(self._random.integers(2**32))

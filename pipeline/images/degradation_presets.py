"""Named strengths of the degradation chain."""

from collections.abc import Mapping
from typing import Any

from pipeline.params.degradation import ChainStrengths, OrderStrengths

_ORDER: Mapping[str, Any] = {
    "blur_prob": 0,
    "sinc_prob": 0.1,
    "kernel_prob": (0.45, 0.25, 0.12, 0.03, 0.12, 0.03),
    "kernel_range": (7, 21),
    "blur_sigma": (0.2, 3),
    "betag_range": (0.5, 4),
    "betap_range": (1, 2),
    "resize_prob": (0, 0, 1),
    "resize_range": (0.5, 1.5),
    "sharpen_prob": 0,
    "sharpen_range": (0.2, 1),
    "noise_prob": 0,
    "gaussian_noise_prob": 0.5,
    "noise_range": (1, 30),
    "poisson_scale_range": (0.05, 3),
    "gray_noise_prob": 0.4,
    "compression_prob": (1, 0, 0, 0),
    "jpeg_range": (30, 95),
    "webp_range": (20, 95),
    "avif_range": (20, 95),
    "subsampling_prob": 0.7,
}
"""An order that changes nothing."""
_FILTERS = (0, 1, 1, 1, 1)


def _order(**strengths: Any) -> OrderStrengths:
    return OrderStrengths(**{**_ORDER, **strengths})


UNCHANGED = ChainStrengths(
    first=_order(), second=_order(), resize_mode_prob=_FILTERS, final_sinc_prob=0
)
"""Resamples to LR, and does nothing else."""

PRESETS: Mapping[str, ChainStrengths] = {
    "light": ChainStrengths(
        first=_order(
            blur_prob=0.2,
            sinc_prob=0,
            kernel_range=(7, 11),
            blur_sigma=(0.2, 1.2),
            resize_prob=(0.1, 0.3, 0.6),
            resize_range=(0.5, 1.2),
            sharpen_prob=0.1,
            sharpen_range=(0.1, 0.5),
            compression_prob=(0.6, 0.3, 0.1, 0),
            jpeg_range=(75, 95),
            webp_range=(75, 95),
        ),
        second=_order(
            noise_prob=0.1,
            noise_range=(0.5, 3),
            poisson_scale_range=(0.02, 0.2),
            compression_prob=(0.3, 0.4, 0.2, 0.1),
            jpeg_range=(70, 95),
            webp_range=(70, 95),
            avif_range=(65, 95),
            subsampling_prob=0.6,
        ),
        resize_mode_prob=_FILTERS,
        final_sinc_prob=0,
    ),
    "heavy": ChainStrengths(
        first=_order(
            blur_prob=1,
            resize_prob=(0.2, 0.7, 0.1),
            resize_range=(0.15, 1.5),
            noise_prob=1,
            noise_range=(1, 30),
            poisson_scale_range=(0.05, 3),
            compression_prob=(0, 0.4, 0.6, 0),
            jpeg_range=(30, 95),
        ),
        second=_order(
            blur_prob=0.8,
            blur_sigma=(0.2, 1.5),
            resize_prob=(0.3, 0.4, 0.3),
            resize_range=(0.3, 1.2),
            noise_prob=1,
            noise_range=(1, 25),
            poisson_scale_range=(0.05, 2.5),
            compression_prob=(0, 0.5, 0.3, 0.2),
            jpeg_range=(30, 95),
        ),
        resize_mode_prob=_FILTERS,
        final_sinc_prob=0.8,
    ),
}
"""`heavy` has the values of Real-ESRGAN's option file, and WebP and AVIF beside JPEG as APISR's.

`light` was chosen by looking at the results: pictures as careful sites serve them.
"""

"""Draw anime-style illustrations from a seed, which the embedded booru serves by default.

They contain the elements of such art (ink lines, flat colours with hard shadow edges, hair, eyes,
patterns, screentone, lettering, skies), so that a network can be trained and evaluated without any
site, and so that two machines see the same pictures.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.drawings.compositions import compose

# Bounds of the shorter side and greatest longer side, pixels.
_SHORT = (700, 1100)
_MAX_LONG = 1600
# Widths by height, and how often each occurs.
_SHAPES = (2 / 3, 0.7071, 3 / 4, 4 / 5, 1.0, 5 / 4, 4 / 3, 3 / 2)
_SHARES = (0.16, 0.26, 0.17, 0.08, 0.10, 0.05, 0.11, 0.07)


@dataclass(frozen=True)
class Drawing:
    """One illustration: `image` is RGB, `tags` are sorted and named as boorus name them."""

    image: Image.Image
    tags: tuple[str, ...]


def drawing_size(seed: int) -> tuple[int, int]:
    """Return width and height in pixels that the drawing of `seed` (0 or more) has."""
    rng = np.random.default_rng((seed, 0))
    shape = float(rng.choice(_SHAPES, p=_SHARES))
    max_short = min(_SHORT[1], _MAX_LONG * min(shape, 1 / shape))
    short = int(rng.integers(_SHORT[0], int(max_short) + 1))
    long = min(_MAX_LONG, round(short * max(shape, 1 / shape)))
    return (short, long) if shape <= 1 else (long, short)


def draw(seed: int) -> Drawing:
    """Return the drawing of `seed` (0 or more): the same seed gives the same pixels and tags."""
    width, height = drawing_size(seed)
    image, tags = compose(width, height, np.random.default_rng((seed, 1)))
    return Drawing(image, tuple(sorted(tags | {"original"})))


__all__ = ["Drawing", "draw", "drawing_size"]

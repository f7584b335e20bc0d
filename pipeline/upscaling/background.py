"""Transparent pictures, laid on a colour."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from pipeline.images.raster import Pixels
from pipeline.upscaling.pictures import Picture


def lay_on(picture: Picture, colour: str) -> Picture:
    """Return `picture` opaque, on an sRGB colour as of `PIL.ImageColor`; an opaque one unchanged.

    Grey becomes RGB, without its profile, where the colour is not grey.
    """
    if not picture.has_alpha:
        return picture
    red, green, blue = ImageColor.getrgb(colour)[:3]
    levels = [red] if picture.channels == 2 and red == green == blue else [red, green, blue]
    keeps_channels = len(levels) == picture.channels - 1
    frames = tuple(_opaque(frame, np.array(levels, np.float32)) for frame in picture.frames)
    return replace(
        picture, frames=frames, icc_profile=picture.icc_profile if keeps_channels else None
    )


def _opaque(pixels: Pixels, levels: NDArray[np.float32]) -> Pixels:
    white = np.iinfo(pixels.dtype).max
    below = levels * np.float32(white / 255)
    result = np.empty_like(pixels, shape=(*pixels.shape[:2], len(levels)))
    # Row by row, as a whole picture takes twelve times its bytes in between.
    for row, source in zip(result, pixels, strict=True):
        alpha = source[:, -1:] / np.float32(white)
        row[:] = np.rint(source[:, :-1] * alpha + below * (1 - alpha))
    return result

"""Transparent pictures, laid on a colour."""

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from pipeline.errors import PipelineError
from pipeline.images.raster import Colour, Pixels, colour_in
from pipeline.upscaling.frames import changed
from pipeline.upscaling.pictures import Picture, picture_in_srgb


def lay_on(picture: Picture, colour: str) -> Picture:
    """Return `picture` opaque, on an sRGB colour as of `PIL.ImageColor`; an opaque one unchanged.

    The colour is shown as named whatever the picture's profile, as nearly as 8 bits of it allow.
    A grey picture becomes RGB where the colour is not grey, and with a profile then sRGB of 8 bits.
    Raises `PipelineError` for colours of high dynamic range.
    """
    if not picture.has_alpha:
        return picture
    if picture.cicp is not None:
        raise PipelineError(
            f"--background: on {picture.cicp.name} no colour can be laid; leave it out"
        )
    named = ImageColor.getrgb(colour)[:3]
    levels = _levels(picture, named)
    if levels is None:
        picture, levels = picture_in_srgb(picture), named
    below = np.array(levels, np.float32)
    return replace(picture, frames=changed(picture.frames, partial(_opaque, levels=below)))


def _levels(picture: Picture, colour: Colour) -> tuple[int, ...] | None:
    """Return the colour in the picture's own channels and profile; None where they lack it."""
    is_grey = picture.channels == 2
    if is_grey and len(set(colour)) > 1:
        return None
    if picture.icc_profile is None:
        return colour[:1] if is_grey else colour
    return colour_in(picture.icc_profile, colour, "L" if is_grey else "RGB")


def _opaque(pixels: Pixels, levels: NDArray[np.float32]) -> Pixels:
    white = np.iinfo(pixels.dtype).max
    below = levels * np.float32(white / 255)
    result = np.empty_like(pixels, shape=(*pixels.shape[:2], len(levels)))
    # Row by row, as a whole picture takes twelve times its bytes in between.
    for row, source in zip(result, pixels, strict=True):
        alpha = source[:, -1:] / np.float32(white)
        row[:] = np.rint(source[:, :-1] * alpha + below * (1 - alpha))
    return result

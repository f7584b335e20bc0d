"""A generator applied to any picture: in tiles, so that memory does not grow with the picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.errors import PipelineError
from pipeline.files import atomic_path
from pipeline.networks import Generator
from pipeline.progress import Progress, Silent

# Formats that keep what was computed; a lossy one is only written where the user names it.
WRITABLE = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}
OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 95, "subsampling": 0},
}


@dataclass(frozen=True)
class Window:
    """A rectangle of the LR picture that becomes one tile, and the larger one that is computed."""

    inner: tuple[int, int, int, int]
    """left, top, right, bottom of what is kept"""
    outer: tuple[int, int, int, int]
    """the same with the overlap, cut at the picture's edges"""


@dataclass(frozen=True)
class Upscaler:
    """Enlarges pictures with `generator`, `tile` LR pixels at a time.

    The overlap of two tiles is the generator's receptive radius, so that a tiled result equals
    the whole one.
    """

    generator: Generator
    tile: int = 256

    def image(self, image: Image.Image, progress: Progress | None = None) -> Image.Image:
        """Enlarge a PIL image. Transparency is kept; every other mode comes back as RGB."""
        rgb, alpha = split_alpha(image)
        hr = self.pixels(np.array(rgb), progress or Silent())
        result = Image.fromarray(hr)
        if alpha is not None:
            result.putalpha(alpha.resize(result.size, Image.Resampling.BICUBIC))
        for key in ("icc_profile", "dpi"):
            if key in image.info and (key != "icc_profile" or image.mode in ("RGB", "RGBA")):
                result.info[key] = image.info[key]
        return result

    def pixels(self, lr: np.ndarray, progress: Progress) -> np.ndarray:
        """Enlarge `(h, w, 3) uint8` to `(h·scale, w·scale, 3) uint8`."""
        scale = self.generator.scale
        height, width = lr.shape[:2]
        hr = np.empty((height * scale, width * scale, 3), np.uint8)
        tiles = list(windows(width, height, self.tile, self.generator.receptive_radius))
        progress.start("upscale", len(tiles), "tile")
        try:
            for done, window in enumerate(tiles, 1):
                left, top, right, bottom = (side * scale for side in window.inner)
                hr[top:bottom, left:right] = self._tile(lr, window)
                progress.update(done)
        finally:
            progress.finish()
        return hr

    def _tile(self, lr: np.ndarray, window: Window) -> np.ndarray:
        left, top, right, bottom = window.outer
        part = torch.from_numpy(np.ascontiguousarray(lr[top:bottom, left:right]))
        sr = self.generator.enlarge(part.permute(2, 0, 1)[None])[0]
        return _crop(sr.permute(1, 2, 0).numpy(), window, self.generator.scale)


def windows(width: int, height: int, tile: int, overlap: int) -> Iterator[Window]:
    """Cover a `width` × `height` picture with tiles of at most `tile` pixels a side, row by row."""
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            right, bottom = min(left + tile, width), min(top + tile, height)
            outer = (
                max(left - overlap, 0),
                max(top - overlap, 0),
                min(right + overlap, width),
                min(bottom + overlap, height),
            )
            yield Window((left, top, right, bottom), outer)


def split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An image of any mode as RGB and, where it has transparency, its alpha channel.

    Colours under full transparency are arbitrary and would bleed into the visible edge: they are
    replaced by the mean of the visible ones.
    """
    image = ImageOps.exif_transpose(image)
    if not image.has_transparency_data:
        return _rgb(image), None
    rgba = np.array(image.convert("RGBA"))
    hidden = rgba[..., 3] == 0
    if hidden.any() and not hidden.all():
        rgba[hidden, :3] = np.round(rgba[~hidden, :3].mean(axis=0))
    return Image.fromarray(rgba[..., :3]), Image.fromarray(rgba[..., 3])


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow clips 16-bit greys at 255 when it converts them.
        levels = np.asarray(image, np.float32) / 257
        image = Image.fromarray(np.round(levels).clip(0, 255).astype(np.uint8))
    return image.convert("RGB")


def _crop(sr: np.ndarray, window: Window, scale: int) -> np.ndarray:
    left = (window.inner[0] - window.outer[0]) * scale
    top = (window.inner[1] - window.outer[1]) * scale
    width = (window.inner[2] - window.inner[0]) * scale
    height = (window.inner[3] - window.inner[1]) * scale
    return sr[top : top + height, left : left + width]


def read_picture(path: Path) -> Image.Image:
    """Open and fully decode a picture. Raises `PipelineError` that names the file."""
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise PipelineError(f"{path}: no picture that can be read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PipelineError(f"{path}: damaged or too large: {error}") from None


def write_picture(path: Path, image: Image.Image) -> None:
    """Write a picture whole or not at all, in the format of the name's ending."""
    kind = WRITABLE[path.suffix.lower()]
    kept = {key: image.info[key] for key in ("icc_profile", "dpi") if key in image.info}
    if kind == "JPEG" and image.mode != "RGB":
        raise PipelineError(f"{path}: JPEG has no transparency; choose a name ending in .png")
    try:
        with atomic_path(path) as temporary:
            image.save(temporary, kind, **OPTIONS[kind], **kept)
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path}: cannot be written: {error}") from None

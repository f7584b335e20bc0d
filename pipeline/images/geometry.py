"""How an original becomes a square of one size: cropped, padded or squashed, never enlarged."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from pipeline.images.decode import ImageRefused

Box = tuple[int, int, int, int]
LANCZOS = Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Fitted:
    """A `size × size` RGB image and where it came from.

    `scale` is result pixels an original pixel (of squash: the smaller of its two); `crop_box` is
    left, top, right and bottom of the part that was used, in the oriented original.
    """

    image: Image.Image
    scale: float
    crop_box: Box


def fit(image: Image.Image, size: int, mode: str, background: str) -> Fitted:
    """Fit an RGB `image` into `size × size` pixels by `mode`, a name in `MODES`.

    Raises `ImageRefused` ("too_small") where that would enlarge it.
    """
    return MODES[mode](image, size, background)


def _crop(image: Image.Image, size: int, background: str) -> Fitted:
    """The largest square in the centre."""
    width, height = image.size
    side = _large_enough(min(width, height), size, image)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return Fitted(_scaled(image, (size, size), box), size / side, box)


def _pad(image: Image.Image, size: int, background: str) -> Fitted:
    """All of the image, in the centre of a square of `background`."""
    width, height = image.size
    scale = size / _large_enough(max(width, height), size, image)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    box = (0, 0, width, height)
    result = Image.new("RGB", (size, size), background)
    corner = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    result.paste(_scaled(image, inner, box), corner)
    return Fitted(result, scale, box)


def _squash(image: Image.Image, size: int, background: str) -> Fitted:
    """All of the image, each side scaled on its own."""
    width, height = image.size
    _large_enough(min(width, height), size, image)
    box = (0, 0, width, height)
    return Fitted(_scaled(image, (size, size), box), size / max(width, height), box)


MODES: dict[str, Callable[[Image.Image, int, str], Fitted]] = {
    "crop": _crop,
    "pad": _pad,
    "squash": _squash,
}


def _large_enough(side: int, size: int, image: Image.Image) -> int:
    if side < size:
        raise ImageRefused("too_small", f"{image.width}×{image.height} would have to be enlarged")
    return side


def _scaled(image: Image.Image, size: tuple[int, int], box: Box) -> Image.Image:
    # Cropping first keeps what lies outside the box from bleeding into its edge.
    part = image if box == (0, 0, *image.size) else image.crop(box)
    return part if part.size == size else part.resize(size, LANCZOS)

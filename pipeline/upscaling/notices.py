"""What a result lacks of its picture's file, or has from damage, in lines for whoever made it."""

from collections.abc import Iterator
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import SAMPLESPERPIXEL

from pipeline.images.damage import damage_of_decoded
from pipeline.images.depth import bits_per_sample
from pipeline.images.endings import end_of_picture
from pipeline.images.recognition import HEAD_BYTES, readable_format
from pipeline.upscaling.further_pictures import further_pictures

_PHOTOSHOP_LAYERS = 37724
_NO_END = {
    "JPEG": "the marker of its end is missing; the picture is whole",
    "PNG": "the marker of its end is missing; the picture is whole",
    "GIF": "the marker of its end is missing; if further frames followed, so are they",
}


def notices_of(image: Image.Image, data: bytes, has_16_bits: bool) -> tuple[str, ...]:
    """Return the lines on `image`, opened and decoded from `data`, of 16 bits or 8."""
    return tuple(_notices(image, data, has_16_bits))


def _notices(image: Image.Image, data: bytes, has_16_bits: bool) -> Iterator[str]:
    format = readable_format(data[:HEAD_BYTES])
    end = end_of_picture(data, format)
    if damage := damage_of_decoded(image, data):
        yield f"is damaged ({damage}); parts of the result may be wrong"
    elif end is None and format in _NO_END:
        yield _NO_END[format]
    if (further := further_pictures(data, format, end)) is not None:
        yield further
    tags: dict[int, Any] = getattr(image, "tag_v2", {})
    channels = tags.get(SAMPLESPERPIXEL, 1) - len(image.getbands())
    if channels > 0:
        yield f"has {channels} further channel{'s' * (channels > 1)}, which the result lacks"
    if _PHOTOSHOP_LAYERS in tags:
        yield "has layers; the picture merged of them is enlarged"
    bits = bits_per_sample(image, data)
    if bits > 8 and not has_16_bits:
        yield f"has {bits} bits per sample, of which 8 are read"

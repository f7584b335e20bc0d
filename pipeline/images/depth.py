"""How many bits a file has for each sample: decoders read 8 of some formats' 10, 12 or 16."""

from PIL import Image
from PIL.TiffImagePlugin import BITSPERSAMPLE

from pipeline.images.iso_boxes import boxes, meta_boxes
from pipeline.images.png_chunks import png_header

_PNG_DEPTH = 8
_SIZ = b"\xff\x4f\xff\x51"
# From there: length, capabilities, eight numbers of 32 bits, then the number of components.
_COMPONENTS = len(_SIZ) + 2 + 2 + 8 * 4
_BYTES_OF_A_COMPONENT = 3


def bits_per_sample(image: Image.Image, data: bytes) -> int:
    """Return the bits of the deepest channel of `image`, opened from `data`; 8 if not known."""
    if image.format == "PNG":
        return png_header(data)[_PNG_DEPTH]
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(BITSPERSAMPLE, (8,))
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    if image.format == "AVIF":
        return _bits_of_avif(data)
    if image.format == "JPEG2000":
        return _bits_of_jpeg2000(data)
    return 8


def _bits_of_avif(data: bytes) -> int:
    """Return the depth in the boxes `av1C` (AV1 Codec ISO Media File Format Binding, 2.3)."""
    meta, depths = meta_boxes(data), [8]
    for name, start, end in boxes(data, *meta.get(b"iprp", (0, 0))):
        properties = boxes(data, start, end) if name == b"ipco" else ()
        for kind, first, _ in properties:
            flags = int.from_bytes(data[first + 2 : first + 3])
            if kind == b"av1C" and flags & 0x40:
                depths.append(12 if flags & 0x20 else 10)
    return max(depths)


def _bits_of_jpeg2000(data: bytes) -> int:
    """Return the depth in the segment SIZ (ITU-T T.800, A.5.1)."""
    position = data.find(_SIZ) + _COMPONENTS
    count = int.from_bytes(data[position : position + 2])
    end = position + 2 + count * _BYTES_OF_A_COMPONENT
    components = data[position + 2 : end : _BYTES_OF_A_COMPONENT]
    return max((depth & 0x7F) + 1 for depth in components or b"\7")

"""Files that Pillow itself does not write."""

import io
import struct
import zlib

import numpy as np
import png


def png_file(pixels: np.ndarray, *chunks: tuple[bytes, bytes], interlace: bool = False) -> bytes:
    """A PNG of `(h, w, c)`, 8 or 16 bits, with chunks before its pixels."""
    height, width, channels = pixels.shape
    buffer = io.BytesIO()
    writer = png.Writer(
        width,
        height,
        greyscale=channels < 3,
        alpha=channels in (2, 4),
        bitdepth=8 * pixels.itemsize,
        interlace=interlace,
    )
    writer.write(buffer, pixels.reshape(height, -1).tolist())
    return with_chunks(buffer.getvalue(), *chunks)


def with_chunks(data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks behind its header."""
    header, *rest = png.Reader(bytes=data).chunks()
    changed = io.BytesIO()
    png.write_chunks(changed, [header, *chunks, *rest])
    return changed.getvalue()


def gama(gamma: float) -> tuple[bytes, bytes]:
    """The chunk that gives the exponent of encoding."""
    return b"gAMA", struct.pack(">I", round(gamma * 100_000))


def chrm(*chromaticities: tuple[float, float]) -> tuple[bytes, bytes]:
    """The chunk of white, red, green and blue."""
    numbers = [round(number * 100_000) for pair in chromaticities for number in pair]
    return b"cHRM", struct.pack(">8I", *numbers)


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    """The chunk of an ICC profile."""
    return b"iCCP", b"profile\0\0" + zlib.compress(profile)


def tiff_file(
    pixels: np.ndarray,
    photometric: int,
    order: str = "<",
    *,
    deflate: bool = False,
    planes: bool = False,
    extra: int | None = None,
    bits: int | None = None,
    orientation: int = 1,
    predictor: int = 1,
) -> bytes:
    """A TIFF of `(h, w, c)`, 8 or 16 bits, in one strip, or in one a plane.

    `extra`: what the last channel is. `bits`: other bits than the array's, which holds the bytes.
    """
    height, width, channels = pixels.shape
    samples = pixels.astype(pixels.dtype.newbyteorder(order))
    strips = [samples[..., band].tobytes() for band in range(channels)] if planes else [
        samples.tobytes()
    ]  # fmt: skip
    strips = [zlib.compress(strip) if deflate else strip for strip in strips]
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("I", [width if bits is None else width * 8 * pixels.itemsize // bits]),
        257: ("I", [height]),
        258: ("H", [bits or 8 * pixels.itemsize] * channels),
        259: ("H", [8 if deflate else 1]),
        262: ("H", [photometric]),
        273: ("I", []),
        274: ("H", [orientation]),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if planes else 1]),
        317: ("H", [predictor]),
    }
    if extra is not None:
        tags[338] = ("H", [extra])
    starts = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    tags[273] = ("I", starts)
    contents = b"".join(strips)
    directory, outside = b"", b""
    values_at = 8 + len(contents) + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(packed) > 4:
            outside, packed = (
                outside + packed,
                struct.pack(f"{order}I", values_at + len(outside)),
            )
        number = {"H": 3, "I": 4}[kind]
        directory += struct.pack(f"{order}HHI", tag, number, len(values)) + packed.ljust(4, b"\0")
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8 + len(contents))
    count = struct.pack(f"{order}H", len(tags))
    return head + contents + count + directory + bytes(4) + outside

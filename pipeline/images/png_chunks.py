"""Chunks of a PNG that are not its pixels: colours, text and EXIF (PNG specification, 3rd edition).

Pillow refuses a picture for the size of its text or profile. It is given the other chunks alone.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pipeline.images.cicp import BT709, Cicp
from pipeline.images.icc_profiles import (
    grey_profile,
    parametric_curve,
    profile_space,
    rgb_profile,
)
from pipeline.images.unsupported import UnsupportedImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PROFILE_BYTES = 32 * 2**20
MAX_INFLATED_BYTES = 16 * 2**20
"""Largest text that is inflated, to look for EXIF and XMP"""
MAX_TEXTS, MAX_INFLATED_TEXTS = 10_000, 8
"""Chunks of text that are kept, and those that are inflated: no program writes as many"""
TEXT = (b"tEXt", b"zTXt", b"iTXt")
_COLOURS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_XMP = (b"XML:com.adobe.xmp", b"Raw profile type xmp")
_EXIF = (b"Raw profile type exif", b"Raw profile type APP1")
DISPLAY_GAMMA, GAMMA_TOLERANCE = 2.2, 0.05
_GREY_COLOUR_TYPES = (b"\0", b"\4")


@dataclass
class _Chunks:
    """The chunks that Pillow is not given, with valid checksums, and what remains."""

    colours: dict[bytes, bytes] = field(default_factory=dict)
    text: list[tuple[bytes, bytes]] = field(default_factory=list)
    others: dict[bytes, bytes] = field(default_factory=dict)
    remaining: bytearray = field(default_factory=bytearray)


def read_png(data: bytes) -> tuple[bytes, dict[str, Any]]:
    """Return the file without those chunks, and what they say, as `Image.info` has it.

    "icc_profile" is made of whichever chunk determines the colours; "cicp" is there where no
    profile can. "png_text" is the text as in the file, but for EXIF and XMP, which are "exif" and
    "xmp"; "sbit" the significant bits. Raises `UnsupportedImageError`.
    """
    chunks = _read_chunks(data)
    info: dict[str, Any] = _colours(chunks.colours, data[25:26] in _GREY_COLOUR_TYPES)
    info |= _text_info(chunks.text)
    if b"eXIf" in chunks.others:
        info["exif"] = b"Exif\0\0" + chunks.others[b"eXIf"]
    if b"sBIT" in chunks.others:
        info["sbit"] = chunks.others[b"sBIT"]
    return bytes(chunks.remaining), info


def pixels_in_png(file: BinaryIO) -> int:
    """Return the pixels of all frames, of a PNG's headers before the first pixel; 0 for no PNG.

    Reads the start of each chunk, at most as much of it as the largest header has.
    """
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return 0
    pixels, frames = 0, 1
    while len(chunk := file.read(16)) == 16 and chunk[4:8] not in (b"IDAT", b"IEND"):
        if chunk[4:8] == b"IHDR":
            pixels = int.from_bytes(chunk[8:12]) * int.from_bytes(chunk[12:])
        elif chunk[4:8] == b"acTL":
            frames = int.from_bytes(chunk[8:12])
        file.seek(int.from_bytes(chunk[:4]) - 4, io.SEEK_CUR)
    return pixels * frames


def _read_chunks(data: bytes) -> _Chunks:
    view, found = memoryview(data), _Chunks()
    found.remaining += view[: len(SIGNATURE)]
    before_pixels, rest = True, len(SIGNATURE)
    for kind, start, end in png_chunks(data):
        rest = end + 4
        before_pixels = before_pixels and kind not in (b"IDAT", b"fdAT")
        if kind not in (*TEXT, *_COLOURS, b"eXIf", b"sBIT"):
            found.remaining += view[start - 8 : end + 4]
            continue
        content = bytes(view[start:end])
        if struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))) != data[end : end + 4]:
            continue
        if kind in TEXT and len(found.text) < MAX_TEXTS:
            found.text.append((kind, content))
        elif kind in (b"eXIf", b"sBIT"):
            found.others.setdefault(kind, content)
        elif before_pixels:
            found.colours.setdefault(kind, content)
    found.remaining += view[rest:]
    return found


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of the content of each chunk, as far as they are whole."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        start, end = position + 8, position + 8 + length
        if end + 4 > len(data):
            return
        yield data[position + 4 : start], start, end
        position = end + 4


def png_header(data: bytes) -> bytes:
    """Return the content of IHDR; Pillow reads files, too, where other chunks precede it."""
    return next((data[start:end] for kind, start, end in png_chunks(data) if kind == b"IHDR"), b"")


def _colours(chunks: Mapping[bytes, bytes], grey: bool) -> dict[str, Any]:
    """Return the profile, or the codes that no profile describes; nothing for sRGB.

    cICP comes before iCCP, that before sRGB, and that before gAMA and cHRM.
    """
    cicp = _cicp(chunks.get(b"cICP", b""))
    if cicp is not None:
        return cicp.info(grey)
    profile = _inflated_profile(chunks.get(b"iCCP", b""))
    if profile is not None:
        return {"icc_profile": profile}
    if b"sRGB" in chunks:
        return {}
    return {"icc_profile": _gamma_profile(chunks, grey)}


def _cicp(content: bytes) -> Cicp | None:
    """Return the codes of a chunk cICP; None where it is missing, or browsers ignore it.

    They do so for television's range of levels.
    """
    if len(content) != 4 or content[2:] != b"\0\1":
        return None
    codes = Cicp(*content[:2])
    return codes if codes.is_known else None


def _inflated_profile(content: bytes) -> bytes | None:
    """Return the profile of a chunk iCCP; None where it is missing or no profile."""
    _, separator, compressed = content.partition(b"\0")
    if not separator or compressed[:1] != b"\0":
        return None
    stream = zlib.decompressobj()
    try:
        header = stream.decompress(compressed[1:], 128)
        size = int.from_bytes(header[:4])
        if len(header) < 128 or header[36:40] != b"acsp" or size <= 128:
            return None
        if size > MAX_PROFILE_BYTES:
            raise UnsupportedImageError(f"its colour profile has {size} bytes")
        profile = header + stream.decompress(stream.unconsumed_tail, size - 128)
    except zlib.error:
        return None
    return profile if profile_space(profile) in ("RGB", "GRAY") else None


def _gamma_profile(chunks: Mapping[bytes, bytes], grey: bool) -> bytes | None:
    """Return the profile of the chunks gAMA and cHRM as browsers take them; None for sRGB.

    Without gAMA they ignore cHRM. gAMA is an exponent, but that of a display stands for sRGB where
    there is no cHRM.
    """
    gamma = int.from_bytes(chunks.get(b"gAMA", b"")[:4]) / 100_000
    if not 0.01 < gamma < 100:
        return None
    curve, values = parametric_curve(1 / gamma), chunks.get(b"cHRM", b"")
    if len(values) < 32:
        if abs(gamma * DISPLAY_GAMMA - 1) < GAMMA_TOLERANCE:
            return None
        chromaticities = BT709
    else:
        numbers = [number / 100_000 for number in struct.unpack(">8I", values[:32])]
        chromaticities = list(zip(numbers[::2], numbers[1::2], strict=True))
    return grey_profile(curve) if grey else rgb_profile(chromaticities, curve)


def _text_info(chunks: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return EXIF and XMP that text holds, and the other text."""
    info: dict[str, Any] = {}
    others, inflated = [], 0
    for kind, content in chunks:
        keyword, text = content.partition(b"\0")[0], None
        if keyword in (*_XMP, *_EXIF) and inflated < MAX_INFLATED_TEXTS:
            inflated += 1
            text = _inflated_text(kind, content)
        if text is not None and keyword.startswith(b"Raw profile"):
            text = _from_hex(text)
        if text is None:
            others.append((kind, content))
        elif keyword in _XMP:
            info.setdefault("xmp", text)
        elif text.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            info.setdefault("xmp", text.partition(b"\0")[2])
        else:
            info.setdefault("exif", b"Exif\0\0" + text.removeprefix(b"Exif\0\0"))
    return info | ({"png_text": tuple(others)} if others else {})


def _inflated_text(kind: bytes, content: bytes) -> bytes | None:
    """Return the text of a chunk; None where it is too long or invalid."""
    text = content.partition(b"\0")[2]
    compressed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    if kind == b"zTXt":
        text = text[1:]
    if kind == b"iTXt":
        # Flag and method of compression, language, the keyword translated.
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    if not compressed:
        return text if len(text) <= MAX_INFLATED_BYTES else None
    stream = zlib.decompressobj()
    try:
        inflated = stream.decompress(text, MAX_INFLATED_BYTES)
    except zlib.error:
        return None
    return inflated if stream.eof else None


def _from_hex(text: bytes) -> bytes | None:
    """Return the bytes of a raw profile as ImageMagick writes it: name, length, hexadecimal."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii")) or None
    except ValueError:
        return None

"""Mutates pictures of every format and reads them: `python -m tests.images.mutate COUNT [SEED]`.

Each decodes, or is refused in one line, by both readers; what decodes is encoded. Prints counts as
JSON, and ends with exit code 1 and a line for each mutation that is handled otherwise. A decoder
that hangs ends the process (SIGALRM) after a line that names the mutation.
"""

import json
import random
import resource
import signal
import struct
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.images.decode import ImageRefused, decode
from pipeline.upscaling.encoding import encode_picture
from pipeline.upscaling.pictures import decode_picture
from tests.images.files import chrm, gama, iccp, png_file, tiff_file, with_chunks
from tests.images.originals import drawing, saved, swapped_profile

MAX_PIXELS = 1_000_000
SECONDS = 20
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def seeds() -> dict[str, bytes]:
    """A small file of each format and kind."""
    image = drawing(1, 40, 32)
    frames = [image, drawing(2, 40, 32)]
    exif = Image.Exif()
    exif[315], exif[274] = "somebody", 6
    exif.get_ifd(0x8769)[36867] = "2001:02:03 04:05:06"
    said: dict[str, Any] = {"exif": exif, "xmp": b'<x tiff:Orientation="6"/>'}
    profile = swapped_profile()
    deep = np.random.default_rng(0).integers(0, 65_536, (12, 10, 4), np.uint16)
    animated: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": 40}
    text = (b"zTXt", b"parameters\0\0" + zlib.compress(b"1girl" * 40))
    primaries = chrm((0.3127, 0.329), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06))
    return {
        "PNG": with_chunks(saved(image, "PNG", exif=exif), text, gama(0.5), primaries),
        "PNG, palette": saved(image.quantize(16), "PNG", transparency=3, icc_profile=profile),
        "PNG, 16 bits": png_file(deep[..., :3], iccp(profile), (b"sBIT", b"\x0a" * 3)),
        "PNG, grey and alpha of 16 bits": png_file(deep[..., :2], gama(1), interlace=True),
        "PNG, high dynamic range": png_file(deep, (b"cICP", bytes((9, 16, 0, 1)))),
        "APNG": with_chunks(saved(image, "PNG", **animated), text),
        "JPEG": saved(image, "JPEG", icc_profile=profile, **said),
        "JPEG, progressive": saved(image, "JPEG", progressive=True),
        "JPEG, CMYK": saved(image.convert("CMYK"), "JPEG"),
        "MPO": saved(image, "MPO", save_all=True, append_images=frames[1:], exif=exif),
        "WebP": saved(image, "WEBP", icc_profile=profile, **said),
        "WebP, lossless": saved(image.convert("RGBA"), "WEBP", lossless=True),
        "WebP, animated": saved(image, "WEBP", **animated),
        "GIF": saved(image, "GIF"),
        "GIF, animated": saved(image, "GIF", **animated),
        "BMP": saved(image, "BMP"),
        "BMP, palette": saved(image.quantize(16), "BMP"),
        "TIFF": saved(image, "TIFF", compression="tiff_lzw", icc_profile=profile, exif=exif),
        "TIFF, 16 bits": tiff_file(deep[..., :3], 2),
        "TIFF, premultiplied": tiff_file(deep, 2, ">", deflate=True, extra=1),
        "TIFF, planes": tiff_file(deep[..., :3], 2, planes=True),
        "TIFF, grey": tiff_file(deep[..., :1], 0),
        "TIFF, grey and alpha": tiff_file(deep[..., :2], 1, ">", extra=1),
        "TIFF, LAB": saved(Image.new("LAB", (9, 8), (90, 128, 128)), "TIFF"),
        "AVIF": saved(image, "AVIF", quality=60, **said),
        "AVIF, animated": saved(image, "AVIF", quality=60, **animated),
        "JPEG 2000": saved(image, "JPEG2000"),
        "JPEG 2000, 16 bits": saved(Image.fromarray(deep[..., 0]), "JPEG2000"),
    }


def mutated(body: bytes, rng: random.Random) -> bytes:
    """Return `body` with up to four changes; those of a PNG's chunks often with valid checksums."""
    data = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 1, 2, 4, 8, 40)))
        kind = rng.randrange(7)
        if kind == 0:
            data[start:end] = rng.randbytes(end - start)
        elif kind == 1:
            data[start:end] = b""
        elif kind == 2:
            data[start:end] = data[start:end] * 2
        elif kind == 3:
            data[start:end] = rng.choice((b"\0", b"\xff", b"\x7f")) * (end - start)
        elif kind == 4 and rng.random() < 0.3:
            del data[start:]
        elif kind == 5:
            # The beginning holds sizes and types.
            at = rng.randrange(min(len(data), 120) or 1)
            data[at : at + 1] = rng.randbytes(1)
        elif start < len(data):
            data[start] ^= 1 << rng.randrange(8)
    if body.startswith(PNG_SIGNATURE) and rng.random() < 0.7:
        return _with_checksums(bytes(data))
    return bytes(data)


def _with_checksums(data: bytes) -> bytes:
    """Correct the checksums of a PNG's chunks, as far as they can be found."""
    result, position = bytearray(data), 8
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        if end + 4 > len(data):
            break
        result[end : end + 4] = struct.pack(">I", zlib.crc32(data[position + 4 : end]))
        position = end + 4
    return bytes(result)


def outcome(data: bytes, rng: random.Random) -> str:
    """Return "decoded" or the reason of the refusal. Raises whatever is neither."""
    try:
        decode(data, MAX_PIXELS, "#ffffff")
    except ImageRefused as refused:
        _check_line(refused.text)
    try:
        picture = decode_picture(data, MAX_PIXELS)
    except ImageRefused as refused:
        _check_line(refused.text)
        return refused.reason
    if sum(frame.size for frame in picture.frames) < 200_000:
        try:
            encode_picture(picture, rng.choice(("png", "webp", "jpg", "gif")))
        except PipelineError as error:
            _check_line(str(error))
            return "not encoded"
    return "decoded"


def _check_line(text: str) -> None:
    if not text or "\n" in text:
        raise ValueError(f"not one line: {text!r}")


def mutations(count: int, seed: int) -> Iterator[tuple[str, int, bytes, random.Random]]:
    """Yield format, number and bytes of each mutation, the formats in turn."""
    files = list(seeds().items())
    for number in range(count):
        name, body = files[number % len(files)]
        rng = random.Random(f"{seed} {number}")
        yield name, number, mutated(body, rng), rng


def main() -> int:
    """Read as many mutations as the first argument says."""
    warnings.simplefilter("ignore")
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counts, problems = Counter[str](), 0
    for body in seeds().values():
        outcome(body, random.Random(0))
    before = _peak_bytes()
    for name, number, data, rng in mutations(count, seed):
        print(f"{name}, mutation {number} of seed {seed}", file=sys.stderr)
        signal.alarm(SECONDS)
        try:
            counts[outcome(data, rng)] += 1
        except Exception as error:
            problems += 1
            print(f"{name}, {number}: {type(error).__name__}: {error}")
    signal.alarm(0)
    print(json.dumps({"counts": counts, "grown_bytes": _peak_bytes() - before}))
    return 1 if problems else 0


def _peak_bytes() -> int:
    """Return the largest resident size of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.exit(main())

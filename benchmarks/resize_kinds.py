"""One drawing as a file of every odd kind: what this program and img2dataset make of each.

python benchmarks/resize_kinds.py [--img2dataset PATH/TO/img2dataset]

A result is right where it is near (30 dB) Lanczos of the drawing as a person sees the file: turned,
in sRGB, on white. "wrong" is a picture that a set would keep in silence.
"""

import argparse
import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.img2dataset_run import run_img2dataset
from pipeline.drawings import draw
from pipeline.images.decode import ImageRefused, decode
from pipeline.params import ResizeParams
from pipeline.resizing.geometry import fit
from tests.images.originals import saved, swapped_profile

PARAMS = ResizeParams()
SIZE = (PARAMS.size, PARAMS.size)
RIGHT_DB = 30.0
SEED = 10
# Scaled before or after the crop, the centre is the same.
EVEN = (1152, 768)


@dataclass(frozen=True)
class Kind:
    """How a drawing becomes the file, and what is to be seen of it; None: nothing usable."""

    file_name: str
    make: Callable[[Image.Image], bytes]
    seen: Callable[[Image.Image], Image.Image] | None = lambda image: image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--img2dataset", type=Path)
    img2dataset = parser.parse_args().img2dataset
    drawing = ImageOps.fit(draw(SEED).image, EVEN)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / kind.file_name for kind in KINDS]
        for path, kind in zip(paths, KINDS, strict=True):
            path.write_bytes(kind.make(drawing))
        peers = run_img2dataset(img2dataset, paths, SIZE[0], 1).images if img2dataset else None
        print(f"{'file':<28}{'this program':<28}{'img2dataset' if peers is not None else ''}")
        for path, kind in zip(paths, KINDS, strict=True):
            seen = kind.seen(drawing) if kind.seen else None
            theirs = "" if peers is None else _verdict(_pixels(peers.get(path)), seen)
            print(f"{path.name:<28}{_verdict(_ours(path), seen):<28}{theirs}")


def _verdict(result: NDArray[np.uint8] | str, seen: Image.Image | None) -> str:
    if isinstance(result, str):
        return result
    if seen is None:
        return "kept"
    truth = np.asarray(ImageOps.fit(seen.convert("RGB"), SIZE, Image.Resampling.LANCZOS), float)
    error = np.square(result - truth).mean()
    decibels = 10 * np.log10(255**2 / error) if error else np.inf
    return f"{'right' if decibels >= RIGHT_DB else 'wrong'}, {decibels:.1f} dB"


def _ours(path: Path) -> NDArray[np.uint8] | str:
    try:
        decoded = decode(path.read_bytes(), PARAMS.max_pixels, PARAMS.background)
        return fit(decoded.pixels, PARAMS)[0].pixels
    except ImageRefused as refused:
        return f"refused: {refused.reason}"


def _pixels(png: bytes | None) -> NDArray[np.uint8] | str:
    if png is None:
        return "no image"
    image = Image.open(io.BytesIO(png))
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def _turned(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    return saved(turned, "JPEG", quality=95, subsampling=0, exif=exif)


def _with_profile(image: Image.Image) -> bytes:
    """Red and blue stored the other way round, with a profile that says so."""
    return saved(Image.merge("RGB", image.split()[::-1]), "PNG", icc_profile=swapped_profile())


def _half(image: Image.Image) -> Image.Image:
    """The left half see-through, with black below."""
    result = image.convert("RGBA")
    result.paste((0, 0, 0, 0), (0, 0, image.width // 2, image.height))
    return result


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))


def _half_palette(image: Image.Image) -> Image.Image:
    return _half(image).quantize(256, Image.Quantize.FASTOCTREE)


def _sixteen_bits(image: Image.Image) -> bytes:
    """A PNG of three 16-bit channels, which Pillow cannot write."""
    rows = np.asarray(image).astype(">u2") * 257
    width, height = image.size
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(*part)
        for part in ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    )


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _bomb(image: Image.Image) -> bytes:
    data = bytearray(saved(image, "PNG"))
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def _animation(image: Image.Image, format: str) -> bytes:
    return saved(image, format, save_all=True, append_images=[ImageOps.invert(image)], duration=100)


def _grey_16_bits(image: Image.Image) -> bytes:
    return saved(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")


def _jpeg(image: Image.Image) -> bytes:
    return saved(image, "JPEG", quality=95, subsampling=0)


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


KINDS = [
    Kind("plain.jpg", _jpeg),
    Kind("turned-by-exif.jpg", _turned),
    Kind("icc-profile.png", _with_profile),
    Kind("cmyk.jpg", lambda image: _jpeg(image.convert("CMYK"))),
    Kind("grey.jpg", lambda image: _jpeg(image.convert("L")), lambda image: image.convert("L")),
    Kind("grey-16-bits.png", _grey_16_bits, lambda image: image.convert("L")),
    Kind("rgb-16-bits.png", _sixteen_bits),
    Kind(
        "one-bit.png",
        lambda image: saved(image.convert("1"), "PNG"),
        lambda image: image.convert("1"),
    ),
    Kind(
        "palette.png",
        lambda image: saved(image.quantize(256), "PNG"),
        lambda image: image.quantize(256),
    ),
    Kind(
        "transparent-palette.png",
        lambda image: saved(_half_palette(image), "PNG"),
        lambda image: _on_white(_half_palette(image)),
    ),
    Kind(
        "transparent.png",
        lambda image: saved(_half(image), "PNG"),
        lambda image: _on_white(_half(image)),
    ),
    Kind(
        "transparent.webp",
        lambda image: saved(_half(image), "WEBP", lossless=True),
        lambda image: _on_white(_half(image)),
    ),
    Kind(
        "transparent-grey.png",
        lambda image: saved(_half(image).convert("LA"), "PNG"),
        lambda image: _on_white(_half(image).convert("LA")),
    ),
    Kind(
        "still.gif",
        lambda image: saved(image.quantize(256), "GIF"),
        lambda image: image.quantize(256),
    ),
    Kind("picture.bmp", lambda image: saved(image, "BMP")),
    Kind("picture.tiff", lambda image: saved(image, "TIFF", compression="tiff_lzw")),
    Kind("picture.avif", lambda image: saved(image, "AVIF", quality=95)),
    Kind("a-png-named.jpg", lambda image: saved(image, "PNG")),
    Kind("animated.gif", lambda image: _animation(image, "GIF"), None),
    Kind("animated.webp", lambda image: _animation(image, "WEBP"), None),
    Kind("cut-off.jpg", lambda image: _cut(_jpeg(image)), None),
    Kind("cut-off.png", lambda image: _cut(saved(image, "PNG")), None),
    Kind("cut-off.webp", lambda image: _cut(saved(image, "WEBP", lossless=True)), None),
    Kind("bomb.png", _bomb, None),
    Kind("empty.png", lambda image: b"", None),
    Kind("page.jpg", lambda image: b"<!doctype html><title>404</title>", None),
    Kind("small.png", lambda image: saved(image.resize((600, 400)), "PNG"), None),
]


if __name__ == "__main__":
    main()

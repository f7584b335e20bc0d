"""Originals to 512×512: this program against plain Pillow and against the decoder alone.

python benchmarks/resize.py FOLDER [--count 60]

FOLDER holds pictures of any kind; those that are no plain 8-bit RGB JPEG or PNG, or smaller than
512, are passed over. Every figure is CPU time on one thread, the best of three rounds over all
pictures, so that other work on the machine matters little. Fidelity is PSNR over RGB against
Lanczos computed in 32-bit floats from the same samples.
"""

import argparse
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from pipeline.images.decode import decode
from pipeline.images.geometry import fit
from pipeline.images.shards import encode

SIZE = 512
ROUNDS = 3
LANCZOS = Image.Resampling.LANCZOS


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    paths = [path for path in sorted(arguments.folder.rglob("*")) if _is_plain(path)]
    paths = paths[: arguments.count]
    pixels = sum(np.prod(Image.open(path).size) for path in paths) / len(paths) / 1e6
    print(f"{len(paths)} pictures of {pixels:.1f} MP in the mean; CPU ms a picture")
    whole = {
        "Pillow, PNG level 6": lambda path: _png(_pillow(path), 6),
        "Pillow, PNG level 1": lambda path: _png(_pillow(path), 1),
        "Pillow, lossless WebP": lambda path: encode(np.asarray(_pillow(path))),
        "this program": lambda path: encode(_ours(path)),
        "decoder alone": lambda path: Image.open(path).load(),
    }
    times = {name: _cpu_ms(work, paths) for name, work in whole.items()}
    for name, value in times.items():
        print(f"{name:<24}{value:>8.1f}  ×{times['Pillow, PNG level 6'] / value:.2f}")
    images = [decode(path, 10**8, "#ffffff").pixels for path in paths]
    hashed = [Image.fromarray(_torch_pixels(image)) for image in images]
    print(f"its perceptual hash, beside that: {_cpu_ms(imagehash.phash, hashed):.1f}")
    pillow = _cpu_ms(lambda image: _cropped(image).resize((SIZE, SIZE), LANCZOS), images)
    ours = _cpu_ms(lambda image: fit(image, SIZE, "crop", "#ffffff"), images)
    print(f"\nLanczos alone: Pillow {pillow:.1f}, PyTorch {ours:.1f}: ×{pillow / ours:.1f}")
    exact = [_exact(image) for image in images]
    for name, make in (("Pillow", _pillow_pixels), ("PyTorch", _torch_pixels)):
        decibels = [_psnr(make(image), best) for image, best in zip(images, exact, strict=True)]
        print(f"{name}: {min(decibels):.1f} dB at the least, {np.mean(decibels):.1f} in the mean")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60)
    return parser.parse_args()


def _is_plain(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            plain = image.format in ("JPEG", "PNG") and image.mode == "RGB"
            return plain and "icc_profile" not in image.info and min(image.size) >= SIZE
    except OSError:
        return False


def _cpu_ms(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for item in items:
            work(item)
        best = min(best, time.process_time() - started)
    return 1000 * best / len(items)


def _pillow(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return _cropped(np.asarray(image)).resize((SIZE, SIZE), LANCZOS)


def _cropped(pixels: NDArray[np.uint8]) -> Image.Image:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return Image.fromarray(pixels[top : top + side, left : left + side])


def _png(image: Image.Image, level: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=level)
    return file.getvalue()


def _ours(path: Path) -> NDArray[np.uint8]:
    return _torch_pixels(decode(path, 10**8, "#ffffff").pixels)


def _pillow_pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(_cropped(image).resize((SIZE, SIZE), LANCZOS))


def _torch_pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return fit(image, SIZE, "crop", "#ffffff").pixels


def _exact(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    channels = np.asarray(_cropped(image), np.float32).transpose(2, 0, 1)
    resized = [Image.fromarray(plane).resize((SIZE, SIZE), LANCZOS) for plane in channels]
    return np.stack([np.asarray(plane, np.float64) for plane in resized], -1).clip(0, 255)


def _psnr(result: NDArray[np.uint8], best: NDArray[np.float64]) -> float:
    error = np.square(result - best).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


if __name__ == "__main__":
    main()

"""Originals to 512×512: this program against plain Pillow, img2dataset and the decoder alone.

python benchmarks/resize.py FOLDER [--count 60] [--img2dataset PATH/TO/img2dataset]

FOLDER holds pictures of any kind; those that are no plain 8-bit RGB JPEG or PNG, or smaller than
512, are passed over. First whole programs, one after the other, on all cores, starting included;
then the parts, on 60 of them: CPU time on one thread, the best of three rounds, so that other
work on the machine matters little. Fidelity is PSNR over RGB against Lanczos computed in 32-bit
floats from the same samples.
"""

import argparse
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.img2dataset_run import run_img2dataset, timed
from pipeline.files import sha256_of
from pipeline.images.decode import decode
from pipeline.images.records import Post
from pipeline.images.shards import encode_webp
from pipeline.params import ResizeParams
from pipeline.resizing.geometry import fit
from pipeline.resizing.shard import make_images
from tests.stages.program import PROGRAM

SIZE = 512
PARAMS = """\
scrape: {{site: "{site}", min_side: 512, max_aspect: 9, excluded_tags: [], limit: {count}}}
"""
ROUNDS = 3
PARTS = 60
LANCZOS = Image.Resampling.LANCZOS


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    paths = [path for path in sorted(arguments.folder.rglob("*")) if _is_plain(path)]
    paths = paths[: arguments.count]
    pixels = sum(np.prod(Image.open(path).size) for path in paths) / len(paths) / 1e6
    print(f"{len(paths)} pictures of {pixels:.1f} MP in the mean")
    peers = _whole_programs(paths, arguments.img2dataset)
    _parts(paths[:PARTS])
    _fidelity(paths[:PARTS], peers)


def _parts(paths: Sequence[Path]) -> None:
    """CPU time of every way from a file to a file, and of resampling alone."""
    print("\nCPU ms a picture")
    params = ResizeParams(size=SIZE)
    posts = {path: _post(path) for path in paths}
    whole = {
        "Pillow, PNG level 6": lambda path: _png(_pillow(path), 6),
        "Pillow, PNG level 1": lambda path: _png(_pillow(path), 1),
        "Pillow, lossless WebP": lambda path: encode_webp(np.asarray(_pillow(path))),
        "this program, pixels alone": lambda path: encode_webp(_ours(path)),
        "this program": lambda path: make_images(params, path.parent, posts[path]),
        "decoder alone": lambda path: Image.open(path).load(),
    }
    times = {name: _cpu_ms(work, paths) for name, work in whole.items()}
    for name, value in times.items():
        print(f"{name:<28}{value:>8.1f}  ×{times['Pillow, PNG level 6'] / value:.2f}")
    images = [decode(path.read_bytes(), 10**8, "#ffffff").pixels for path in paths]
    pillow, ours = (_cpu_ms(make, images) for make in (_pillow_pixels, _torch_pixels))
    print(f"\nLanczos alone: Pillow {pillow:.1f}, PyTorch {ours:.1f}: ×{pillow / ours:.1f}")


def _fidelity(paths: Sequence[Path], peers: Mapping[Path, bytes]) -> None:
    images = [decode(path.read_bytes(), 10**8, "#ffffff").pixels for path in paths]
    exact = [_exact(_cropped(image)) for image in images]
    for name, make in (("Pillow", _pillow_pixels), ("PyTorch", _torch_pixels)):
        _tell(name, [_psnr(make(image), best) for image, best in zip(images, exact, strict=True)])
    if peers:
        _tell("img2dataset", [_peer_psnr(peers[path], path) for path in paths if path in peers])


def _tell(name: str, decibels: Sequence[float]) -> None:
    print(f"{name}: {min(decibels):.1f} dB at the least, {np.mean(decibels):.1f} in the mean")


def _whole_programs(paths: Sequence[Path], img2dataset: Path | None) -> dict[Path, bytes]:
    """Time the programs on all cores, and return what img2dataset made of each picture."""
    cores = os.cpu_count() or 1
    started, cpu_started = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(cores) as pool:
        made = sum(len(png) > 0 for png in pool.map(lambda path: _png(_pillow(path), 6), paths))
    _tell_program(
        "Pillow, PNG level 6, threads",
        made,
        time.monotonic() - started,
        time.process_time() - cpu_started,
    )
    with tempfile.TemporaryDirectory() as folder:
        pictures, project = Path(folder, "pictures"), Path(folder, "project")
        pictures.mkdir()
        project.mkdir()
        for number, path in enumerate(paths):
            shutil.copy(path, pictures / f"{number}{path.suffix}")
        site = pictures.as_uri()
        (project / "params.yaml").write_text(PARAMS.format(site=site, count=len(paths)))
        timed([PROGRAM, "scrape"], project)
        seconds = timed([PROGRAM, "resize"], project)
        made = json.loads((project / "reports/resize.json").read_text())["images"]
        _tell_program("pipeline resize", made, *seconds)
    if img2dataset is None:
        return {}
    run = run_img2dataset(img2dataset, paths, SIZE, cores)
    _tell_program("img2dataset, PNG level 6", len(run.images), run.seconds, run.cpu_seconds)
    return run.images


def _tell_program(name: str, images: int, seconds: float, cpu_seconds: float) -> None:
    cpu_ms = 1000 * cpu_seconds / images
    print(f"{name:<30}{images / seconds:>8.1f} images/s{cpu_ms:>8.1f} CPU ms an image")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--img2dataset", type=Path)
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


def _post(path: Path) -> Post:
    return Post(1, path.name, sha256_of(path), 0, "general", (), "", "")


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
    return _torch_pixels(decode(path.read_bytes(), 10**8, "#ffffff").pixels)


def _pillow_pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(_cropped(image).resize((SIZE, SIZE), LANCZOS))


def _torch_pixels(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    (fitted,) = fit(image, ResizeParams(size=SIZE))
    return fitted.pixels


def _peer_psnr(png: bytes, path: Path) -> float:
    """img2dataset scales the whole picture and crops then."""
    with Image.open(path) as image:
        short = min(image.size)
        width, height = (round(side * SIZE / short) for side in image.size)
        whole = _exact(image, (width, height))
    top, left = (height - SIZE) // 2, (width - SIZE) // 2
    return _psnr(np.asarray(Image.open(io.BytesIO(png))), whole[top:, left:][:SIZE, :SIZE])


def _exact(image: Image.Image, size: tuple[int, int] = (SIZE, SIZE)) -> NDArray[np.float64]:
    channels = np.asarray(image, np.float32).transpose(2, 0, 1)
    resized = [Image.fromarray(plane).resize(size, LANCZOS) for plane in channels]
    return np.stack([np.asarray(plane, np.float64) for plane in resized], -1).clip(0, 255)


def _psnr(result: NDArray[np.uint8], best: NDArray[np.float64]) -> float:
    error = np.square(result - best).mean()
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


if __name__ == "__main__":
    main()

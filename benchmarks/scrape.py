"""How fast, and with how much memory, the scraper empties a site; beside gallery-dl if it is there.

python benchmarks/scrape.py FOLDER --posts 18000 --gallery-dl PATH/TO/gallery-dl

FOLDER gets the pictures of the site, copies of some drawings that differ in their last bytes, and
what the clients make of them. Everything is on this computer: the server takes part of its cores,
so that files a second are a lower bound, and CPU time a file is the figure to compare.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.drawings import draw
from tests.stages.program import PROGRAM

DRAWINGS = 12
POLL_SECONDS = 0.1
PARAMS = """\
scrape:
  limit: {limit}
  excluded_tags: []
  api_interval: 0.0
  file_interval: 0.0
"""


@dataclass(frozen=True)
class Run:
    """What a client took: wall and CPU seconds, the largest memory, and the files it has now."""

    name: str
    wall: float
    cpu: float
    peak_mib: float
    files: int
    bytes: int

    def __str__(self) -> str:
        return (
            f"{self.name:<11}{self.files:>7} files  {self.bytes / 1e6:>8.1f} MB  "
            f"{self.files / self.wall:>6.1f} files/s  {1000 * self.cpu / self.files:>6.2f} CPU ms "
            f"a file  {self.peak_mib:>6.1f} MiB at the most"
        )


def main() -> None:
    arguments = _arguments()
    pictures = make_pictures(arguments.folder / "pictures", arguments.posts)
    with serve(pictures, arguments.folder / "booru.log") as url:
        print(run_scraper(arguments.folder / "scraped", url, arguments.posts), flush=True)
        if arguments.gallery_dl:
            print(run_gallery_dl(arguments.gallery_dl, arguments.folder / "gallery-dl", url))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--posts", type=int, default=18_000)
    parser.add_argument("--gallery-dl", type=Path)
    return parser.parse_args()


def make_pictures(folder: Path, count: int) -> Path:
    """`count` JPEGs, every one with bytes of its own after the end of the image."""
    folder.mkdir(parents=True, exist_ok=True)
    bodies = []
    for seed in range(DRAWINGS):
        drawing = folder.parent / f"drawing-{seed}.jpg"
        draw(seed).image.convert("RGB").save(drawing, quality=90)
        bodies.append(drawing.read_bytes())
    for number in range(count):
        path = folder / f"{number:06}.jpg"
        if not path.exists():
            path.write_bytes(bodies[number % DRAWINGS] + b"%06d" % number)
    return folder


@contextlib.contextmanager
def serve(pictures: Path, log: Path) -> Iterator[str]:
    """The embedded booru in a process of its own; its address."""
    command = [PROGRAM, "booru", "--images", pictures.resolve(), "--port", "0"]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[3]
        finally:
            process.terminate()


def run_scraper(folder: Path, url: str, count: int) -> Run:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "params.yaml").write_text(PARAMS.format(limit=count))
    raw = folder / "data/raw"
    return _timed("pipeline", [PROGRAM, "scrape", "--site", url], folder, raw, "*.jpg")


def run_gallery_dl(program: Path, folder: Path, url: str) -> Run:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    posts = f"gelbooru_v02:{url}/index.php?page=post&s=list&tags=all"
    command = [program.absolute(), "--config-ignore", "-q", "-D", "files", posts]
    return _timed("gallery-dl", command, folder, folder / "files", "*")


def _timed(
    name: str, command: Sequence[str | Path], folder: Path, results: Path, pattern: str
) -> Run:
    started, before = time.perf_counter(), os.times()
    # Not the largest memory that the system reports at the end: it includes what this process had.
    with psutil.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                peak = max(peak, process.memory_info().rss)
            time.sleep(POLL_SECONDS)
    wall, after = time.perf_counter() - started, os.times()
    if process.returncode:
        sys.exit(f"{name} ended with exit code {process.returncode}")
    sizes = [path.stat().st_size for path in results.glob(pattern)]
    cpu = sum(after[2:4]) - sum(before[2:4])
    return Run(name, wall, cpu, peak / 2**20, len(sizes), sum(sizes))


if __name__ == "__main__":
    main()

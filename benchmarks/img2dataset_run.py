"""img2dataset as a program, for comparison; it wants an environment of its own."""

import json
import os
import resource
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """Wall and CPU seconds of a whole process with its children, and the image made of each file.

    Files that gave no image are not in `images`.
    """

    seconds: float
    cpu_seconds: float
    images: dict[Path, bytes]


def run_img2dataset(program: Path, paths: Sequence[Path], size: int, processes: int) -> Run:
    """Crop `paths` to `size` into a tar of PNGs of level 6; resampling is its own default."""
    with tempfile.TemporaryDirectory() as folder:
        addresses = Path(folder) / "list.txt"
        addresses.write_text("\n".join(path.resolve().as_uri() for path in paths))
        shard = -(-len(paths) // processes)
        options = (
            f"--url_list {addresses} --output_folder {folder}/out --output_format webdataset "
            f"--image_size {size} --resize_mode center_crop --encode_format png --encode_quality 6 "
            f"--processes_count {processes} --thread_count 2 --number_sample_per_shard {shard}"
        )
        seconds, cpu_seconds = timed([program, *options.split()])
        images = {}
        for tar in Path(folder, "out").glob("*.tar"):
            images |= _images(tar)
    by_uri = {path.resolve().as_uri(): path for path in paths}
    return Run(seconds, cpu_seconds, {by_uri[uri]: data for uri, data in images.items()})


def timed(command: Sequence[str | Path], folder: Path | None = None) -> tuple[float, float]:
    """Wall and CPU seconds of a command in `folder`, its children's among them."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = os.environ | {"NO_ALBUMENTATIONS_UPDATE": "1"}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _images(path: Path) -> dict[str, bytes]:
    """The images of a shard by their addresses."""
    with tarfile.open(path) as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        bytes_of = {name: file.read() for name, file in files.items() if file is not None}
    return {
        json.loads(data)["url"]: bytes_of[name.replace(".json", ".png")]
        for name, data in bytes_of.items()
        if name.endswith(".json")
    }

"""What DVC itself takes in a project of many images, where no stage has to run.

    python benchmarks/dvc_overhead.py --images 18000

Makes a finished project of small noise pictures in a temporary folder, then times `dvc status` and
`dvc exp run` in it. Prints the seconds of each run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from stages.project import create_project, run_dvc

SIDE = 64
SETTINGS = {
    "scrape": {"min_side": SIDE, "excluded_tags": []},
    "resize": {"size": SIDE},
    "train": {
        "generator": {"blocks": 1, "features": 8},
        "crop": 32,
        "steps": 2,
        "adv_weight": 0,
        "vgg": "random",
        "validation_images": 1,
    },
    "evaluate": {"max_images": 2, "lpips": "off", "dists": "off", "pictures": 1, "detail": 16},
}
COMMANDS = (["status"], ["exp", "run"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=18_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        project = make_project(Path(base), arguments.images)
        for command in COMMANDS:
            seconds = [timed(command, project) for _ in range(arguments.runs)]
            print("dvc", *command, *(f"{value:.2f}" for value in sorted(seconds)), "s")


def make_project(base: Path, count: int) -> Path:
    """Return the folder of a project whose stages have all run."""
    random = np.random.default_rng(0)
    (base / "pictures").mkdir()
    for number in range(count):
        pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(base / f"pictures/{number:05}.png", compress_level=1)
    settings = {name: dict(section) for name, section in SETTINGS.items()}
    settings["scrape"] |= {"site": (base / "pictures").as_uri(), "limit": count}
    settings["manifest"] = {"count": count, "min_count": 1}
    create_project(base / "project", settings, "Params")
    run_dvc(["repro", "--quiet"], base / "project")
    for command in (["add", "--all"], ["commit", "--quiet", "-m", "Results"]):
        identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost"]
        subprocess.run(["git", *identity, *command], cwd=base / "project", check=True)
    return base / "project"


def timed(command: list[str], project: Path) -> float:
    scripts = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "dvc", *command],
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - started


if __name__ == "__main__":
    main()

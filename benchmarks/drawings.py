"""The public benchmark: all shipped models on 100 drawings that anyone can make again, offline.

python benchmarks/drawings.py ../drawings            11 minutes on two CPU cores
python benchmarks/drawings.py ../drawings --limit 20    a fifth of them, to try it
python benchmarks/drawings.py ../drawings --dists    an hour more, if VGG16's weights are at hand

FOLDER, new or empty, becomes a project whose test split they are, so that `pipeline
evaluate` and `pipeline pairs` work there with further models. The tables are also in
FOLDER/reports/tables.md, and a page of each in FOLDER/reports/clean and FOLDER/reports/web.
"""

import argparse
import hashlib
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal

import torch

from pipeline.booru.app import Site
from pipeline.drawings import draw
from pipeline.errors import PipelineError
from pipeline.evaluation.measurement import METRIC_BY_KEY
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.pairs import SplitPairs
from pipeline.evaluation.provenance import Inputs
from pipeline.evaluation.results import Evaluation
from pipeline.evaluation.run import evaluate
from pipeline.files import write_text
from pipeline.images.collection import collect_folder
from pipeline.manifest.rows import read_manifest
from pipeline.networks.files import load_generator
from pipeline.params import EvaluateParams
from pipeline.params.degradation import Degradation
from pipeline.shipped import DEFAULT, shipped_models
from pipeline.wsgi import Server
from stages.console import ConsoleProgress
from stages.project import Settings, check_is_new, create_project, run_dvc

SEEDS = range(30_000, 30_101)
"""Of the drawings: nothing else in the program draws them. 100 are measured; the manifest wants at
least one to train on."""
FIRST = 3
"""Drawings that a test makes, to notice quickly that they changed."""
SHA256_OF_FIRST = "54135b2a5921648e19308c7fe2604025c69d0449c128ef7189219424b3a2f0fb"
SHA256_OF_DRAWINGS = "fba3f7eec346dc24cc4dae852bc94e07a10c847c5fa97d6a6685466d6de60735"
"""Of the SHA-256, in hex, of each drawing's pixels, in the order of the seeds."""
SHA256_OF_IMAGES = "dfdc8f44e66e31e5c52c1f956439e5fe59d5e1bbab63d7800d58e2eacb9d6fa0"
"""The same of the images of 512 × 512 that `pipeline resize` makes of the drawings."""

METHODS = (*shipped_models(), "bicubic", "lanczos")
METRICS = [METRIC_BY_KEY[key] for key in ("psnr_y", "ssim_y", "lpips", "dists", "swd")]
TITLES: dict[Degradation, str] = {"none": "Clean", "web": "Damaged as on the web"}
TIMED = 10
"""Images that the seconds are the median of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new or empty, outside a git repository")
    parser.add_argument("--dists", action="store_true", help="measure DISTS too: far slower")
    parser.add_argument(
        "--limit", type=positive, help="measure so many of them, evenly spaced: other figures"
    )
    parser.add_argument("--port", type=int, default=8931, help="of the embedded booru")
    arguments = parser.parse_args()
    start = time.monotonic()
    try:
        check_is_new(arguments.folder)
        make_set(arguments.folder, arguments.port)
        text = tables(arguments.folder, "auto" if arguments.dists else "off", arguments.limit)
    except PipelineError as error:
        raise SystemExit(str(error)) from None
    write_text(arguments.folder / "reports/tables.md", text)
    print(text)
    print(
        f"{time.monotonic() - start:.0f} s in all, PyTorch with {torch.get_num_threads()} threads"
    )


def positive(text: str) -> int:
    """Return a whole number above 0. Raises `ValueError`, which argparse reports."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def make_set(folder: Path, port: int) -> None:
    """Draw, and bring the drawings to 512 × 512 by the program's own stages."""
    drawings = folder / "drawings"
    drawings.mkdir(parents=True)
    with ProcessPoolExecutor() as pool:
        hashes = list(pool.map(save_drawing, SEEDS, [drawings] * len(SEEDS)))
    check("drawings", sha256_of_all(hashes), SHA256_OF_DRAWINGS)
    with Server(Site(collect_folder(drawings)), port=port) as server:
        create_project(folder, settings(server.url), "The public benchmark")
        run_dvc(["repro", "manifest"], folder)
    rows = sorted(read_manifest(folder / "data/manifest.csv"), key=lambda row: row.id)
    check("images", sha256_of_all(row.sha256 for row in rows), SHA256_OF_IMAGES)


def save_drawing(seed: int, folder: Path) -> str:
    """Write the drawing of `seed` as PNG, and return the SHA-256 of its pixels."""
    image = draw(seed).image
    image.save(folder / f"{seed}.png")
    return hashlib.sha256(image.tobytes()).hexdigest()


def sha256_of_all(hashes: Iterable[str]) -> str:
    """Return one hash of many."""
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def check(name: str, sha256: str, pinned: str) -> None:
    """Say whether this machine made the same pixels as the published table is of."""
    if sha256 == pinned:
        print(f"{name}: SHA-256 {sha256}, as published")
    else:
        print(f"{name}: SHA-256 {sha256}, published: {pinned}; other pixels, other figures")


def settings(site: str) -> Settings:
    """Return the params of a project whose test split is all drawings but one."""
    count = len(SEEDS)
    return {
        "scrape": {
            "site": site,
            "limit": count,
            "excluded_tags": [],
            "api_interval": 0.0,
            "file_interval": 0.0,
        },
        "manifest": {
            "count": count,
            "min_count": count,
            "val_fraction": 0.0,
            # With the default seed all but one.
            "test_fraction": 0.98,
            "min_contrast": 0.0,
            "phash_distance": None,
        },
        "evaluate": {"models": {name: name for name in shipped_models()}},
    }


def tables(folder: Path, dists: Literal["auto", "off"], limit: int | None = None) -> str:
    """Measure clean and damaged LR images, `limit` at most; return a table in Markdown of each."""
    seconds = seconds_per_image(folder)
    parts = [
        f"## {title}\n\n{table(evaluated(folder, degradation, dists, limit), seconds)}"
        for degradation, title in TITLES.items()
    ]
    return "\n".join(parts)


def seconds_per_image(folder: Path) -> dict[str, float]:
    """Return model → seconds for 128 × 128 to 512 × 512, the median of some images."""
    pairs = SplitPairs.from_split(
        folder / "data/manifest.csv", folder / "data/resized", "test", 4, TIMED
    )
    images = [pairs.pair(index)[0][None] for index in range(TIMED)]
    medians = {}
    for name, path in shipped_models().items():
        generator = load_generator(path, torch.device("cpu")).generator
        generator.enlarge(images[0])
        times = []
        for image in images:
            start = time.perf_counter()
            generator.enlarge(image)
            times.append(time.perf_counter() - start)
        medians[name] = statistics.median(times)
    return medians


def evaluated(
    folder: Path, degradation: Degradation, dists: Literal["auto", "off"], limit: int | None
) -> Evaluation:
    """Evaluate all shipped models, as `pipeline evaluate` does, on the CPU."""
    others = {name: name for name in shipped_models() if name != DEFAULT}
    return evaluate(
        EvaluateParams(
            degradation=degradation, models=others, dists=dists, device="cpu", max_images=limit
        ),
        Inputs(
            folder / "data/manifest.csv", folder / "data/resized", shipped_models()[DEFAULT], None
        ),
        folder / "reports" / ("clean" if degradation == "none" else degradation),
        ConsoleProgress(),
    )


def table(evaluation: Evaluation, seconds: dict[str, float]) -> str:
    """Return a row for each method: means, their 95 % intervals, seconds per image."""
    metrics = [metric for metric in METRICS if metric in evaluation.metrics]
    lines = [
        f"| | {' | '.join(metric.name for metric in metrics)} | s per image |",
        f"|---|{'---|' * len(metrics)}---|",
    ]
    for name in METHODS:
        method = MODEL if name == DEFAULT else name
        cells = []
        for metric in metrics:
            cell = metric.format(evaluation.means[method][metric.key])
            interval = evaluation.intervals[method].get(metric.key)
            if interval is not None:
                cell += f" ({metric.format(interval.low)} to {metric.format(interval.high)})"
            cells.append(cell)
        time_taken = f"{seconds[name]:.2f}" if name in seconds else "–"
        lines.append(f"| {name} | {' | '.join(cells)} | {time_taken} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

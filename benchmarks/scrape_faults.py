"""Each fault of the embedded booru against the scraper: what happened, how long, what was seen.

python benchmarks/scrape_faults.py FOLDER

Every fifth request for a file gets the fault, and in a second run every other request for a
listing. 40 of 60 small pictures are wanted; a silence of 3 seconds counts as a fault.
"""

import io
import json
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.booru.app import Site
from pipeline.booru.fault_injection import FAULTS, FaultInjector
from pipeline.images.collection import collect_folder
from pipeline.wsgi import Server
from tests.stages.program import pipeline

PICTURES = 60
PARAMS = {
    "limit": 40,
    "min_side": 8,
    "excluded_tags": [],
    "page_size": 20,
    "api_interval": 0.1,
    "file_interval": 0.0,
    "retries": 3,
    "timeout": 3.0,
}


def main(folder: Path) -> None:
    site = Site(collect_folder(_pictures(folder / "pictures")))
    for where, every in (("file", 5), ("listing", 2)):
        for name in FAULTS:
            on_files, on_lists = ([name], []) if where == "file" else ([], [name])
            with Server(FaultInjector(site, on_files, on_lists, every)) as booru:
                print(_row(where, name, folder / where / name, booru.url), flush=True)


def _row(where: str, name: str, folder: Path, url: str) -> str:
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(json.dumps({"scrape": PARAMS | {"site": url}}))
    started = time.perf_counter()
    result = pipeline(folder, "scrape")
    seconds = time.perf_counter() - started
    found = len(list((folder / "data/raw").glob("*.png")))
    report = folder / "reports/scrape.json"
    failed = json.loads(report.read_text())["failed"] if report.exists() else "–"
    messages = [line for line in result.problems if not line.startswith(("scrape: ", "listed "))]
    shown = (
        messages[0] if result.code or not messages[0].startswith("accepted") else "the table alone"
    )
    return (
        f"| {where} | {name} | {result.code} | {found} | {failed} | {seconds:.1f} s | "
        f"{shown.replace(url, 'SITE')} |"
    )


def _pictures(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number in range(PICTURES):
        pixels = np.random.default_rng(number).integers(0, 256, (200, 150, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        (folder / f"{number:02}.png").write_bytes(file.getvalue())
    return folder


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""SIGKILL at random moments of one scrape: is the result the same, and is anything fetched twice?

python benchmarks/scrape_kills.py FOLDER --pictures 500 --kills 50
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.scraping.site import ScriptedSite
from tests.stages.program import end, pipeline, start

STARTING = 0.2
"""Share of the kills that may come before the first request."""
LONGEST_WAIT = 0.9


def main() -> None:
    arguments = _arguments()
    site = ScriptedSite(arguments.pictures)
    site.page_size = 40
    by_hash = {hashlib.sha256(body).hexdigest(): path for path, body in site.files.items()}
    moments, complete, twice = random.Random(arguments.seed), set[str](), Counter[str]()
    with site.serve() as url:
        whole = _prepare(arguments.folder / "whole", url, arguments.pictures, 0.0)
        assert pipeline(whole, "scrape").code == 0
        # Slow enough that one run could not fetch everything between two kills.
        killed = _prepare(arguments.folder / "killed", url, arguments.pictures, 0.05)
        kills = ended = 0
        while kills < arguments.kills and not ended:
            asked = len(site.requests)
            process = start(killed, "scrape")
            if moments.random() > STARTING:
                _wait_for_request(site, asked, process)
            time.sleep(moments.uniform(0, LONGEST_WAIT))
            process.kill()
            ended = end(process).code != -signal.SIGKILL
            kills += not ended
            twice.update(path for path, _ in site.requests[asked:] if path in complete)
            files = killed / "data/.store/files"
            complete = {by_hash[path.name] for path in files.rglob("*") if path.is_file()}
        asked = len(site.requests)
        result = pipeline(killed, "scrape")
        twice.update(path for path, _ in site.requests[asked:] if path in complete)
    print(f"{kills} kills, {len(complete)} files whole at the last; then exit code {result.code}")
    print(f"data/raw equal to that of a run left alone: {_contents(killed) == _contents(whole)}")
    print(f"files asked for again after they were whole: {sum(twice.values())}")
    print(f"parts left: {len(list((killed / 'data/.store/parts').iterdir()))}")
    listings = Counter(path for path, _ in site.requests if path.startswith("/index.php"))
    print(f"listing requests: {len(listings)} different, {listings.total()} in both runs together")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _wait_for_request(site: ScriptedSite, asked: int, process: subprocess.Popen[str]) -> None:
    """Wait until the site is asked or the process ends, which a busy machine starts late."""
    while len(site.requests) == asked and process.poll() is None:
        time.sleep(0.01)


def _prepare(folder: Path, url: str, limit: int, file_interval: float) -> Path:
    folder.mkdir(parents=True)
    params = {
        "site": url,
        "limit": limit,
        "min_side": 8,
        "api_interval": 0.0,
        "file_interval": file_interval,
    }
    (folder / "params.yaml").write_text(json.dumps({"scrape": params}))
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data/raw").iterdir()}


if __name__ == "__main__":
    main()

"""SIGKILL at random moments of one resize: are the shards the same, and does it get on?

python benchmarks/resize_kills.py FOLDER PICTURES --kills 30

As DVC does, `data/resized` is removed before every run: what was finished comes from the store.
"""

import argparse
import hashlib
import random
import shutil
import signal
import time
from pathlib import Path

from tests.stages.program import end, pipeline, start

SHORTEST_LIFE, LONGEST_LIFE = 1.0, 6.0
PARAMS = """\
scrape: {{site: "{site}"}}
resize: {{shard_size: 40}}
"""


def main() -> None:
    arguments = _arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    text = PARAMS.format(site=arguments.pictures.resolve().as_uri())
    (arguments.folder / "params.yaml").write_text(text)
    assert pipeline(arguments.folder, "scrape").code == 0
    assert pipeline(arguments.folder, "resize").code == 0
    whole = _shards(arguments.folder)
    shutil.rmtree(arguments.folder / "data/.store/resized")
    moments, kills, kept = random.Random(arguments.seed), 0, list[int]()
    while kills < arguments.kills:
        shutil.rmtree(arguments.folder / "data/resized", ignore_errors=True)
        process = start(arguments.folder, "resize")
        time.sleep(moments.uniform(SHORTEST_LIFE, LONGEST_LIFE))
        process.kill()
        if end(process).code != -signal.SIGKILL:
            # It came to its end: once more, from nothing.
            shutil.rmtree(arguments.folder / "data/.store/resized")
            continue
        kills += 1
        kept.append(len(list((arguments.folder / "data/.store/resized").glob("*/*.tar"))))
    shutil.rmtree(arguments.folder / "data/resized", ignore_errors=True)
    code = pipeline(arguments.folder, "resize").code
    print(f"{kills} kills; shards kept after each: {kept}; then exit code {code}")
    print(
        f"shards and index equal to those of a run left alone: {_shards(arguments.folder) == whole}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _shards(folder: Path) -> dict[str, str]:
    files = (folder / "data/resized").iterdir()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    main()

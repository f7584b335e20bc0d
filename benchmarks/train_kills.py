"""SIGKILL at random moments of one training: does it go on, and is the generator the same?

python benchmarks/train_kills.py FOLDER --kills 20 [--adv-weight 0 --steps 2000]
"""

import argparse
import random
import signal
import time
from pathlib import Path

from tests.evaluation.world import make_world
from tests.stages.program import end, pipeline, start

PARAMS = """\
train:
  generator: {blocks: 1, features: 16}
  crop: 32
  batch: 4
  pretrain_steps: 20
  warmup_steps: 20
  max_grad_norm: 1.0
  lr_schedule: cosine
  vgg: random
  device: cpu
  log_every: 5
  validate_every: 50
  checkpoint_seconds: 0.5
"""
SHORTEST_LIFE, LONGEST_LIFE = 4.0, 7.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--adv-weight", default="1.0")
    parser.add_argument("--steps", default="250")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    options = ["--adv-weight", arguments.adv_weight, "--steps", arguments.steps]
    whole, killed = (_prepare(arguments.folder / name) for name in ("whole", "killed"))
    assert pipeline(whole, "train", *options).code == 0
    moments, saved = random.Random(arguments.seed), list[int]()
    while len(saved) < arguments.kills:
        process = start(killed, "train", *options)
        time.sleep(moments.uniform(SHORTEST_LIFE, LONGEST_LIFE))
        process.kill()
        if end(process).code != -signal.SIGKILL:
            break
        saved.append(max((int(path.stem[5:]) for path in killed.rglob("step-*.pt")), default=0))
    code = pipeline(killed, "train", *options).code
    print(f"steps saved at {len(saved)} kills: {saved}; then exit code {code}")
    for name in ("models/generator.safetensors", "models/best.safetensors", "reports/train"):
        print(f"{name} equal to that of a run left alone: {_same(whole / name, killed / name)}")


def _same(one: Path, other: Path) -> bool:
    """Return whether two files, or the files of two folders, are equal."""
    if one.is_file():
        return one.read_bytes() == other.read_bytes()
    names = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def _prepare(folder: Path) -> Path:
    make_world(folder, {"train": 20, "val": 2})
    (folder / "models/generator.safetensors").unlink()
    (folder / "params.yaml").write_text(PARAMS)
    return folder


if __name__ == "__main__":
    main()

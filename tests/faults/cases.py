"""A finished small project, and for each stage and writing command a run that changes it."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from safetensors.torch import save_file

from pipeline.networks.perceptual.weights import backbone_state
from tests.end_to_end.test_chain import environment
from tests.evaluation.page_bytes import without_seconds
from tests.images.originals import drawing

if TYPE_CHECKING:
    from tests.faults.world import FaultyDriver

PICTURES = 10
STAGES = ("scrape", "resize", "manifest", "train", "evaluate")
SETTINGS: dict[str, dict[str, Any]] = {
    "scrape": {
        "limit": 8,
        "min_side": 64,
        "excluded_tags": [],
        "api_interval": 0.0,
        "file_interval": 0.0,
        "workers": 1,
    },
    "resize": {"size": 64, "shard_size": 4},
    "manifest": {"count": 8, "min_count": 4, "val_fraction": 0.3, "test_fraction": 0.3},
    "train": {
        "generator": {"blocks": 1, "features": 8, "skip": "none"},
        "crop": 32,
        "batch": 2,
        "steps": 3,
        "pretrain_steps": 1,
        "content_layers": ["conv1_1"],
        "device": "cpu",
        "log_every": 1,
        "validate_every": 2,
        "validation_images": 1,
        "checkpoint_seconds": 0.0,
    },
    "evaluate": {
        "lpips": "off",
        "dists": "off",
        "max_images": 2,
        "pictures": 1,
        "detail": 16,
        "device": "cpu",
    },
}
PAGE = "reports/index.html"
MODEL = "models/generator.safetensors"
# What runs keep for themselves: their content is not promised, only what follows from it.
OWN = ("models/checkpoints/", "data/.store/parts/", ".git/", ".dvc/")


@dataclass(frozen=True)
class Case:
    """A run of `pipeline` in a project where all stages have run.

    `changes` of params, by section, or the files `existing` make its results other ones than those
    that are there. After a run that failed, files whose path begins with one of `rebuilt` may be
    missing, and those that begin with one of `growing` may be anything; it may print so many
    `lines` more than a run that goes well, whose exit code is `code`.
    """

    arguments: tuple[str, ...]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    existing: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()
    lines: int = 2
    code: int = 0


def cases(site: str, pictures: Path) -> dict[str, Case]:
    """The cases by name; `site` is the booru's address, and `pictures` the folder it serves."""
    upscale = ("upscale", "pictures", "-o", "big", "--model", MODEL, "--device", "cpu")
    return {
        "scrape": Case(("scrape",), {"scrape": {"limit": PICTURES}}),
        "folder": Case(("scrape",), {"scrape": {"site": pictures.as_uri()}}),
        "resize": Case(
            ("resize",), {"resize": {"size": 48}}, rebuilt=("data/resized/", "data/.store/resized/")
        ),
        "manifest": Case(("manifest",), {"manifest": {"seed": 1}}),
        "train": Case(("train",), {"train": {"seed": 1}}, growing=("reports/train/",)),
        "evaluate": Case(("evaluate",), {"evaluate": {"crop_border": 5}}),
        "upscale": Case((*upscale, "--overwrite"), existing=("big/00.png", "big/01.png")),
        "export": Case(
            ("export", "sr.onnx", "--model", MODEL, "--overwrite"), existing=("sr.onnx",)
        ),
        "export to ncnn": Case(
            ("export", "sr.param", "--model", MODEL, "--overwrite"), existing=("sr.param", "sr.bin")
        ),
        "blend": Case(
            ("blend", MODEL, "models/best.safetensors", "--overwrite"),
            existing=("models/blend.safetensors",),
        ),
        "tradeoff": Case(
            ("tradeoff",), existing=tuple(f"reports/tradeoff/plane.{kind}" for kind in TRADEOFF)
        ),
        "pairs": Case(("pairs", "pairs")),
        "degrade": Case(
            ("degrade", "pictures/00.png", "-o", "big/sheet.png", "--crop", "16", "--overwrite"),
            existing=("big/sheet.png",),
        ),
        "clean": Case(("clean", "--remove", "all"), rebuilt=("data/.store/",), lines=8),
        # The port is taken, so that it ends as soon as it has its drawings.
        "booru": Case(("booru", "--drawings", "2", "--port", site.rpartition(":")[2]), code=2),
    }


TRADEOFF = ("csv", "png", "svg")
NAMES = tuple(cases("", Path("/")))


def draw_pictures(folder: Path) -> None:
    """The pictures of the site."""
    folder.mkdir()
    for number in range(PICTURES):
        drawing(number, 80 + number, 96).save(folder / f"{number:02}.png")


def make_project(folder: Path, driver: "FaultyDriver", site: str) -> None:
    """Run all stages in a new project, and commit their results."""
    folder.mkdir()
    weights = folder.with_name("vgg16.safetensors")
    save_file(backbone_state("vgg16", "random"), weights)
    settings = SETTINGS | {
        "scrape": SETTINGS["scrape"] | {"site": site},
        "train": SETTINGS["train"] | {"vgg": str(weights)},
    }
    _write_params(folder, settings)
    for stage in STAGES:
        result = driver.run(folder, (stage,))
        assert result.code == 0, result.err
    (folder / "pictures").mkdir()
    for number in range(2):
        drawing(number, 20, 16).save(folder / f"pictures/{number:02}.png")
    (folder / "dvc.yaml").write_text("metrics: [reports/metrics.json]\n")
    (folder / ".gitignore").write_text("/data\n/models\n")
    for command in (
        ("git", "init", "--quiet"),
        (sys.executable, "-m", "dvc", "init", "--quiet"),
        ("git", "add", "--all"),
        ("git", "commit", "--quiet", "-m", "A run"),
    ):
        subprocess.run(command, cwd=folder, env=environment(), check=True)


def prepare(project: Path, case: Case, folder: Path) -> None:
    """Make `folder` a copy of `project` in which `case` has something to do."""
    shutil.copytree(project, folder, symlinks=True)
    settings = YAML().load(folder / "params.yaml")
    for section, changes in case.changes.items():
        settings[section] |= changes
    _write_params(folder, settings)
    for name in case.existing:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"of an earlier run")


def contents(folder: Path) -> dict[str, str]:
    """What must be whole at any time, path → sha256: all but what runs keep for themselves.

    Raises `AssertionError` where a kept file is not what its name says.
    """
    found = {}
    aside = not (folder / "data/raw").exists()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if aside:
            # Two renames failed in a row; the next run brings it back.
            name = name.replace("data/.raw.old/", "data/raw/")
        if not path.is_file() or name.startswith(OWN) or ".sqlite" in name or _hidden(name):
            continue
        content = path.read_bytes()
        if name == PAGE:
            content = without_seconds(content)
        if path.suffix == ".jsonl" and name.startswith("reports/train/"):
            content = b"".join(map(_figures, content.splitlines()))
        found[name] = hashlib.sha256(content).hexdigest()
        if name.startswith("data/.store/files/"):
            assert found[name] == path.name
    for path in folder.glob("models/checkpoints/*/*.pt"):
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    return found


def _figures(line: bytes) -> bytes:
    """A line of a training's log without what a clock and the machine say, or cut off as it is."""
    try:
        values = json.loads(line)
    except ValueError:
        return line
    kept = {name: value for name, value in values.items() if "/" in name or name == "step"}
    return json.dumps(kept).encode()


def _hidden(name: str) -> bool:
    """Whether no stage reads a file: its name, or that of a folder, begins with a dot."""
    parts = name.removeprefix("data/.store/").split("/")
    return any(part.startswith(".") for part in parts) or parts[-1] in ("lock", "lock.json")


def _write_params(folder: Path, settings: Mapping[str, Any]) -> None:
    with (folder / "params.yaml").open("w") as file:
        YAML().dump(dict(settings), file)

"""`pipeline demo`: all stages at a small scale, offline, in a separate folder."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import PipelineError, UsageError
from pipeline.files import write_text
from pipeline.locks import hold, lock_file
from pipeline.processes import PARENT_VARIABLE
from stages.console import ConsoleProgress

ROOT = Path(__file__).resolve().parents[2]
DRAWINGS = 72
UNSEEN_SEED = 10_000
MARKER = ".pipeline-demo"
CODE = ("pipeline", "stages")
FILES = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots/plane.json",
    ".dvcignore",
    ".gitignore",
    "data/.gitignore",
    "inputs/evaluate/.gitkeep",
    "inputs/train/.gitkeep",
    "models/.gitignore",
    "reports/.gitignore",
    "reports/evaluate/.gitignore",
    "reports/manifest/.gitignore",
    "reports/train/.gitignore",
    "dvc.yaml",
    "params.schema.json",
)
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "scrape": {
        "limit": DRAWINGS,
        "excluded_tags": [],
        "api_interval": 0.0,
        "file_interval": 0.0,
    },
    "resize": {"shard_size": 32},
    "manifest": {"count": DRAWINGS, "min_count": 32, "val_fraction": 0.08, "test_fraction": 0.12},
    "train": {
        "generator": {"kind": "srresnet", "norm": "none", "skip": "bicubic"},
        "crop": 64,
        "batch": 8,
        "steps": 2560,
        "lr": 0.0005,
        "adv_weight": 0.005,
        "pixel_weight": 1.0,
        "loss_without_adv": "l1",
        "pretrain_steps": 2500,
        "warmup_steps": 60,
        "validate_every": 500,
        "validation_images": 4,
    },
    # They take a second per image and method.
    "evaluate": {"dists": "off"},
}
"""The demo's changes of `params.yaml`: results in minutes on two CPU cores."""


def demo(
    folder: Annotated[
        Path, typer.Option(help="folder of the demo; run again, it goes on where it stopped")
    ] = Path("demo"),
    port: Annotated[
        int, typer.Option(min=1, max=65535, help="port of the embedded booru on 127.0.0.1")
    ] = 8931,
) -> None:
    """Run all five stages offline, on generated drawings.

    Finally enlarges one picture that training did not see. All files are in a folder with its own
    git and DVC repository: your params, data and commits do not change.
    """
    from pipeline.booru.app import Site
    from pipeline.booru.drawn_collection import collect_drawings
    from pipeline.networks.perceptual.weights import has_backbone
    from pipeline.wsgi import Server

    settings = {name: dict(section) for name, section in SETTINGS.items()}
    settings["scrape"]["site"] = f"http://127.0.0.1:{port}"
    # The demo runs offline and downloads no weights.
    if not has_backbone("vgg16"):
        settings["train"]["vgg"] = "random"
    if not has_backbone("alexnet"):
        settings["evaluate"]["lpips"] = "off"
    _claim(folder)
    with hold(lock_file(folder / "data", "demo"), "pipeline demo"):
        make_workspace(folder, settings)
        pictures = collect_drawings(
            DRAWINGS, folder / "data/.store/drawings", progress=ConsoleProgress()
        )
        with Server(Site(pictures), port=port):
            run_dvc(["repro"], folder)
        # Experiments start from committed files.
        _commit(folder, ["dvc.lock", "reports"], "Results")
        before, after = _enlarge_one(folder)
    print(f"\nOne picture, and the same enlarged four times:\n  {before}\n  {after}")
    print(f"The report, to open in a browser:\n  {(folder / 'reports/index.html').resolve()}")


def make_workspace(folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Create or update a project in `folder` with this program's code and stages, and other params.

    It is a git repository with a commit, which DVC's experiments and DVCLive need.
    """
    _claim(folder)
    for name in CODE:
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    write_text(folder / "params.yaml", _changed_params(ROOT / "params.yaml", settings))
    tracked = [*CODE, *FILES, "params.yaml"]
    _git(folder, "init", "--quiet")
    _commit(folder, tracked, "Code and params")


def _claim(folder: Path) -> None:
    """Mark `folder` as a demo; raise `UsageError` where it has other contents."""
    if not (ROOT / "dvc.yaml").is_file():
        raise UsageError(f"{ROOT}: no dvc.yaml here; run the demo from a clone of the repository")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise UsageError(f"{folder}: holds something else; name a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


def run_dvc(arguments: list[str], folder: Path) -> None:
    """Run DVC in `folder`, with this program on its path; raise `PipelineError` if it fails.

    The children get their own process group: DVC ignores Ctrl-C while a stage runs, so an interrupt
    is sent to all of them, and the stage saves its work. When this process is killed, the stage
    ends too, and with it DVC.
    """
    scripts = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        PARENT_VARIABLE: str(os.getpid()),
    }
    command = [sys.executable, "-m", "dvc", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, start_new_session=True)  # noqa: S603
    try:
        code = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise
    if code:
        raise PipelineError(f"dvc {' '.join(arguments)}: failed in {folder}; its output says why")


def _enlarge_one(folder: Path) -> tuple[Path, Path]:
    """Draw a picture that training did not see, a quarter as large, and enlarge it."""
    from PIL import Image

    from pipeline.drawings import draw
    from pipeline.files import atomic_path
    from pipeline.upscaling.upscaler import Upscaler

    drawing = draw(UNSEEN_SEED).image
    small = drawing.resize((drawing.width // 4, drawing.height // 4), Image.Resampling.BICUBIC)
    before, after = folder / "picture.png", folder / "picture_x4.png"
    small.save(before)
    upscaler = Upscaler(folder / "models/generator.safetensors")
    with atomic_path(after) as temporary:
        upscaler(small).save(temporary, "PNG")
    return before.resolve(), after.resolve()


def _changed_params(template: Path, settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the project's params file, with its comments and some other values."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    document = yaml.load(template.read_text(encoding="utf-8"))
    for section, values in settings.items():
        _update(document[section], values)
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _update(document: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    """Replace values, those of sections within sections too."""
    for name, value in values.items():
        if isinstance(value, Mapping) and isinstance(document.get(name), MutableMapping):
            _update(document[name], value)
        else:
            document[name] = value


def _commit(folder: Path, paths: Sequence[str], message: str) -> None:
    identity = ["-c", "user.name=pipeline demo", "-c", "user.email=demo@localhost"]
    _git(folder, "add", "--", *paths)
    if _git(folder, "diff", "--cached", "--name-only", "--", *paths):
        _git(folder, *identity, "commit", "--quiet", "-m", message, "--", *paths)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        raise PipelineError(f"git {arguments[0]}: failed in {folder}: {result.stderr.strip()}")
    return result.stdout

"""`pipeline demo`: all stages at a small scale, offline, in a separate folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import UsageError
from pipeline.locks import hold, lock_file
from stages.console import ConsoleProgress
from stages.project import commit, create_project, run_dvc

DRAWINGS = 72
UNSEEN_SEED = 10_000
MARKER = ".pipeline-demo"
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
        "crop": 64,
        "batch": 8,
        "steps": 1800,
        "lr": 0.0005,
        "adv_weight": 0.005,
        "pixel_weight": 1.0,
        "loss_without_adv": "l1",
        "pretrain_steps": 1500,
        "warmup_steps": 60,
        "validate_every": 500,
        "validation_images": 4,
    },
    # They take a second per image and method.
    "evaluate": {
        "dists": "off",
        "models": {"distortion": "distortion", "perception": "perception"},
    },
}
"""The demo's changes of `params.yaml`: results in minutes on two CPU cores."""


NEXT = """
Its points "distortion" and "perception" are models that come with the program. What comes next,
with the program's environment active:
  cd {folder} && dvc exp run -S train.adv_weight=0    the same without the discriminator
  cd {folder} && pipeline compare                     both, side by side
  pipeline upscale picture.png    your picture, with the shipped model
  pipeline init mine              a project of your own"""


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
    _claim(folder)
    # These load PyTorch.
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
    with hold(lock_file(folder / "data", "demo"), "pipeline demo"):
        create_project(folder, settings, "Params")
        pictures = collect_drawings(
            DRAWINGS, folder / "data/.store/drawings", progress=ConsoleProgress()
        )
        with Server(Site(pictures), port=port):
            run_dvc(["repro"], folder)
        # Experiments start from committed files.
        commit(folder, ["dvc.lock", "reports"], "Results")
        before, after = _enlarge_one(folder)
    print(f"\nOne picture, and the same enlarged four times:\n  {before}\n  {after}")
    print(f"The report, to open in a browser:\n  {(folder / 'reports/index.html').resolve()}")
    print(NEXT.format(folder=folder))


def _claim(folder: Path) -> None:
    """Mark `folder` as a demo; raise `UsageError` where it has other contents."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file; name a folder")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise UsageError(f"{folder}: holds something else; name a new or an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()


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

"""The parts of `benchmarks/gpu.py` that run programs: the tests, and `pipeline train` itself."""

import csv
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from xml.etree import ElementTree

import numpy as np
import torch
from gpu_program import STOP_SECONDS, TrainingProgram
from gpu_task import Results, Task, free_unused, synchronise

from pipeline.devices import computes_in_bf16, pick_device
from pipeline.networks.files import load_generator, save_generator
from pipeline.networks.perceptual.weights import has_backbone
from pipeline.params import TrainParams
from pipeline.params.file import option_name, override
from pipeline.progress import Silent
from pipeline.training.compiling import is_compiled
from pipeline.training.crops import LoadedImages, RandomCrops
from pipeline.training.distributed import SINGLE_PROCESS
from pipeline.training.image_order import ImageOrder
from pipeline.training.perceptual import load_content_network
from pipeline.training.pixel_buffer import PixelBuffer
from pipeline.training.state import new_state
from pipeline.training.step import TrainStep

ROOT = Path(__file__).resolve().parent.parent
ARTICLE_IMAGES = 18_000 * 10
INTERRUPTED = 130
SECOND_RUN_SECONDS = 15.0
SECOND_RUN_RESERVE = 60.0
"""Seconds that the first run leaves: to stop, to start again, and to be stopped once more."""
TOY_SECONDS = 12.0
CURVES = ("loss", "content", "adversarial", "discriminator", "d_hr", "d_sr")
POINTS = 20
"""Of a curve, at most: each is the mean of equally many rows."""
TOY = "generator.blocks=1 generator.features=8 crop=32 batch=2 vgg=random validate_every=5"

# models: how many steps fit.
START_SECONDS = 20.0
"""Of a training: imports, images, the last validation, the files."""
SHARE = 0.92
"""Of the steps that the measured rate gives: curves and checkpoints take some time, too."""
VALIDATIONS = 10
RATE_WARM_UP, RATE_STEPS = 30, 200
TOY_RATE_STEPS = 2


def tests(task: Task, results: Results) -> None:
    """The tests that need CUDA."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-m", "cuda", "-p", "no:cacheprovider"]
        command += ["tests/cuda", f"--junitxml={report}"]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        print(done.stdout)
        results.add("exit", done.returncode)
        results.add("tail", done.stdout.splitlines()[-15:])
        if report.exists():
            suite = ElementTree.parse(report).getroot().find("testsuite")  # our own pytest's
            assert suite is not None
            for name in ("tests", "failures", "errors", "skipped"):
                results.add(name, int(suite.get(name, 0)))


def article(task: Task, results: Results) -> None:
    """The article's training by its command: how fast, and does it go on where it was stopped?"""
    vgg = "imagenet" if has_backbone("vgg16") else "random"
    results.add("vgg", vgg)
    options = ["--epochs", "100000", "--pretrain-steps", "0", "--vgg", vgg]
    options += ["--device", task.device, *(_options(_settings(TOY)) if task.toy else [])]
    with _project(task) as project:
        first = TrainingProgram(project, options)
        begun = first.wait_for(r"read images: (\d+)/\1 ", task.left - STOP_SECONDS)
        results.add("seconds_to_first_step", begun - first.started)
        wanted = TOY_SECONDS if task.toy else task.train_seconds
        first.run_until(begun + min(wanted, task.left - SECOND_RUN_RESERVE))
        stopped = time.monotonic()
        results.add("exit", first.stop())
        steps = _newest_step(project)
        batch = override(TrainParams(), _settings(TOY) if task.toy else {}).batch
        results.add("seconds", stopped - begun)
        results.add("steps", steps)
        if steps:
            rate = steps * batch / (stopped - begun)
            results.add("images_per_s", rate)
            results.add("minutes_for_article", ARTICLE_IMAGES / rate / 60)
        results.add("images_per_s_between_lines", first.rate(batch))
        results.add("curves", _curves(project / "reports/train/plots/metrics"))
        results.add("metrics", _text(project / "reports/train/metrics.json"))
        second = TrainingProgram(project, options)
        second.wait_for(r"goes on from step (\d+)", task.left - STOP_SECONDS)
        goes_on = re.search(r"goes on from step (\d+)", second.text())
        assert goes_on is not None
        results.add("goes_on_from", int(goes_on[1]))
        begun = second.wait_for(r"read images: (\d+)/\1 ", task.left - STOP_SECONDS)
        wanted = TOY_SECONDS if task.toy else SECOND_RUN_SECONDS
        second.run_until(begun + min(wanted, task.left - STOP_SECONDS))
        results.add("second_exit", second.stop())
        results.add("second_steps", _newest_step(project))


def models(task: Task, results: Results) -> None:
    """Train with the given params, in as many steps as there is time for."""
    settings = _settings(f"{TOY} {task.train}" if task.toy else task.train)
    settings = {"device": task.device, "log_every": "100"} | settings
    with _own_project(task) as project:
        if "steps" not in settings:
            rate = _steps_per_second(override(TrainParams(), settings), project, task)
            seconds = task.left - START_SECONDS - STOP_SECONDS
            if task.toy:
                seconds = 2.0
            steps = max(10, int(rate * seconds * SHARE))
            results.add("measured_steps_per_s", rate)
            settings["steps"] = str(steps)
            free_unused(torch.device(task.device))
        settings.setdefault("validate_every", str(max(100, int(settings["steps"]) // VALIDATIONS)))
        results.add("params", settings)
        begun = time.time()
        training = TrainingProgram(project, _options(settings))
        training.run_until(time.monotonic() + task.left - STOP_SECONDS)
        results.add("exit", training.stop())
        results.add("seconds", time.monotonic() - training.started)
        results.add("steps", _newest_step(project))
        results.add("metrics", _text(project / "reports/train/metrics.json"))
        results.add("curves", _curves(project / "reports/train/plots/metrics"))
        results.add("files", _keep_models(project, task.out / "models", begun))


@contextmanager
def _own_project(task: Task) -> Iterator[Path]:
    """The project of `--data` itself, so that its checkpoints stay; a drawn one in a rehearsal."""
    if task.data is None:
        with _project(task) as project:
            yield project
        return
    if not (task.data / "params.yaml").exists():
        (task.data / "params.yaml").touch()
    yield task.data


@contextmanager
def _project(task: Task) -> Iterator[Path]:
    """A project of its own on the images of `--data`, with the default params."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "params.yaml").touch()
        if task.data is None:
            from tests.evaluation.world import make_world

            make_world(project, {"train": 20, "val": 2})
            (project / "models/generator.safetensors").unlink()
        else:
            (project / "data").mkdir()
            shutil.copy(task.data / "data/manifest.csv", project / "data")
            (project / "data/resized").symlink_to(task.data / "data/resized")
        yield project


def _steps_per_second(params: TrainParams, project: Path, task: Task) -> float:
    """The rate of steps on images that lie on the device, graphs included."""
    device = pick_device(task.device)
    located = params.model_copy(
        update={"init": params.init and str(project / params.init), "pretrain_steps": 0}
    )
    precision, steps = "bf16" if computes_in_bf16(device) else "fp32", 10**9
    vgg = load_content_network(located, device, precision, Silent()).network
    state = new_state(located, device)
    compiled = is_compiled(located, steps, device, SINGLE_PROCESS, lambda _: None, print)
    step = TrainStep(located, steps, state, vgg, device, precision, compiled=compiled, report=print)
    images = torch.randint(0, 256, (64, 512, 512, 3), dtype=torch.uint8, device=device)
    buffer = PixelBuffer.of_stack(images)
    batches = RandomCrops.from_params(
        located,
        lambda numbers: LoadedImages(buffer, None, np.array(numbers)),
        ImageOrder((len(images),), (1.0,), located.seed),
    )
    counts = (TOY_RATE_STEPS,) * 2 if task.toy else (RATE_WARM_UP, RATE_STEPS)
    for count in counts:
        synchronise(device)
        started = time.perf_counter()
        for _ in range(count):
            step(batches(state.step))
        synchronise(device)
        seconds = time.perf_counter() - started
    return counts[-1] / seconds


def _settings(text: str) -> dict[str, str]:
    """`NAME=VALUE ...` as names and values."""
    return dict(part.split("=", 1) for part in text.split())


def _options(settings: dict[str, str]) -> list[str]:
    return [text for name, value in settings.items() for text in (option_name(name), value)]


def _newest(project: Path) -> Path | None:
    checkpoints = project.glob("models/checkpoints/*/step-*.pt")
    return max(checkpoints, key=lambda path: path.stat().st_mtime, default=None)


def _newest_step(project: Path) -> int:
    path = _newest(project)
    return 0 if path is None else int(path.stem.removeprefix("step-"))


def _curves(folder: Path) -> dict[str, list[list[float]]]:
    """A few points of each curve that is of interest: last step and mean value of each part."""
    names = [f"train/{name}" for name in CURVES]
    names += [f"val/{name}" for name in ("psnr_y", "ssim_y", "lpips")]
    curves = {}
    for name in names:
        path = folder / f"{name}.tsv"
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file, delimiter="\t"))
            points = [[float(row["step"]), float(row[Path(name).name])] for row in rows]
            size = math.ceil(len(points) / POINTS)
            parts = (points[start : start + size] for start in range(0, len(points), size))
            curves[name] = [[part[-1][0], fmean(value for _, value in part)] for part in parts]
    return curves


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _keep_models(project: Path, folder: Path, begun: float) -> list[str]:
    """Copy the generators made since; of a training that was stopped, the checkpoint's average."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [
        path
        for path in sorted((project / "models").glob("*.safetensors"))
        if path.stat().st_mtime >= begun
    ]
    newest = _newest(project)
    if not made and newest is not None:
        given = load_generator(newest)
        save_generator(folder / "generator.safetensors", given.generator, given.metadata)
    for path in made:
        shutil.copy(path, folder)
    return [f"{path.name}, {path.stat().st_size:,} bytes" for path in sorted(folder.iterdir())]

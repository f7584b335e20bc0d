"""A GPU in one command: what it can do, what a training step takes of that, and the article's run.

python benchmarks/gpu.py --out FOLDER --data PROJECT [--budget 480] [--seconds steps=200]
python benchmarks/gpu.py --out FOLDER --data PROJECT --parts models --train "crop=192 steps=..."
python benchmarks/gpu.py --out FOLDER --device cpu --toy     # a rehearsal: everything, tiny

Each part is a process with a time limit, so that one that crashes, hangs or runs out of memory
leaves the others. FOLDER has what is known so far at any moment: `gpu.json`, `gpu.md` (the same as
tables) and `gpu.log` (what the parts print). PROJECT is a folder with `data/manifest.csv` and
`data/resized`; `article` and `models` need it. `models` trains there with the params of `--train`,
in as many steps as the time allows, and leaves the generator in `FOLDER/models`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpu_tables import tables
from gpu_task import Results, Task

ROOT = Path(__file__).resolve().parent.parent
LIMITS = {
    "environment": 60.0,
    "tests": 90.0,
    "steps": 150.0,
    "memory": 60.0,
    "article": 190.0,
    "compiled": 75.0,
    "models": None,
}
"""Parts in their order, and the seconds that each may take; None: all that is left."""
TIMELY = [name for name, limit in LIMITS.items() if limit is not None]
NEEDS_DATA = ("article", "models")
KILL_SECONDS = 10.0
"""From SIGTERM to SIGKILL."""
WRITE_SECONDS = 2.0


def main() -> None:
    arguments = _arguments()
    if arguments.part:
        _run_part(arguments)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    # SIGTERM ends the parts, too, and what is known by then is written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run = _Run(arguments)
    try:
        for name in arguments.parts:
            run.take(name)
    finally:
        run.write()
        print((arguments.out / "gpu.md").read_text(), flush=True)


@dataclass
class _Run:
    """The parts of one command, and what became of them."""

    arguments: argparse.Namespace
    started: float = field(default_factory=time.monotonic)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, name: str) -> None:
        """Run one part to its end or limit, unless there is no time for it."""
        left = self.arguments.budget - (time.monotonic() - self.started)
        limit = self.arguments.seconds.get(name, LIMITS[name])
        limit = left - KILL_SECONDS if limit is None else limit
        if limit > left or limit <= 0:
            self._note(name, f"skipped: needs {limit:.0f} s, {left:.0f} s are left")
        elif name in NEEDS_DATA and self.arguments.data is None and not self.arguments.toy:
            self._note(name, "skipped: needs --data")
        else:
            self._start(name, limit)
        print(f"{name}: {self.parts[name]['state']}", flush=True)
        self.write()

    def write(self) -> None:
        """Write all that is known, whole files only."""
        content = {"command": sys.argv[1:], "parts": self.parts}
        _replace(self.arguments.out / "gpu.json", json.dumps(content, indent=1) + "\n")
        _replace(self.arguments.out / "gpu.md", tables(self.parts))

    def _note(self, name: str, state: str) -> None:
        self.parts[name] = {"state": state, "seconds": 0.0, "results": {}}

    def _start(self, name: str, limit: float) -> None:
        started = time.monotonic()
        with (
            tempfile.TemporaryDirectory() as folder,
            (self.arguments.out / "gpu.log").open("ab") as log,
        ):
            file = Path(folder, "results.json")
            log.write(f"\n===== {name}, at most {limit:.0f} s\n".encode())
            log.flush()
            process = subprocess.Popen(
                self._command(name, limit, file),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
            )
            try:
                while process.poll() is None and time.monotonic() - started < limit:
                    self._collect(name, "running", started, file)
                    self.write()
                    _wait(process, min(WRITE_SECONDS, limit - (time.monotonic() - started)))
                state = "done" if process.poll() == 0 else f"failed: exit {process.poll()}"
                if process.poll() is None:
                    state = f"stopped at its limit of {limit:.0f} s"
            finally:
                _end(process)
                self._collect(name, "interrupted", started, file)
            self.parts[name]["state"] = state

    def _collect(self, name: str, state: str, started: float, file: Path) -> None:
        results = json.loads(file.read_text()) if file.exists() else {}
        seconds = round(time.monotonic() - started, 1)
        self.parts[name] = {"state": state, "seconds": seconds, "results": results}

    def _command(self, name: str, limit: float, results: Path) -> list[str]:
        given = self.arguments
        options = ["--part", name, "--limit", str(limit), "--results", str(results)]
        options += ["--out", str(given.out), "--device", given.device, "--train", given.train]
        options += ["--train-seconds", str(given.train_seconds)]
        if given.data is not None:
            options += ["--data", str(given.data)]
        if given.toy:
            options.append("--toy")
        return [sys.executable, "-u", __file__, *options]


def _run_part(arguments: argparse.Namespace) -> None:
    import gpu_card
    import gpu_steps
    import gpu_training

    parts: dict[str, Callable[[Task, Results], None]] = {
        "environment": gpu_card.environment,
        "tests": gpu_training.tests,
        "steps": gpu_steps.steps,
        "memory": gpu_steps.memory,
        "article": gpu_training.article,
        "compiled": gpu_steps.compiled,
        "models": gpu_training.models,
    }
    task = Task(
        arguments.device,
        arguments.toy,
        arguments.out.resolve(),
        arguments.data and arguments.data.resolve(),
        arguments.train,
        arguments.train_seconds,
        time.monotonic() + arguments.limit,
    )
    parts[arguments.part](task, Results(arguments.results))


def _environment() -> dict[str, str]:
    """The environment in which this checkout's code is found before an installed one."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        _wait(process, KILL_SECONDS)
    process.wait()


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", type=_parts, default=TIMELY, help="NAME,NAME,...")
    parser.add_argument("--data", type=Path, help="project with data/manifest.csv, data/resized")
    parser.add_argument("--train", default="", help="params of models: 'NAME=VALUE ...'")
    parser.add_argument("--train-seconds", type=float, default=100.0, help="of the article's run")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds for all parts")
    parser.add_argument("--seconds", nargs="*", type=_limit, default=[], metavar="NAME=SECONDS")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--toy", action="store_true", help="tiny sizes, to rehearse on a CPU")
    for name in ("--part", "--limit", "--results"):
        kind = {"--limit": float, "--results": Path}.get(name, str)
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.seconds = dict(arguments.seconds)
    return arguments


def _parts(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in LIMITS:
            raise argparse.ArgumentTypeError(f"{name}: no part; parts are {', '.join(LIMITS)}")
    return names


def _limit(text: str) -> tuple[str, float]:
    name, _, seconds = text.partition("=")
    if name not in LIMITS:
        raise argparse.ArgumentTypeError(f"{name}: no part; parts are {', '.join(LIMITS)}")
    return name, float(seconds)


if __name__ == "__main__":
    main()

"""Runs `pipeline` many times, as a process each: imports once, and forks for each run.

A request is a line of JSON on standard input, its result a line on standard output: the process
number of a run that begins, the exit code of one to wait for.
"""

import atexit
import gc
import importlib
import json
import os
import select
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from typing import Any, NoReturn

from PIL import Image

from pipeline.fingerprints import code_of
from stages.commands.code import STAGES

# What the commands import, so that a run does not have to.
MODULES = (
    "stages.program",
    "dvc.api",
    "dvclive.live",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "onnx",
    "onnxscript",
    "pipeline.booru.drawn_collection",
    "pipeline.booru.fault_injection",
    "pipeline.scraping.folder",
    "pipeline.manifest.data_sheet",
    "pipeline.evaluation.run",
    "pipeline.evaluation.tradeoff",
    "pipeline.images.degradation_sheet",
    "pipeline.resizing.run",
    "pipeline.networks.export",
    "pipeline.manifest.selection",
    "pipeline.training.trainer",
    "pipeline.upscaling.model_choice",
    "pipeline.upscaling.batch",
    "torch._dynamo",
    "torch.onnx._internal.exporter._core",
)


def main() -> None:
    for module in MODULES:
        importlib.import_module(module)
    Image.init()
    for stage in STAGES:
        code_of(f"stages.{stage}")
    gc.freeze()
    results = os.fdopen(os.dup(1), "w")
    running: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        if "arguments" in request:
            result = _start(request)
            running.add(result)
        else:
            result = _wait(request["pid"], request["kill_after"])
            running.remove(request["pid"])
        print(json.dumps(result), file=results, flush=True)
    for child in running:
        _wait(child, 0)


def _start(request: dict[str, Any]) -> int:
    child = os.fork()
    if not child:
        _become(request)
    _lead_group(child)
    return child


def _become(request: dict[str, Any]) -> NoReturn:
    """Run the command in place of the driver, in a process group of its own."""
    _lead_group(0)
    for name, number in (("out", 1), ("err", 2)):
        file = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    sys.argv = ["pipeline", *request["arguments"]]
    from stages.app import main as pipeline

    try:
        pipeline()
    except SystemExit as end:
        code = end.code
    # What an interpreter does at its end, but for taking all modules apart, which takes a second.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def _lead_group(child: int) -> None:
    """Give a child, or with 0 this process, a group of its own: either may come first."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(child, 0)


def _wait(child: int, kill_after: float | None) -> int:
    """The exit code of a run, or minus the signal; SIGKILL to its group after so many seconds."""
    if kill_after is not None:
        handle = os.pidfd_open(child)
        select.select([handle], [], [], kill_after)
        os.close(handle)
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()

"""Export of generators to ncnn by pnnx, checked with ncnn."""

import re
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.exported_files import Precision
from pipeline.files import atomic_path, writing
from pipeline.ncnn_network import INPUT_BLOB, OUTPUT_BLOB, enlarge_with_ncnn
from pipeline.networks.export.comparison import (
    OTHER_SHAPE,
    TRACED_SHAPE,
    check_results,
    not_installed,
)
from pipeline.networks.export.portable import portable
from pipeline.networks.generators.base import Generator
from pipeline.networks.tensor_files import error_line
from pipeline.processes import new_pool, start_worker

BLOBS = {"in0": INPUT_BLOB, "out0": OUTPUT_BLOB}
"""The names that pnnx gives, and those that programs look for."""


def export_ncnn(generator: Generator, path: Path, precision: Precision = "fp32") -> float:
    """Write `path`, which ends in `.param`, and its weights beside it, which end in `.bin`.

    The blob `data`, RGB in [0, 1] of any size, becomes the blob `output`. With `fp16` weights are
    stored in half; in which precision ncnn computes is up to the program that runs it.

    Returns the largest difference between ncnn's results, computed in fp32, and PyTorch's. Raises
    `PipelineError`, and writes neither file, where it is larger than rounding explains or pnnx
    fails; `UsageError` where the optional packages are not installed.
    """
    with writing(path), tempfile.TemporaryDirectory() as folder:
        param = _convert(portable(generator), Path(folder), path, precision)
        with _own_process(path, param) as run:
            difference = check_results(path, generator, run, "ncnn", precision)
        with _both_or_none(path, path.with_suffix(".bin")) as (param_file, bin_file):
            param_file.write_bytes(param.read_bytes())
            bin_file.write_bytes(param.with_suffix(".bin").read_bytes())
    return difference


@contextmanager
def _own_process(path: Path, param: Path) -> Iterator[Callable[[Tensor], Tensor]]:
    """Yield what runs `param` in another process: ncnn crashes where a network has other layers.

    Raises `PipelineError` that says that `path` is not written.
    """

    def run(lr: Tensor) -> Tensor:
        task = pool.submit(enlarge_with_ncnn, param, lr.numpy(), torch.get_num_threads())
        return torch.from_numpy(task.result())

    with new_pool(1, start_worker) as pool:
        try:
            yield run
        except BrokenProcessPool:
            raise PipelineError(
                f"{path}: not written: ncnn crashes on it, for it lacks layers of this network"
            ) from None
        except ImportError as error:
            raise not_installed(error, "ncnn") from None


def _convert(network: nn.Module, folder: Path, path: Path, precision: Precision) -> Path:
    """Return the `.param` file, in `folder`, of what pnnx makes of `network`."""
    try:
        import pnnx
    except ImportError as error:
        raise not_installed(error, "ncnn") from None
    script, param = folder / "model.pt", folder / "model.param"
    try:
        _trace(network).save(str(script))
    except Exception as error:  # whatever a network's code makes of being traced
        raise PipelineError(
            f"export: PyTorch does not trace this network for ncnn: {error_line(error)}"
        ) from None
    shapes = [f"[{','.join(map(str, shape))}]" for shape in (TRACED_SHAPE, OTHER_SHAPE)]
    arguments = {
        # With two shapes sizes become free.
        "inputshape": shapes[0],
        "inputshape2": shapes[1],
        "ncnnparam": param.name,
        "ncnnbin": param.with_suffix(".bin").name,
        "fp16": "1" if precision == "fp16" else "0",
    }
    command = [pnnx.EXEC_PATH, script.name, *(f"{key}={value}" for key, value in arguments.items())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603
    if done.returncode or not param.exists():
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise PipelineError(
            f"{path}: not written: pnnx ended with code {done.returncode} and said {said[-1]!r}"
        )
    text = _with_blob_names(param.read_text(encoding="utf-8"))
    param.write_text(text, encoding="utf-8", newline="\n")
    return param


def _trace(network: nn.Module) -> torch.jit.ScriptModule:
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch recommends other ways, which pnnx does not read.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(network, torch.rand(TRACED_SHAPE))  # type: ignore[no-untyped-call]
    assert isinstance(traced, torch.jit.ScriptModule)
    return traced


def _with_blob_names(text: str) -> str:
    """Return the text of a `.param` file with the blobs' names that programs expect."""
    for name, wanted in BLOBS.items():
        text = re.sub(rf"(?<=\s){name}(?=\s)", wanted, text)
    return text


@contextmanager
def _both_or_none(first: Path, second: Path) -> Iterator[tuple[Path, Path]]:
    """Yield temporary paths, renamed to `second` and then `first` after the block."""
    with (
        _restored_after_errors(second),
        atomic_path(first) as first_file,
        atomic_path(second) as second_file,
    ):
        yield first_file, second_file


@contextmanager
def _restored_after_errors(path: Path) -> Iterator[None]:
    """Give a file its former content where the block raises; remove one that was not there."""
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=path.parent) as folder:
        backup = Path(folder) / path.name
        existed = path.exists()
        if existed:
            shutil.copyfile(path, backup)
        try:
            yield
        except BaseException:
            with suppress(OSError):
                if existed:
                    backup.replace(path)
                else:
                    path.unlink(missing_ok=True)
            raise

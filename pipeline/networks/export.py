"""Export of generators to ONNX, checked with onnxruntime."""

import warnings
from pathlib import Path

import torch

from pipeline.errors import PipelineError, UsageError
from pipeline.files import atomic_path
from pipeline.networks.folding import fold_batch_norm
from pipeline.networks.generators.base import Generator

# Largest accepted difference, relative to the largest value, which counts as 1 (white) at least.
# Rounding of sums in fp32 depends on their order and is proportional to the values: on noise, the
# worst of the shipped models differs by 3e-6 of its largest value, 3.7, and PyTorch's own result is
# as far from one in fp64. The bound leaves room for deeper networks and other processors, and is a
# fortieth of a level of 8 bits.
TOLERANCE = 1e-4
TRACED_SHAPE = (1, 3, 24, 20)
CHECKED_SHAPES = (TRACED_SHAPE, (2, 3, 9, 31))


def export_onnx(generator: Generator, path: Path) -> float:
    """Write `lr` `(N, 3, h, w)` → `sr` `(N, 3, h·scale, w·scale)` in fp32, for any N, h and w.

    Returns the largest difference between onnxruntime's results and PyTorch's. Raises
    `PipelineError`, and writes nothing, where it is larger than rounding in fp32 explains;
    `UsageError` where the optional packages are not installed.
    """
    network = fold_batch_norm(generator).float().cpu()
    try:
        with atomic_path(path) as temporary:
            _write(network, temporary)
            difference, largest = _difference(network, temporary)
            if not difference <= TOLERANCE * max(largest, 1):
                raise PipelineError(
                    f"{path}: not written: onnxruntime's results, of up to {largest:.1g}, differ "
                    f"from PyTorch's by {difference:.1e}"
                )
    except OSError as error:
        raise PipelineError(f"{path}: cannot be written: {error.strerror}") from None
    return difference


def _write(network: Generator, path: Path) -> None:
    any_size = torch.export.Dim.DYNAMIC
    with warnings.catch_warnings():
        # torch warns of its own code here.
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                network,
                (torch.rand(TRACED_SHAPE),),
                input_names=["lr"],
                output_names=["sr"],
                dynamic_shapes=({0: any_size, 2: any_size, 3: any_size},),
                dynamo=True,
                verbose=False,
            )
        except ImportError as error:
            raise _not_installed(error) from None
    assert program is not None
    program.save(path)


def _difference(network: Generator, path: Path) -> tuple[float, float]:
    """Return the largest difference, and the largest of PyTorch's values."""
    try:
        import onnxruntime
    except ImportError as error:
        raise _not_installed(error) from None
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    differences, values = [], []
    for shape in CHECKED_SHAPES:
        lr = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = network(lr)
        (result,) = session.run(None, {"lr": lr.numpy()})
        differences.append((torch.from_numpy(result) - expected).abs().max())
        values.append(expected.abs().max())
    return torch.stack(differences).max().item(), torch.stack(values).max().item()


def _not_installed(error: ImportError) -> UsageError:
    return UsageError(
        f"export: {error.name} is not installed; pip install 'anime-sr-pipeline[onnx]'"
    )

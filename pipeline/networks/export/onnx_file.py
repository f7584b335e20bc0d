"""Export of generators to ONNX, checked with onnxruntime."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.errors import ArgumentError, PipelineError
from pipeline.exported_files import Precision
from pipeline.files import atomic_path, writing
from pipeline.networks.export.comparison import (
    OTHER_SHAPE,
    TRACED_SHAPE,
    check_results,
    not_installed,
)
from pipeline.networks.export.portable import portable
from pipeline.networks.generators.base import Generator
from pipeline.networks.tensor_files import error_line

# PyTorch's exporter writes older ones by a converter that knows no adapter for Pad.
MIN_OPSET = 18
MAX_OPSET = 23
BATCH_SHAPE = (2, *OTHER_SHAPE[1:])


def export_onnx(
    generator: Generator, path: Path, precision: Precision = "fp32", opset: int | None = None
) -> float:
    """Write `lr` `(N, 3, h, w)` → `sr` `(N, 3, h·scale, w·scale)` in fp32, for any N, h and w.

    With `fp16` the weights and what is computed between input and output are float16. `opset` is
    the version of ONNX's operators, `MIN_OPSET` to `MAX_OPSET`; PyTorch's choice if None.

    Returns the largest difference between onnxruntime's results and PyTorch's in fp32. Raises
    `PipelineError`, and writes nothing, where it is larger than rounding explains; `ArgumentError`
    where the optional packages are not installed.
    """
    if opset is not None and not MIN_OPSET <= opset <= MAX_OPSET:
        raise ArgumentError("opset", f"{opset} is not from {MIN_OPSET} to {MAX_OPSET}")
    with writing(path), atomic_path(path) as temporary:
        _write(portable(generator, precision), temporary, opset)
        session = OnnxSession(temporary)
        return check_results(
            path, generator, session, "onnxruntime", precision, (TRACED_SHAPE, BATCH_SHAPE)
        )


class OnnxSession:
    """An ONNX file, run by onnxruntime on the CPU."""

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise not_installed(error, "onnx") from None
        try:
            self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no class
            raise PipelineError(
                f"export: onnxruntime does not open the file: {error_line(error)}"
            ) from None

    def __call__(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float32`."""
        try:
            (sr,) = self._session.run(None, {"lr": lr.numpy()})
        except Exception as error:  # its errors share no class
            shape = "×".join(map(str, lr.shape))
            raise PipelineError(
                f"export: onnxruntime fails for a picture of {shape}: {error_line(error)}"
            ) from None
        return torch.from_numpy(sr)


def _write(network: nn.Module, path: Path, opset: int | None) -> None:
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
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
        except ImportError as error:
            raise not_installed(error, "onnx") from None
        except Exception as error:  # whatever a network's code makes of sizes without a number
            raise PipelineError(
                f"export: PyTorch does not turn this network into ONNX: {error_line(error)}"
            ) from None
    assert program is not None
    program.save(path)

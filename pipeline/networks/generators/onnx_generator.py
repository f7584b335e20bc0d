"""Generators of ONNX files, run by onnxruntime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError, UsageError
from pipeline.networks.generators.measured import MeasuredGenerator
from pipeline.networks.tensor_files import error_line

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
ELEMENT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
PROBE_SIDE = 64
ODD_SHAPE = (37, 41)
USUAL_FEATURES = 64


class OnnxGenerator(MeasuredGenerator):
    """A network of an ONNX file, for pictures of any size: RGB or grey, (N, C, h, w) in [0, 1].

    Raises `UsageError` where onnxruntime is not installed, `ValueError` for any other graph, and
    errors of onnxruntime.
    """

    architecture = "ONNX"
    allows_bf16 = False

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._session = _open(path)
        self._input, self._channels, self._dtype = _checked_input(self._session)
        self.scale = 0
        for height, width in ((PROBE_SIDE, PROBE_SIDE), ODD_SHAPE):
            probe = self._run(torch.zeros(1, 3, height, width))
            scale = self.scale = self.scale or probe.shape[2] // height
            if scale < 1 or probe.shape != (1, 3, height * scale, width * scale):
                raise ValueError(f"of {width} × {height} pixels it makes {tuple(probe.shape)}")
        self.config = {"scale": self.scale}
        # What the network does inside is not seen: two features at full size, as in SRResNet.
        self.values_per_pixel = 2 * USUAL_FEATURES * self.scale**2

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxGenerator":
        return self  # it has no weights that could be changed

    def __reduce__(self) -> tuple[type["OnnxGenerator"], tuple[Path]]:
        return type(self), (self._path,)  # a session cannot be pickled

    @property
    def device(self) -> torch.device:
        """The CPU: onnxruntime itself copies to a GPU."""
        return torch.device("cpu")

    @property
    def last_layer(self) -> nn.Module:
        """None. Raises `PipelineError`."""
        raise PipelineError("a network of an ONNX file cannot be trained")

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """None. Raises `UsageError`."""
        raise UsageError(
            f"{self._path}: ONNX has no weights by their names; take the file that it was made from"
        )

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge `(N, 3, h, w) float in [0, 1]` to `(N, 3, h·scale, w·scale)`, not clamped."""
        results = [self._run(image[None]) for image in lr.float().cpu()]
        return torch.cat(results).to(lr.device)

    def _run(self, lr: Tensor) -> Tensor:
        """Enlarge `(1, 3, h, w)`; grey networks are applied to each colour."""
        planes = lr.reshape(3, 1, *lr.shape[2:]) if self._channels == 1 else lr
        results = [self._run_network(plane[None].numpy()) for plane in planes]
        return torch.cat(results, 1)

    def _run_network(self, image: Any) -> Tensor:
        try:
            (result,) = self._session.run(None, {self._input: image.astype(self._dtype)})
        except Exception as error:  # its errors share no class
            if "bad_alloc" in str(error) or "allocate memory" in str(error):
                raise MemoryError from None
            height, width = image.shape[2:]
            raise PipelineError(
                f"onnxruntime fails for {width} × {height} pixels: {error_line(error)}"
            ) from None
        return torch.from_numpy(result.astype(np.float32))


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(
            f"{path}: onnxruntime is not installed; pip install 'anime-sr-pipeline[onnx]'"
        ) from None
    available = onnxruntime.get_available_providers()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(
        path, options, providers=[name for name in PROVIDERS if name in available]
    )


def _checked_input(session: Any) -> tuple[str, int, Any]:
    """Return the name, channels and element type of the one input. Raises `ValueError`."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(f"it has {len(inputs)} inputs and {len(outputs)} outputs, not one of each")
    shape, kind = inputs[0].shape, inputs[0].type
    if len(shape) != 4 or shape[1] not in (1, 3) or kind not in ELEMENT_TYPES:
        raise ValueError(f"its input is {kind} of shape {shape}, not (N, 3, h, w)")
    if any(isinstance(side, int) for side in shape[2:]):
        raise ValueError(f"it takes pictures of shape {shape} only; export it for any size")
    return inputs[0].name, shape[1], ELEMENT_TYPES[kind]

"""Runs ncnn's files without PyTorch, whose import a process of their own would wait for."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

# By which realesrgan-ncnn-vulkan and upscayl find input and output.
INPUT_BLOB, OUTPUT_BLOB = "data", "output"


class NcnnNetwork:
    """A `.param` file and the `.bin` file beside it, run by ncnn on the CPU in fp32.

    Raises `ImportError` where ncnn is not installed, and `PipelineError` where it does not open
    them.
    """

    def __init__(self, param: Path, threads: int) -> None:
        import ncnn

        self._matrix = ncnn.Mat
        self._network = ncnn.Net()
        options = self._network.opt
        options.num_threads = threads
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = False
        weights = param.with_suffix(".bin")
        if self._network.load_param(str(param)) or self._network.load_model(str(weights)):
            raise PipelineError(f"{param}: ncnn does not open it")

    def __call__(self, lr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Enlarge one picture, `(1, 3, h, w)`."""
        extractor = self._network.create_extractor()
        extractor.input(INPUT_BLOB, self._matrix(np.ascontiguousarray(lr[0])))
        code, sr = extractor.extract(OUTPUT_BLOB)
        if code:
            raise PipelineError(f"export: ncnn ends with code {code}")
        return np.array(sr)[None]


def enlarge_with_ncnn(param: Path, lr: NDArray[np.float32], threads: int) -> NDArray[np.float32]:
    """Enlarge `(1, 3, h, w)` by a `.param` file, as `NcnnNetwork` does."""
    return NcnnNetwork(param, threads)(lr)

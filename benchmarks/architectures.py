"""What of the field opens: networks of spandrel's own classes, opened, enlarged, tiled, exported.

    python benchmarks/architectures.py [NAME ...]

Weights are random. For each network the table has the largest difference from spandrel's own call
and between tiles and the whole picture, both in levels of 8 bits, what was measured of it, and
whether it becomes an ONNX and an ncnn file that computes the same.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import spandrel
import torch
from tabulate import tabulate
from torch import nn

from pipeline.errors import PipelineError
from pipeline.networks.export import export_ncnn, export_onnx
from pipeline.networks.files import load_generator
from pipeline.networks.generators.base import Generator
from pipeline.upscaling.upscaler import Upscaler

SIZES: Mapping[str, Any] = {"depths": [2, 2], "num_heads": [2, 2], "embed_dim": 24, "upscale": 4}
WINDOWS = {**SIZES, "img_size": 64, "window_size": 8}
DIRECT = {**WINDOWS, "upsampler": "pixelshuffledirect"}
DAT = {"depth": [2], "num_heads": [2], "embed_dim": 24, "split_size": (8, 8), "upscale": 4}
NAFNET = {"width": 8, "middle_blk_num": 1, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]}
RRDB = {"num_blocks": 2}
# Name → module below `spandrel.architectures`, class, and arguments that make it small.
NETWORKS: Mapping[str, tuple[str, str, Mapping[str, Any]]] = {
    "ESRGAN": ("ESRGAN.__arch.RRDB", "RRDBNet", RRDB),
    "ESRGAN 2×, unshuffled": (
        "ESRGAN.__arch.RRDB",
        "RRDBNet",
        {**RRDB, "in_nc": 12, "scale": 4, "shuffle_factor": 2},
    ),
    "ESRGAN 1×": ("ESRGAN.__arch.RRDB", "RRDBNet", {**RRDB, "scale": 1}),
    "ESRGAN 8×": ("ESRGAN.__arch.RRDB", "RRDBNet", {**RRDB, "scale": 8}),
    "ESRGAN+": ("ESRGAN.__arch.RRDB", "RRDBNet", {**RRDB, "plus": True}),
    "Compact": ("Compact.__arch.SRVGG", "SRVGGNetCompact", {}),
    "Compact 1×": ("Compact.__arch.SRVGG", "SRVGGNetCompact", {"upscale": 1}),
    "SPAN": ("SPAN.__arch.span", "SPAN", {"num_in_ch": 3, "num_out_ch": 3}),
    "PLKSR": ("PLKSR.__arch.PLKSR", "PLKSR", {"n_blocks": 4}),
    "RealPLKSR": ("PLKSR.__arch.RealPLKSR", "RealPLKSR", {"n_blocks": 4}),
    "RCAN": ("RCAN.__arch.rcan_arch", "RCAN", {"n_resgroups": 2, "n_resblocks": 2, "scale": 4}),
    "MoSR": ("MoSR.__arch.mosr_arch", "MoSR", {"n_block": 4}),
    "SAFMN": ("SAFMN.__arch.safmn", "SAFMN", {"dim": 36, "n_blocks": 2, "upscaling_factor": 4}),
    "SeemoRe": ("SeemoRe.__arch.seemore_arch", "SeemoRe", {}),
    "DITN": (
        "DITN.__arch.DITN_Real",
        "DITN_Real",
        {"ITL_blocks": 1, "UFONE_blocks": 1, "dim": 24},
    ),
    "OmniSR": ("OmniSR.__arch.OmniSR", "OmniSR", {"up_scale": 4, "num_feat": 32, "res_num": 1}),
    "SwinIR": ("SwinIR.__arch.SwinIR", "SwinIR", DIRECT),
    "Swin2SR": ("Swin2SR.__arch.Swin2SR", "Swin2SR", DIRECT),
    "HAT": (
        "HAT.__arch.HAT",
        "HAT",
        {
            **SIZES,
            "img_size": 64,
            "window_size": 16,
            "overlap_ratio": 0.5,
            "compress_ratio": 3,
            "squeeze_factor": 6,
            "upsampler": "pixelshuffle",
        },
    ),
    "DAT": ("DAT.__arch.DAT", "DAT", DAT),
    "RGT": ("RGT.__arch.rgt", "RGT", DAT),
    "ATD": ("ATD.__arch.atd_arch", "ATD", {**SIZES, "upsampler": "pixelshuffledirect"}),
    "FDAT": (
        "FDAT.__arch.fdat",
        "FDAT",
        {"scale": 4, "num_groups": 1, "embed_dim": 24, "depth_per_group": 2},
    ),
    "Real-CUGAN 2×": ("RealCUGAN.__arch.upcunet_v3", "UpCunet2x", {}),
    "Real-CUGAN 4×": ("RealCUGAN.__arch.upcunet_v3", "UpCunet4x", {}),
    "SCUNet 1×": ("SCUNet.__arch.SCUNet", "SCUNet", {}),
    "NAFNet 1×": ("NAFNet.__arch.NAFNet_arch", "NAFNet", NAFNET),
    "SwiftSRGAN": ("SwiftSRGAN.__arch.SwiftSRGAN", "Generator", {}),
}
LEVELS = 255
# Sides that are multiples of no window.
LR_SHAPE = (1, 3, 37, 45)
PICTURE_SHAPE = (3, 150, 170)
TILE = 48


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    rows = [measure(name, *NETWORKS[name]) for name in names or NETWORKS]
    headers = ["network", "scale", "spandrel's call", "tiles", "radius", "multiple", "ONNX", "ncnn"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def measure(name: str, module: str, kind: str, sizes: Mapping[str, Any]) -> list[str]:
    """Return the table's row of a network."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth"
        network: nn.Module = getattr(import_module(f"spandrel.architectures.{module}"), kind)(
            **sizes
        )
        torch.save(network.state_dict(), path)
        generator = load_generator(path).generator
        radius = generator.receptive_radius
        row = [
            name,
            f"{generator.scale}×",
            f"{call_difference(path, generator):.1g}",
            f"{tile_difference(generator):.1g}",
            "> 32" if radius > LEVELS else str(radius),
            str(generator.tile_multiple),
            exported(export_onnx, generator, Path(folder) / "model.onnx"),
            exported(export_ncnn, generator, Path(folder) / "model.param"),
        ]
        print(" | ".join(row), file=sys.stderr, flush=True)
        return row


@torch.inference_mode()
def call_difference(path: Path, generator: Generator) -> float:
    """Return the largest difference from spandrel's own call, levels."""
    lr = torch.rand(LR_SHAPE, generator=torch.Generator().manual_seed(1))
    descriptor: Any = spandrel.ModelLoader().load_from_file(path)
    expected = descriptor(lr.clone())
    return float((generator(lr).clamp(0, 1) - expected).abs().max()) * LEVELS


def tile_difference(generator: Generator) -> float:
    """Return the largest difference between a picture in tiles and in one, levels."""
    picture = torch.rand(PICTURE_SHAPE, generator=torch.Generator().manual_seed(2))
    whole, tiled = (
        Upscaler(generator, device="cpu", precision="fp32", tile=tile)(picture)
        for tile in (max(PICTURE_SHAPE), TILE)
    )
    return float((whole - tiled).abs().max()) * LEVELS


def exported(export: Callable[..., float], generator: Generator, path: Path) -> str:
    """Return the largest difference of an exported file's results, or no."""
    try:
        return f"{export(generator, path):.0e}"
    except PipelineError:
        return "no"
    except Exception as error:  # exporters raise nearly any exception
        return f"no: {type(error).__name__}"


if __name__ == "__main__":
    main(sys.argv[1:])

"""Main memory at the peak of an enlargement, measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

RESET = Path("/proc/self/clear_refs")

PROGRAM = """
import re
from pathlib import Path

import numpy as np
import torch

from pipeline import Upscaler
from pipeline.networks import SRResNet
from pipeline.upscaling.arrays import to_batch

def memory(name):
    return int(re.search(rf"{name}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

torch.set_num_threads(1)
network = SRResNet(blocks=1, features=4, norm="none", upsampling="direct")
options = dict(scale=SCALE, seamless=SEAMLESS, tile=TILE)
upscaler = Upscaler(network, device="cpu", precision="fp32", **options)
random = np.random.default_rng(0)
upscaler(random.integers(0, 256, (99, 99, CHANNELS), np.uint8))
lr = random.integers(0, 256, (SIDE, SIDE, CHANNELS), np.uint8)
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
hr = upscaler(lr)
print(memory("VmHWM") - before, upscaler._required_memory(to_batch(lr, None)), hr.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not RESET.exists(), reason="the peak of a process is reset by Linux alone")
@pytest.mark.parametrize(
    ("scale", "side", "channels", "tile", "seamless"),
    [
        (8, 380, 4, 64, False),
        (2, 1400, 3, 64, False),
        (4, 800, 1, 64, False),
        (4, 60, 3, 64, True),
        (4, 700, 3, None, False),
        (0.9, 2000, 4, None, False),
    ],
)
def test_the_peak_is_no_more_than_what_is_checked(
    scale: float, side: int, channels: int, tile: int | None, seamless: bool
) -> None:
    program = PROGRAM.replace("SCALE", str(scale)).replace("SIDE", str(side))
    program = program.replace("CHANNELS", str(channels)).replace("TILE", str(tile))
    program = program.replace("SEAMLESS", str(seamless))
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    peak, checked, result = (int(number) for number in output.split())
    assert result == channels * round(side * scale) ** 2
    assert peak <= checked
    if scale in (2, 8):
        assert checked < channels * (side * {8: 16, 2: 4}[scale]) ** 2, "never held whole"


ANIMATION = """
import io
import re
from pathlib import Path

import torch
from PIL import Image

from pipeline import Upscaler
from pipeline.networks import SRResNet
from pipeline.upscaling import upscaler as module
from pipeline.upscaling.encoding import encoded_parts, encoder_bytes
from pipeline.upscaling.pictures import decode_picture

def memory(name):
    return int(re.search(rf"{name}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

torch.set_num_threads(1)
checked = []
module.check_memory = lambda result, required: checked.append(required)
network = SRResNet(blocks=1, features=4, norm="none", upsampling="direct", skip="bicubic")
upscaler = Upscaler(network, device="cpu", precision="fp32", tile=64)

def enlarge(side, count):
    wave = Image.radial_gradient("L").resize((side, side))
    frames = [Image.merge("RGB", (wave, wave, wave.rotate(7 * n))) for n in range(count)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=40)
    del frames
    picture = decode_picture(file.getvalue())
    encoder = encoder_bytes("FORMAT", picture, *upscaler.size_of(*picture.size))
    large = upscaler.upscale_picture(picture, encoder_bytes=encoder)
    return sum(len(part) for part in encoded_parts(large, "FORMAT"))

enlarge(70, 3)
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
enlarge(SIDE, COUNT)
print(memory("VmHWM") - before, max(checked))
"""


@pytest.mark.slow
@pytest.mark.skipif(not RESET.exists(), reason="the peak of a process is reset by Linux alone")
@pytest.mark.parametrize("format", ["png", "gif", "webp"])
def test_frames_of_an_animation_are_not_in_memory_together(format: str) -> None:
    side, count = 180, 24
    program = ANIMATION.replace("SIDE", str(side)).replace("COUNT", str(count))
    output = subprocess.run(
        [sys.executable, "-c", program.replace("FORMAT", format)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    peak, checked = (int(number) for number in output.split())
    assert peak <= checked
    if format != "webp":
        assert peak < count * 3 * (4 * side) ** 2, "less than the result's frames"

"""Milliseconds that each degradation takes for one LR crop, on one CPU core.

python benchmarks/degradation.py [--crop 384] [--scale 4]
"""

import argparse
import os
import statistics
import time
from typing import get_args

# Before numpy and PyTorch are loaded: a crop is degraded by one thread.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from PIL import ImageOps

from pipeline.drawings import draw
from pipeline.images.degradation import make_lr
from pipeline.images.resample import downscale
from pipeline.metrics import psnr
from pipeline.params.degradation import Degradation

DRAWINGS = range(20_000, 20_008)
ROUNDS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crop", type=int, default=384, help="side of an HR crop, pixels")
    parser.add_argument("--scale", type=int, default=4)
    arguments = parser.parse_args()
    size = (arguments.crop, arguments.crop)
    images = [np.asarray(ImageOps.fit(draw(seed).image, size)) for seed in DRAWINGS]
    hr = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    clean = downscale(hr, arguments.scale).float()
    for kind in get_args(Degradation):
        seconds, distances = [], []
        for number in range(ROUNDS):
            seeds = [(number, index) for index in range(len(hr))]
            start = time.process_time()
            lr = make_lr(hr, arguments.scale, kind, seeds, cut_out=True)
            seconds.append(time.process_time() - start)
            distances += psnr(lr.float(), clean, 0).tolist()
        milliseconds = statistics.median(seconds) / len(hr) * 1000
        median = "" if kind == "none" else f", {statistics.median(distances):.1f} dB to bicubic LR"
        print(f"{kind:<8}{milliseconds:6.1f} ms{median}")


if __name__ == "__main__":
    main()

"""Training curves read from DVCLive's files."""

import csv
import math
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.evaluation.charts import CurveChart, curve_chart

STEP = "step"
TIME = "timestamp"
NAMES = {
    "train/loss": ("Generator's loss, the weighted sum of its terms", ""),
    "train/content": ("Content loss: distance of VGG16's features", ""),
    "train/adversarial": ("Adversarial loss of the generator", ""),
    "train/pixel": ("Pixel loss beside the adversarial one, L1", ""),
    "train/l1": ("Pixel loss without a discriminator, L1", "of a range of 1"),
    "train/mse": ("Pixel loss without a discriminator, mean squared error", "of a range of 1"),
    "train/psnr": ("Pixel loss without a discriminator, −PSNR", "dB"),
    "train/discriminator": ("Discriminator's loss", ""),
    "train/d_hr": ("Discriminator's mean output for originals", "1: original, 0: generated"),
    "train/d_sr": ("Discriminator's mean output for results", "1: original, 0: generated"),
    "train/grad_norm_content": ("Gradient norm of the content loss", ""),
    "train/grad_norm_adversarial": ("Gradient norm of the adversarial loss", ""),
    "train/grad_norm_pixel": ("Gradient norm of the pixel loss", ""),
    "val/psnr_y": ("Validation: PSNR of Y", "dB"),
    "val/ssim_y": ("Validation: SSIM of Y", "1: equal"),
    "val/lpips": ("Validation: LPIPS", "0: equal"),
}
"""Curve → its title on the page, and the unit or the meaning of its values."""


def read_training_curves(folder: Path, adversarial_from: int | None = None) -> list[CurveChart]:
    """Return a chart for each `**/*.tsv` under DVCLive's `plots/metrics`, sorted by path.

    `adversarial_from` is the first step with a discriminator. Values that are not finite are left
    out; without the folder there are no charts. Raises `PipelineError` if a file holds something
    else than steps and values.
    """
    curves = {path: _read_curve(path) for path in sorted(folder.rglob("*.tsv"))}
    last_step = max((max(steps) for steps, _ in curves.values() if steps), default=0)
    charts = []
    for path, (steps, values) in curves.items():
        if steps:
            name = path.relative_to(folder).with_suffix("").as_posix()
            title, unit = NAMES.get(name, (name, ""))
            charts.append(curve_chart(title, steps, values, unit, last_step, adversarial_from))
    return charts


def _read_curve(path: Path) -> tuple[list[float], list[float]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t")
            header = reader.fieldnames or ()
            columns = [name for name in header if name not in (STEP, TIME)]
            if STEP not in header or len(columns) != 1:
                raise PipelineError(f"{path}: not a curve of DVCLive; delete it and train again")
            points = [(float(row[STEP]), float(row[columns[0]])) for row in reader]
    except (UnicodeDecodeError, csv.Error):
        raise PipelineError(f"{path}: no table of text; delete it and train again") from None
    except (TypeError, ValueError):
        raise PipelineError(f"{path}: a line is no number; delete it and train again") from None
    finite = [point for point in points if all(math.isfinite(number) for number in point)]
    return [step for step, _ in finite], [value for _, value in finite]

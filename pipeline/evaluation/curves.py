"""The training curves, as DVCLive leaves them."""

import csv
import math
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.evaluation.charts import Curve, curve

STEP = "step"
TIME = "timestamp"


def read_curves(folder: Path) -> list[Curve]:
    """A chart for each `**/*.tsv` under DVCLive's `plots/metrics`, by path; none without folder.

    Values that are no finite numbers are left out. Raises `PipelineError` where a file holds
    something else than steps and values.
    """
    charts = []
    for path in sorted(folder.rglob("*.tsv")):
        steps, values = _read(path)
        if steps:
            charts.append(curve(path.relative_to(folder).with_suffix("").as_posix(), steps, values))
    return charts


def _read(path: Path) -> tuple[list[float], list[float]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        columns = [name for name in reader.fieldnames or () if name not in (STEP, TIME)]
        if STEP not in (reader.fieldnames or ()) or len(columns) != 1:
            raise PipelineError(f"{path}: not a curve of DVCLive; delete it and train again")
        try:
            pairs = [(float(row[STEP]), float(row[columns[0]])) for row in reader]
        except (TypeError, ValueError):
            raise PipelineError(f"{path}: a line is no number; delete it and train again") from None
    finite = [pair for pair in pairs if all(math.isfinite(number) for number in pair)]
    return [step for step, _ in finite], [value for _, value in finite]

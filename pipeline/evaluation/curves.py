"""Training curves read from DVCLive's files."""

import csv
import math
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.evaluation.charts import CurveChart, curve_chart

STEP = "step"
TIME = "timestamp"


def read_training_curves(folder: Path) -> list[CurveChart]:
    """Return a chart for each `**/*.tsv` under DVCLive's `plots/metrics`, sorted by path.

    Values that are not finite are left out; without the folder there are no charts. Raises
    `PipelineError` if a file holds something else than steps and values.
    """
    charts = []
    for path in sorted(folder.rglob("*.tsv")):
        steps, values = _read_curve(path)
        if steps:
            title = path.relative_to(folder).with_suffix("").as_posix()
            charts.append(curve_chart(title, steps, values))
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

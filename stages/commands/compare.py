"""`pipeline compare`: DVC's experiments as a table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from stages.experiments import measured_experiments

if TYPE_CHECKING:
    from pipeline.evaluation.tradeoff import Experiment

Format = Literal["text", "markdown", "latex"]
TABLE_FORMATS: dict[Format, str] = {
    "text": "simple",
    "markdown": "github",
    "latex": "latex_booktabs",
}


def compare(
    rev: Annotated[
        list[str] | None,
        typer.Option(help="commit whose experiments are listed, HEAD by default; repeatable"),
    ] = None,
    format: Annotated[Format, typer.Option(help="how the table is written")] = "text",
) -> None:
    """Print the experiments as a table: the params in which they differ, and the main metrics."""
    from tabulate import tabulate

    header, rows = _table(measured_experiments(rev), "**{}**" if format == "markdown" else "{}")
    print(tabulate(rows, header, tablefmt=TABLE_FORMATS[format], disable_numparse=True))


def _table(
    experiments: "Sequence[Experiment]", best_form: str
) -> tuple[list[str], list[list[str]]]:
    """Return header and rows; the best value of each metric is written as `best_form`."""
    from pipeline.evaluation.measurement import METRIC_BY_KEY
    from pipeline.evaluation.methods import MODEL
    from pipeline.evaluation.report import MAIN_METRICS
    from pipeline.evaluation.tradeoff import format_value, varying_params

    params = varying_params(experiments)
    keys = [
        key for key in MAIN_METRICS if all(f"{MODEL}.{key}" in one.metrics for one in experiments)
    ]
    best = {
        key: METRIC_BY_KEY[key].best([one.metrics[f"{MODEL}.{key}"] for one in experiments])
        for key in keys
    }
    rows = []
    for one in experiments:
        row = [one.name, *(format_value(one.params.get(name, "–")) for name in params)]
        for key in keys:
            metric, value = METRIC_BY_KEY[key], one.metrics[f"{MODEL}.{key}"]
            is_best = round(value, metric.decimals) == best[key] and len(experiments) > 1
            row.append((best_form if is_best else "{}").format(metric.format(value)))
        rows.append(row)
    return ["experiment", *params, *(METRIC_BY_KEY[key].name for key in keys)], rows

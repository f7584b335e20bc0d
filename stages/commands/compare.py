"""`pipeline compare`: DVC's experiments as a table."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.errors import some_of
from stages.experiments import measured_experiments, params_changed_since

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
    """Print the experiments as a table: the params in which they differ, and the main metrics.

    Each experiment is a column. Names those whose params were changed after their results.
    """
    from tabulate import tabulate

    experiments = measured_experiments(rev)
    rows = [
        ["", *(one.name for one in experiments)],
        *_param_rows(experiments),
        *_metric_rows(experiments, "**{}**" if format == "markdown" else "{}"),
    ]
    print(tabulate(rows, "firstrow", tablefmt=TABLE_FORMATS[format], disable_numparse=True))
    for one in experiments:
        if changed := params_changed_since(one):
            print(
                f"warning: {one.name}: its results are of other params than its params.yaml has: "
                f"{some_of(changed, most=3)}; run dvc repro and commit",
                file=sys.stderr,
            )


def _param_rows(experiments: "Sequence[Experiment]") -> Iterator[list[str]]:
    from pipeline.evaluation.tradeoff import format_value, varying_params

    for name in varying_params(experiments):
        yield [name, *(format_value(one.params.get(name, "–")) for one in experiments)]


def _metric_rows(experiments: "Sequence[Experiment]", best_form: str) -> Iterator[list[str]]:
    """Yield a row for each metric that all have; the best value is written as `best_form`."""
    from pipeline.evaluation.measurement import METRIC_BY_KEY
    from pipeline.evaluation.methods import MODEL
    from pipeline.evaluation.report import MAIN_METRICS

    for key in MAIN_METRICS:
        if any(f"{MODEL}.{key}" not in one.metrics for one in experiments):
            continue
        metric = METRIC_BY_KEY[key]
        values = [one.metrics[f"{MODEL}.{key}"] for one in experiments]
        best = metric.best(values) if len(values) > 1 else None
        yield [
            metric.name,
            *(
                (best_form if round(value, metric.decimals) == best else "{}").format(
                    metric.format(value)
                )
                for value in values
            ),
        ]

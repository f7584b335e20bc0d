"""`pipeline tradeoff`: the perception-distortion plane over DVC's experiments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import PipelineError
from pipeline.locks import hold, lock_file
from pipeline.params import Params, section_type
from pipeline.params.leaf_params import params_of


def tradeoff(
    rev: Annotated[
        list[str] | None,
        typer.Option(help="commit whose experiments are drawn, HEAD by default; repeatable"),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="param that orders the points of a curve; by default the only one that varies",
            metavar="SECTION.PARAM",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder of plane.csv, plane.png and plane.svg")
    ] = Path("reports/tradeoff"),
) -> None:
    """Draw one plane of all DVC experiments that have run, and of the commit they started from."""
    from pipeline.evaluation.plane import write_points
    from pipeline.evaluation.plane_figure import draw_plane
    from pipeline.evaluation.tradeoff import tradeoff_plane

    plane = tradeoff_plane(_measured_experiments(rev), by)
    # Files of two planes must not mix.
    with hold(lock_file(output, "tradeoff"), "pipeline tradeoff"):
        write_points(output / "plane.csv", plane)
        for kind in ("png", "svg"):
            draw_plane(output / f"plane.{kind}", plane)
    for point in plane.points:
        if point.is_model:
            distances = ", ".join(f"{key} {value:.4f}" for key, value in point.perception.items())
            print(f"{point.method}: PSNR_Y {point.psnr_y:.2f} dB, {distances}")
    print(f"{output / 'plane.png'}: the plane")


def _measured_experiments(revisions: list[str] | None) -> list[Any]:
    from dvc.api import exp_show
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    from pipeline.evaluation.tradeoff import Experiment

    try:
        rows = exp_show(revs=revisions)
    except (DvcException, SCMError) as error:
        raise PipelineError(
            f"dvc: {error}; it lists the experiments of the git repository of this folder"
        ) from None
    params = [
        f"{section}.{param.name}"
        for section in Params.model_fields
        for param in params_of(section_type(section))
    ]
    rows = [row for row in rows if row["rev"] != "workspace"]
    for row in rows:
        # DVC lists an experiment that it cannot read without params.
        if not any(row.get(name) is not None for name in params):
            raise PipelineError(
                f"dvc: the experiment {_name(row)} cannot be read; `dvc exp show -v` says why"
            )
    experiments = [
        Experiment(
            _name(row), {name: row[name] for name in params if name in row}, _metrics(row, params)
        )
        for row in rows
    ]
    measured = [each for each in experiments if "model.rmse_y" in each.metrics]
    if not measured:
        raise PipelineError(
            "no experiment here has metrics; commit the reports of `dvc repro`, run some with "
            "`dvc exp run`, then try again"
        )
    return measured


def _name(row: Mapping[str, Any]) -> str:
    return str(row["Experiment"] or row["rev"])


def _metrics(row: Mapping[str, Any], params: Sequence[str]) -> dict[str, float]:
    """Return the metrics of a row, which DVC mixes with params; it names the file of some."""
    return {
        key.rpartition(":")[2]: value
        for key, value in row.items()
        if key not in params and isinstance(value, float | int)
    }

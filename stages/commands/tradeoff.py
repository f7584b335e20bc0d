"""`pipeline tradeoff`: the perception-distortion plane over DVC's experiments."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError
from pipeline.locks import hold, lock_file
from stages.experiments import measured_experiments, param_names, with_all_means


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
    if by is not None and by not in param_names():
        raise UsageError(f"--by: {by} is no param; write SECTION.PARAM, as train.adv_weight")
    first, *others = measured_experiments(rev)
    # These load PyTorch.
    from pipeline.evaluation.plane import write_points
    from pipeline.evaluation.plane_figure import draw_plane
    from pipeline.evaluation.tradeoff import tradeoff_plane

    # Interpolation is the same in all of them, as far as they measured the same images.
    plane = tradeoff_plane([with_all_means(first), *others], by)
    # Files of two planes must not mix.
    with hold(lock_file(output, "tradeoff"), "pipeline tradeoff"):
        write_points(output / "plane.csv", plane)
        draw_plane([output / "plane.png", output / "plane.svg"], plane)
    for point in plane.points:
        if point.is_model:
            distances = ", ".join(f"{key} {value:.4f}" for key, value in point.perception.items())
            print(f"{point.method}: PSNR_Y {point.psnr_y:.2f} dB, {distances}")
    print(f"{output / 'plane.png'}: the plane")

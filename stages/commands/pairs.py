"""`pipeline pairs`: the images that are measured, for another program to enlarge."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.locks import hold, lock_file
from pipeline.params.file import load_params
from stages.console import ConsoleProgress
from stages.runner import PARAMS_FILE

MANIFEST = Path("data/manifest.csv")
RESIZED = Path("data/resized")


def pairs(
    folder: Annotated[Path, typer.Argument(help="where lr/ and hr/ are made")],
) -> None:
    """Write the LR and HR images of the split that is measured, as PNG.

    Another program enlarges lr/ into a folder of its own, under the same names; then
    `pipeline evaluate --results NAME=FOLDER` measures its results beside ours.
    """
    from pipeline.evaluation.pairs import Pairs, write_pairs

    params = load_params(PARAMS_FILE)
    chosen = params.evaluate
    images = Pairs.of_split(
        MANIFEST,
        RESIZED,
        chosen.split,
        params.train.scale,
        chosen.max_images,
        chosen.degradation,
    )
    # So that the images of two splits do not mix.
    with hold(lock_file(folder, "pairs"), "pipeline pairs"):
        write_pairs(images, folder, ConsoleProgress())
    print(f"{folder}: {len(images)} images in lr/ and in hr/")

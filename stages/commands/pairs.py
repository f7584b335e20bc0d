"""`pipeline pairs`: write the evaluated LR/HR pairs, for another program to enlarge."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.locks import hold, lock_file
from pipeline.manifest.rows import Split
from pipeline.params.degradation import Degradation
from pipeline.params.file import load_params
from stages.console import ConsoleProgress
from stages.paths import MANIFEST, RESIZED
from stages.runner import PARAMS_FILE


def pairs(
    folder: Annotated[Path, typer.Argument(help="folder for lr/ and hr/")],
    degradation: Annotated[
        Degradation | None,
        typer.Option(
            metavar="none|light|web|heavy",
            help="how the LR images are made; evaluate.degradation by default",
        ),
    ] = None,
    split: Annotated[
        Split | None,
        typer.Option(
            metavar="train|val|test",
            help="split that is written; evaluate.split by default; of train all images, of the "
            "others evaluate.max_images",
        ),
    ] = None,
) -> None:
    """Write the LR and HR images of the evaluated split, or of another one, as PNG.

    Another program enlarges lr/ into a folder of its own, under the same names; then
    `pipeline evaluate --results NAME=FOLDER` compares its results with ours. Each degradation and
    split needs a folder of its own: FOLDER/pairs.json says what its images are.
    """
    params = load_params(PARAMS_FILE)
    # It loads PyTorch.
    from pipeline.evaluation.pairs import SplitPairs, write_pairs

    evaluate = params.evaluate
    written = split or evaluate.split
    images = SplitPairs.from_split(
        MANIFEST,
        RESIZED,
        written,
        params.train.scale,
        None if written == "train" else evaluate.max_images,
        degradation or evaluate.degradation,
    )
    # Images of two splits must not mix.
    with hold(lock_file(folder, "pairs"), "pipeline pairs"):
        write_pairs(images, folder, ConsoleProgress())
    print(f"{folder}: {len(images)} images in lr/ and in hr/")

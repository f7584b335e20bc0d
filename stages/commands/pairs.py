"""`pipeline pairs`: write the evaluated LR/HR pairs, for another program to enlarge."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UsageError
from pipeline.locks import hold, lock_file
from pipeline.manifest.rows import Split
from pipeline.params.degradation import Degradation
from pipeline.params.evaluate import EvaluateParams
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
            help="how the LR images are made, also where there are such in evaluate.lr_folder; "
            "evaluate.degradation by default",
        ),
    ] = None,
    split: Annotated[
        Split | None,
        typer.Option(
            metavar="train|val|test",
            help="split that is written; evaluate.hr_folder by default, or else evaluate.split; of "
            "train all images, of the others evaluate.max_images",
        ),
    ] = None,
) -> None:
    """Write the LR and HR images that are evaluated, or those of another split, as PNG.

    Another program enlarges lr/ into a folder of its own, under the same names; then
    `pipeline evaluate --results NAME=FOLDER` compares its results with ours. Each degradation and
    split needs a folder of its own: FOLDER/pairs.json says what its images are.
    """
    params = load_params(PARAMS_FILE)
    # It loads PyTorch.
    from pipeline.evaluation.evaluated_pairs import evaluated_pairs
    from pipeline.evaluation.pairs import PairedImages, SplitPairs, write_pairs

    evaluate, scale, progress = params.evaluate, params.train.scale, ConsoleProgress()
    if degradation is not None:
        evaluate = evaluate.model_copy(update={"degradation": degradation, "lr_folder": None})
    images: PairedImages
    if split is None:
        _check_differs(folder, evaluate)
        images = evaluated_pairs(MANIFEST, RESIZED, evaluate, scale, progress)
    else:
        most = None if split == "train" else evaluate.max_images
        images = SplitPairs.from_split(MANIFEST, RESIZED, split, scale, most, evaluate.degradation)
    # Images of two splits must not mix.
    with hold(lock_file(folder, "pairs"), "pipeline pairs"):
        write_pairs(images, folder, progress)
    print(f"{folder}: {len(images)} images in lr/ and in hr/")


def _check_differs(folder: Path, evaluate: EvaluateParams) -> None:
    """Raise `UsageError` where images would be written over those that they are made of."""
    for name, written in (("hr_folder", "hr"), ("lr_folder", "lr")):
        source = getattr(evaluate, name)
        if source is not None and (folder / written).resolve() == Path(source).resolve():
            raise UsageError(
                f"{folder}: its {written}/ is evaluate.{name}, whose files would be replaced; name "
                "another folder"
            )

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
            help="how the LR images are made; evaluate.degradation by default",
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
    _check_keeps_originals(folder, evaluate)
    made_by = degradation or evaluate.degradation
    images: PairedImages
    if split is not None:
        most = None if split == "train" else evaluate.max_images
        images = SplitPairs.from_split(MANIFEST, RESIZED, split, scale, most, made_by)
    else:
        if evaluate.lr_folder is not None and degradation is None:
            raise UsageError(
                f"evaluate.lr_folder: the LR images are in {evaluate.lr_folder} already; to make "
                "others, name --degradation"
            )
        changed = evaluate.model_copy(update={"degradation": made_by, "lr_folder": None})
        images = evaluated_pairs(MANIFEST, RESIZED, changed, scale, progress)
    # Images of two splits must not mix.
    with hold(lock_file(folder, "pairs"), "pipeline pairs"):
        write_pairs(images, folder, progress)
    print(f"{folder}: {len(images)} images in lr/ and in hr/")


def _check_keeps_originals(folder: Path, evaluate: EvaluateParams) -> None:
    """Raise `UsageError` where images would be written among those of `evaluate`'s folders."""
    for name in ("hr_folder", "lr_folder"):
        source = getattr(evaluate, name)
        if source is None:
            continue
        originals = Path(source).resolve()
        for written in (folder / "lr", folder / "hr"):
            target = written.resolve()
            if target.is_relative_to(originals) or originals.is_relative_to(target):
                raise UsageError(
                    f"{written}: would lie among the images of evaluate.{name}, {source}; name "
                    "another folder"
                )

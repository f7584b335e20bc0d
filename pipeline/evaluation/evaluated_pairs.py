"""The LR/HR pairs that params name: of a folder, or of a manifest's split."""

from pathlib import Path

from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.pairs import PairedImages, SplitPairs
from pipeline.params.evaluate import EvaluateParams
from pipeline.progress import Progress


def evaluated_pairs(
    manifest_file: Path,
    shard_folder: Path,
    params: EvaluateParams,
    scale: int,
    progress: Progress,
) -> PairedImages:
    """Return the pairs of `params.hr_folder`, or else of `params.split`.

    Raises `PipelineError` and `UsageError` as `FolderPairs.from_folders` and
    `SplitPairs.from_split` do.
    """
    most, degradation = params.max_images, params.degradation
    if params.hr_folder is not None:
        return FolderPairs.from_folders(
            params.hr_folder, params.lr_folder, scale, most, degradation, progress
        )
    return SplitPairs.from_split(
        manifest_file, shard_folder, params.split, scale, most, degradation
    )

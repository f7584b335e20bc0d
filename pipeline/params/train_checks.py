"""Checks across params of the train stage, each reported at the one to change."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pipeline.params.generator import FileParams
from pipeline.params.section import problem_at
from pipeline.wording import counted

if TYPE_CHECKING:
    from pipeline.params.train import TrainParams

MANIFEST_NAME = "manifest"
"""Name of the manifest's images in `train.folder_weights`."""

SMALLEST_CROPS = {"ms_ssim": 161, "lpips": 31, "dists": 16}
"""Pixels that an extra loss needs, where it needs more than the least crop."""


def _check_crop_fits_scale(params: "TrainParams") -> None:
    if params.crop % params.scale:
        raise problem_at(("crop",), f"{params.crop} is no multiple of train.scale {params.scale}")


def _check_lr_differs_from_hr(params: "TrainParams") -> None:
    if params.scale > 1 or params.degradation != "none":
        return
    without_lr = [name for name in params.hr_folders if name not in params.lr_folders]
    trained = any(params.weight(name) for name in (MANIFEST_NAME, *without_lr))
    if trained or params.val_lr_folder is None:
        raise problem_at(
            ("degradation",),
            "at train.scale 1 LR made by none is HR itself, from which nothing is learnt; set "
            "this to another, as web, or give the LR of all images: train.lr_folders, "
            "train.val_lr_folder and 0 for manifest in train.folder_weights",
        )


def _check_crop_fits_losses(params: "TrainParams") -> None:
    for name, weight in params.extra_losses.items():
        if weight and params.crop < (least := SMALLEST_CROPS.get(name, 0)):
            raise problem_at(
                ("extra_losses", name),
                f"needs crops of {least} pixels or more, not {params.crop}; raise train.crop",
            )


def _check_folder_names(params: "TrainParams") -> None:
    if MANIFEST_NAME in params.hr_folders:
        raise problem_at(
            ("hr_folders", MANIFEST_NAME),
            f"{MANIFEST_NAME!r} means the manifest's images; give another name",
        )
    for name in params.lr_folders:
        if name not in params.hr_folders:
            raise problem_at(("lr_folders", name), _no_folder(name))
    for name in params.folder_weights:
        if name not in (MANIFEST_NAME, *params.hr_folders):
            raise problem_at(("folder_weights", name), _no_folder(name))
    if params.val_lr_folder is not None and params.val_hr_folder is None:
        raise problem_at(("val_lr_folder",), "needs train.val_hr_folder; set it too")


def _check_images_to_train_on(params: "TrainParams") -> None:
    names = (MANIFEST_NAME, *params.hr_folders)
    if not any(params.weight(name) for name in names):
        raise problem_at(("folder_weights",), "leave no images to train on; raise one")
    if not params.weight(MANIFEST_NAME) and params.val_hr_folder is None:
        raise problem_at(
            ("val_hr_folder",),
            "without the manifest, validation needs images of its own; name their folder here",
        )


def _check_file_named(params: "TrainParams") -> None:
    if isinstance(params.generator, FileParams) and params.init is None and params.resume is None:
        raise problem_at(
            ("init",),
            "train.generator.kind file trains a model's file further; name it here",
        )


def _check_one_start(params: "TrainParams") -> None:
    if params.init is not None and params.resume is not None:
        raise problem_at(("resume",), "train.init names another start; set one of the two to null")


def _check_equal_parts(params: "TrainParams") -> None:
    if params.batch % params.processes:
        raise problem_at(
            ("processes",),
            f"{params.processes} cannot share a batch of {params.batch} equally; change one",
        )
    if params.batch // params.processes % params.accumulate:
        raise problem_at(
            ("accumulate",),
            f"{counted(params.batch, 'crop')} on "
            f"{counted(params.processes, 'process', 'processes')} cannot make "
            f"{params.accumulate} equal parts on each; change train.batch or this",
        )


def _check_content_layers_once(params: "TrainParams") -> None:
    for number, layer in enumerate(params.content_layers):
        if layer in params.content_layers[:number]:
            raise problem_at(
                ("content_layers",),
                f"{layer} is named twice; remove one",
            )


def _check_steps_with_discriminator(params: "TrainParams") -> None:
    if params.adv_weight > 0 and params.steps is not None:
        pretrain_steps = params.pretrain_steps or 0
        if params.steps <= pretrain_steps:
            raise problem_at(
                ("steps",),
                f"{counted(params.steps, 'step')} would end in the pre-training of "
                f"{pretrain_steps}, before the discriminator; raise steps, lower "
                "pretrain_steps, or set adv_weight to 0",
            )


def _check_something_to_normalise(params: "TrainParams") -> None:
    # 16 pixels leave one position after the strides of srgan; unet has no batch normalisation.
    normalised = params.adv_weight > 0 and params.discriminator == "srgan"
    if normalised and params.crop == 16 and params.batch == params.accumulate:
        raise problem_at(
            ("batch",),
            "one crop of 16 pixels is too little for the discriminator's batch normalisation; "
            "raise batch or crop",
        )


def _no_folder(name: str) -> str:
    return f"{name!r} is no name in train.hr_folders; add it there"


CHECKS: Sequence[Callable[["TrainParams"], None]] = (
    _check_crop_fits_scale,
    _check_lr_differs_from_hr,
    _check_crop_fits_losses,
    _check_folder_names,
    _check_images_to_train_on,
    _check_file_named,
    _check_one_start,
    _check_equal_parts,
    _check_content_layers_once,
    _check_steps_with_discriminator,
    _check_something_to_normalise,
)
"""Each raises a problem at the first param that contradicts another."""

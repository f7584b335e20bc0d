"""Warnings of the report page; grave ones stand above all, the others behind the pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluation.measurement import METRIC_BY_KEY, Scores, has_ms_ssim
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.origins import measured_set, shown_folder
from pipeline.evaluation.pairs import PairedImages
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.evaluation.plane import PERCEPTION
from pipeline.evaluation.provenance import Inputs
from pipeline.evaluation.results import Notice
from pipeline.images.interpolation import baseline_in_words, baseline_of
from pipeline.metrics import MS_SSIM_SIDE
from pipeline.params import EvaluateParams
from pipeline.params.degradation import CHAINS
from pipeline.shipped import named_file

COLLAPSED = 2.0
"""Times bicubic's RMSE. Perfect perception costs at most √2 times the least one (Blau & Michaeli
2018, theorem 2), so that no trade for perception explains such an error."""


FEW_IMAGES = 10
"""Below so many, distances of sets are mostly noise, and the bootstrap's intervals too narrow."""


def input_notices(
    inputs: Inputs,
    models: Mapping[str, Mapping[str, str]],
    trained: Mapping[str, Any],
    params: EvaluateParams,
    perceptual: PerceptualMetrics,
    images: PairedImages,
) -> list[Notice]:
    """Return warnings about the generators and the data, and what was not measured.

    `models`: method → metadata of its generator's file; `trained`: params that the trained one's
    names; `images` are measured.
    """
    notices = []
    if models[MODEL].get("vgg") == "random":
        text = (
            "The content loss compared features of a VGG16 with random weights, which is another "
            "experiment than the article's: these figures do not speak for it."
        )
        notices.append(Notice("Random VGG weights.", text))
    if params.hr_folder is None:
        notices += _manifest_notices(models, params, inputs.train_images_sha256)
    else:
        notices.append(_folder_notice(params))
    if len(images) < FEW_IMAGES:
        text = (
            f"These figures are of {len(images)}: SWD and KVD are mostly noise, intervals are too "
            f"narrow, and tests see little. Measure {FEW_IMAGES} images at least, better a hundred."
        )
        notices.append(Notice("Few images.", text))
    # At scale 1 there is no other task.
    if params.degradation != "none" and not images.lr_is_given and images.scale > 1:
        text = (
            f"The images that were enlarged are damaged, by {_damage(params)}: these figures do "
            "not compare with those of clean ones."
        )
        notices.append(Notice("Another task.", text))
    has_strengths = trained.get("degradation") in CHAINS and trained.get("degradation_strengths")
    if has_strengths and params.degradation in CHAINS and not images.lr_is_given:
        text = (
            f"The images that were enlarged are damaged by {_damage(params)}, as it is. The model "
            "was trained with train.degradation_strengths, which are not applied here."
        )
        notices.append(Notice("Other strengths.", text))
    missing = {**_missing_ms_ssim(images, params.crop_border), **perceptual.missing}
    if len(images) == 1 and perceptual.dists is not None:
        missing["KVD"] = "It compares features of different images, and there is one alone."
    notices += [Notice(f"Not measured: {metrics}.", reason) for metrics, reason in missing.items()]
    return notices


def _damage(params: EvaluateParams) -> str:
    kind = "preset" if params.degradation in CHAINS else "degradation"
    return f"the {kind} {params.degradation}"


def _manifest_notices(
    models: Mapping[str, Mapping[str, str]], params: EvaluateParams, measured: str
) -> list[Notice]:
    """Return warnings of models that were trained on other images than the manifest's.

    `measured` is the SHA-256 of its training images.
    """
    notices = []
    if models[MODEL].get("train_images_sha256", measured) != measured:
        text = (
            "The model was not trained on this manifest's training images; it may have seen the "
            "images below."
        )
        notices.append(Notice("Another manifest.", text, grave=True))
    if "folders_sha256" in models[MODEL]:
        text = (
            "The model was also trained on images of folders. Whether some of the images below "
            "are among them is not known here."
        )
        notices.append(Notice("Images of folders.", text))
    if others := _trained_elsewhere(models, params, measured):
        text = (
            f"Not trained on this manifest's training images: {', '.join(others)}. They may have "
            "seen the images below, which would make their figures better than they are."
        )
        notices.append(Notice("Other models, another manifest.", text))
    return notices


def _folder_notice(params: EvaluateParams) -> Notice:
    lr = (
        f"the LR images are those of {shown_folder(params.lr_folder)}, as they are"
        if params.lr_folder is not None
        else "the LR images were made of them"
    )
    return Notice(
        "Images of a folder.",
        f"The images are those of {measured_set(params)}, {lr}. Whether a model was trained on "
        "some of them is not known here.",
    )


def _missing_ms_ssim(images: PairedImages, border: int) -> dict[str, str]:
    """Return the reason why MS-SSIM is not measured, where only some images are too small."""
    smallest = images.smallest
    largest_side = max(image.shorter_side for image in images.images)
    if has_ms_ssim(smallest.shorter_side, border) or not has_ms_ssim(largest_side, border):
        return {}
    needed = MS_SSIM_SIDE + 2 * border
    return {
        "MS-SSIM": f"It needs images of {needed} pixels or more; "
        f"{smallest.name} has {smallest.size_text}."
    }


def _trained_elsewhere(
    models: Mapping[str, Mapping[str, str]], params: EvaluateParams, measured: str
) -> list[str]:
    """Return the models beside the trained one whose files name another manifest.

    Without the shipped ones, whose cards say what they were trained on.
    """
    return [
        name
        for name, path in params.models.items()
        if named_file(path) == Path(path)
        and models[name].get("train_images_sha256", measured) != measured
    ]


def result_file_notices(texts: Sequence[str]) -> list[Notice]:
    """Return one notice of what was left out or converted of other programs' results, if any."""
    return [Notice("Results of other programs.", f"{'; '.join(texts)}.")] if texts else []


def result_notices(means: Scores, scale: int) -> list[Notice]:
    """Return grave warnings about the results: a collapsed model, or one worse than bicubic."""
    model, baseline = means[MODEL], means[baseline_of(scale)]
    in_words = baseline_in_words(scale)
    factor = model["rmse_y"] / max(baseline["rmse_y"], 1e-9)
    if factor > COLLAPSED:
        text = (
            f"Its error is {factor:.1f} times that of {in_words}, more than any gain "
            "in perception costs: the training has failed, or the file is of another task."
        )
        return [Notice("The model has collapsed.", text, grave=True)]
    keys = ["psnr_y", *(key for key in PERCEPTION if key in model)]
    if all(METRIC_BY_KEY[key].gain(model[key], baseline[key]) < 0 for key in keys):
        names = ", ".join(METRIC_BY_KEY[key].name for key in keys)
        text = f"By each of {names} its results are further from the originals."
        return [Notice(f"The model is worse than {in_words}.", text, grave=True)]
    return []

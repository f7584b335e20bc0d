"""Warnings of the report page; grave ones stand above all, the others behind the pictures."""

from pipeline.evaluation.interpolation import BASELINE
from pipeline.evaluation.measurement import METRIC_BY_KEY, Scores
from pipeline.evaluation.methods import MODEL
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.evaluation.plane import PERCEPTION
from pipeline.evaluation.provenance import Inputs
from pipeline.evaluation.results import Notice
from pipeline.networks.files import LoadedGenerator
from pipeline.params import EvaluateParams

COLLAPSED = 2.0
"""Times bicubic's RMSE. Perfect perception costs at most √2 times the least one (Blau & Michaeli
2018, theorem 2), so that no trade for perception explains such an error."""


def input_notices(
    inputs: Inputs, trained: LoadedGenerator, params: EvaluateParams, perceptual: PerceptualMetrics
) -> list[Notice]:
    """Return warnings about the trained generator and the data, and what was not measured."""
    notices = []
    if trained.metadata.get("vgg") == "random":
        text = (
            "The content loss compared features of a VGG16 with random weights, which is another "
            "experiment than the article's: these figures do not speak for it."
        )
        notices.append(Notice("Random VGG weights.", text))
    measured = inputs.manifest_sha256
    if trained.metadata.get("manifest_sha256", measured) != measured:
        text = "The model was trained on another manifest; it may have seen the images below."
        notices.append(Notice("Another manifest.", text, grave=True))
    if params.degradation == "web":
        text = (
            "The images that were enlarged are damaged as pictures on the web are, by other "
            "filters, noise and JPEG: these figures do not compare with those of clean ones."
        )
        notices.append(Notice("Another task.", text))
    for metrics, reason in perceptual.missing.items():
        notices.append(Notice(f"Not measured: {metrics}.", reason))
    return notices


def result_notices(means: Scores) -> list[Notice]:
    """Return grave warnings about the results: a collapsed model, or one worse than bicubic."""
    model, baseline = means[MODEL], means[BASELINE]
    factor = model["rmse_y"] / max(baseline["rmse_y"], 1e-9)
    if factor > COLLAPSED:
        text = (
            f"Its error is {factor:.1f} times that of {BASELINE} interpolation, more than any gain "
            "in perception costs: the training has failed, or the file is of another task."
        )
        return [Notice("The model has collapsed.", text, grave=True)]
    keys = ["psnr_y", *(key for key in PERCEPTION if key in model)]
    if all(METRIC_BY_KEY[key].gain(model[key], baseline[key]) < 0 for key in keys):
        names = ", ".join(METRIC_BY_KEY[key].name for key in keys)
        text = f"By each of {names} its results are further from the originals."
        return [Notice(f"The model is worse than {BASELINE} interpolation.", text, grave=True)]
    return []

"""The evaluation: enlarge images by every method, measure, and write the reports."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pipeline.devices import device_name, pick_device
from pipeline.errors import UsageError, naming_memory_faults
from pipeline.evaluation.charts import CurveChart
from pipeline.evaluation.costs import Timings, costs_of
from pipeline.evaluation.curves import read_training_curves
from pipeline.evaluation.evaluated_pairs import evaluated_pairs
from pipeline.evaluation.example_images import ExampleImage, choose_crop, choose_images
from pipeline.evaluation.kvd import DescriptorSets
from pipeline.evaluation.load_methods import blend_names, load_methods, with_initial_model
from pipeline.evaluation.measurement import (
    IMAGE_METRICS,
    METRIC_BY_KEY,
    Metric,
    Scores,
    mean_scores,
    measure_image,
)
from pipeline.evaluation.methods import MEMORY_ADVICE, MODEL, ORIGINAL, UpscalingMethods
from pipeline.evaluation.notices import input_notices, result_file_notices, result_notices
from pipeline.evaluation.other_programs import check_results, find_results
from pipeline.evaluation.pairs import PairedImages
from pipeline.evaluation.perceptual import PerceptualMetrics, load_perceptual_metrics
from pipeline.evaluation.plane import Plane, Point
from pipeline.evaluation.provenance import (
    Inputs,
    describe_inputs,
    read_summaries,
)
from pipeline.evaluation.report import write_reports
from pipeline.evaluation.resolved_params import (
    TrainedWith,
    read_train_params,
    resolved_evaluate_params,
)
from pipeline.evaluation.results import Background, Evaluation, Notice
from pipeline.evaluation.seeds import seed_groups
from pipeline.evaluation.significance import mean_intervals, paired_tests
from pipeline.evaluation.swd import PatchSets
from pipeline.images.interpolation import baseline_of
from pipeline.metrics import SSIM_WINDOW
from pipeline.networks.files import LoadedGenerator, load_generator
from pipeline.params import EvaluateParams
from pipeline.progress import Progress, Silent, task

MAX_SHOWN = 1280
FEWER_IMAGES = "measure fewer images (evaluate.max_images)"
"""Pixels; of larger example images a part is shown, so that the page holds several of them."""


def evaluate(
    params: EvaluateParams, inputs: Inputs, report_folder: Path, progress: Progress | None = None
) -> Evaluation:
    """Compare a generator with other methods, and write all reports.

    The page also shows the summaries and curves that are in `report_folder`. Raises
    `PipelineError` if an input is missing or damaged, `UsageError` if params do not fit it.
    """
    started, timings = time.perf_counter(), Timings()
    # All that can be missing or damaged is read before the measurement, which may take hours.
    progress = progress or Silent()
    loaded = _load(params, inputs, report_folder, progress)
    params = loaded.params
    images, methods = loaded.images, loaded.methods
    image_scores, set_scores = _measure(loaded, params, timings, progress)
    ranked_by = METRIC_BY_KEY["psnr_y" if loaded.perceptual.lpips is None else "lpips"]
    means = mean_scores(image_scores, set_scores)
    examples = _ExampleMaker(images, methods, image_scores, params)
    evaluation = Evaluation(
        params=params,
        scale=methods.scale,
        images=images.images,
        image_scores=image_scores,
        means=means,
        intervals=mean_intervals(image_scores, params.seed),
        paired_tests=paired_tests(image_scores, params.seed),
        plane=_plane(means, params),
        ranked_by=ranked_by,
        examples=examples.ranked(ranked_by),
        worst=examples.worst(),
        costs=costs_of(methods.names, methods.models, timings),
        seconds=time.perf_counter() - started,
        seed_groups=seed_groups(methods.metadata),
        background=_background(loaded, params, inputs),
        notices=result_notices(means, methods.scale) + loaded.notices,
    )
    write_reports(report_folder, evaluation)
    return evaluation


@dataclass(frozen=True)
class _Loaded:
    """All that an evaluation reads, and its params with the model that the training began with."""

    params: EvaluateParams
    device: torch.device
    trained: LoadedGenerator
    trained_with: TrainedWith
    summaries: Mapping[str, Any]
    curves: Sequence[CurveChart]
    methods: UpscalingMethods
    images: PairedImages
    perceptual: PerceptualMetrics
    notices: list[Notice]


def _load(
    params: EvaluateParams, inputs: Inputs, report_folder: Path, progress: Progress
) -> _Loaded:
    """Read all inputs. Raises `PipelineError`, `UsageError`."""
    device = pick_device(params.device)
    trained = load_generator(inputs.model_file, device)
    trained_with = read_train_params(trained, inputs.model_file)
    # What the data stages counted is not what is measured in a folder of one's own.
    summaries = read_summaries(report_folder) if params.hr_folder is None else {}
    curves = read_training_curves(
        report_folder / "train/plots/metrics", trained_with.adversarial_from
    )
    params = with_initial_model(params, trained_with.params.get("init"))
    methods = load_methods(params, trained, device)
    images = _load_images(inputs, params, methods.scale, progress)
    results = find_results(params.results, images)
    result_notes = check_results(results.values(), images, progress)
    for text in result_notes:
        progress.message(text)
    methods = replace(methods, results=results)
    perceptual = load_perceptual_metrics(params, images.smallest, device, progress)
    return _Loaded(
        params,
        device,
        trained,
        trained_with,
        summaries,
        curves,
        methods,
        images,
        perceptual,
        [
            *input_notices(
                inputs, methods.metadata, trained_with.params, params, perceptual, images
            ),
            *result_file_notices(result_notes),
        ],
    )


def _background(loaded: _Loaded, params: EvaluateParams, inputs: Inputs) -> Background:
    images, perceptual = loaded.images, loaded.perceptual
    device = device_name(loaded.device)
    return Background(
        curves=loaded.curves,
        summaries=loaded.summaries,
        provenance=describe_inputs(
            inputs,
            loaded.trained,
            params,
            images,
            loaded.methods.results,
            perceptual,
            device,
        ),
        used_params=resolved_evaluate_params(params, len(images), device, perceptual),
        trained_with=loaded.trained_with,
    )


def _load_images(
    inputs: Inputs, params: EvaluateParams, scale: int, progress: Progress
) -> PairedImages:
    images = evaluated_pairs(inputs.manifest_file, inputs.shard_folder, params, scale, progress)
    smallest = images.smallest
    if smallest.shorter_side - 2 * params.crop_border < SSIM_WINDOW:
        raise UsageError(
            f"evaluate.crop_border: {params.crop_border} leaves less than {SSIM_WINDOW} pixels of "
            f"the image {smallest.name} of {smallest.size_text}, which SSIM needs; lower it, or "
            "measure larger images"
        )
    return images


def _plane(means: Scores, params: EvaluateParams) -> Plane:
    points = [Point.from_scores(name, scores, name == MODEL) for name, scores in means.items()]
    curve = [params.blend, *blend_names(params), MODEL] if params.blend is not None else []
    return Plane(points, [curve] if curve else [])


def _measure(
    loaded: _Loaded, params: EvaluateParams, timings: Timings, progress: Progress
) -> tuple[list[Scores], dict[str, dict[str, float]]]:
    """Return the scores of each image, and method → metric of its set of results.

    Adds the seconds of each method to `timings`.
    """
    images = loaded.images
    image_scores: list[Scores] = []
    smallest_side = images.smallest.shorter_side
    patch_sets = PatchSets(len(images), smallest_side, params.seed)
    descriptor_sets = DescriptorSets()
    with task(progress, "evaluate", len(images), "image"):
        for index, image in enumerate(images.images):
            lr, hr = images.pair(index)
            results = loaded.methods.upscale(lr, image.name, timings)
            work = f"metrics of {image.name}, {image.size_text}"
            with naming_memory_faults(work, MEMORY_ADVICE):
                measured = measure_image(
                    results,
                    hr,
                    params.crop_border,
                    loaded.perceptual,
                    loaded.device,
                    smallest_side,
                )
                patch_sets.add({**results, ORIGINAL: hr})
            descriptor_sets.add(measured.descriptors)
            image_scores.append(measured.scores)
            progress.update(index + 1, psnr_y=measured.scores[MODEL]["psnr_y"])
    with naming_memory_faults("metrics of the whole set", FEWER_IMAGES):
        return image_scores, _set_scores(patch_sets, descriptor_sets)


def _set_scores(
    patch_sets: PatchSets, descriptor_sets: DescriptorSets
) -> dict[str, dict[str, float]]:
    scores = {
        method: {"swd": distance.mean}
        | {f"swd_{side}": value for side, value in distance.levels.items()}
        for method, distance in patch_sets.distances(ORIGINAL).items()
    }
    for method, value in descriptor_sets.distances(ORIGINAL).items():
        scores[method]["kvd"] = value
    return scores


def worst_images(image_scores: Sequence[Scores]) -> dict[int, list[Metric]]:
    """Return image index → metrics by which the trained generator is worst on it."""
    worst: dict[int, list[Metric]] = defaultdict(list)
    for metric in (METRIC_BY_KEY[key] for key in IMAGE_METRICS if key in image_scores[0][MODEL]):
        values = [metric.gain(scores[MODEL][metric.key], 0) for scores in image_scores]
        worst[values.index(min(values))].append(metric)
    return dict(worst)


@dataclass(frozen=True)
class _ExampleMaker:
    """Makes the example images of the reports, with all methods' results and a detail."""

    images: PairedImages
    methods: UpscalingMethods
    image_scores: Sequence[Scores]
    params: EvaluateParams

    @property
    def _baseline(self) -> str:
        return baseline_of(self.methods.scale)

    def ranked(self, metric: Metric) -> list[ExampleImage]:
        """Return images from the largest gain over the baseline by `metric` to the least."""
        gains = [
            metric.gain(scores[MODEL][metric.key], scores[self._baseline][metric.key])
            for scores in self.image_scores
        ]
        return [
            self._example(index, [metric]) for index in choose_images(gains, self.params.pictures)
        ]

    def worst(self) -> list[ExampleImage]:
        """Return each image that is the worst by some metric."""
        return [
            self._example(index, metrics)
            for index, metrics in worst_images(self.image_scores).items()
        ]

    def _example(self, index: int, captions: Sequence[Metric]) -> ExampleImage:
        name, (lr, hr) = self.images.images[index].name, self.images.pair(index)
        results = self.methods.upscale(lr, name)
        hidden = blend_names(self.params)
        example = ExampleImage(
            name=name,
            lr=lr,
            results={name: result for name, result in results.items() if name not in hidden},
            original=hr,
            scores=self.image_scores[index],
            box=choose_crop(
                results[MODEL], results[self._baseline], self.params.detail, self.methods.scale
            ),
            captions=captions,
        )
        return example.cut(MAX_SHOWN // self.methods.scale * self.methods.scale)

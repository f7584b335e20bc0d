"""The whole evaluation: a split's images, every method, all metrics, and the reports of it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.devices import pick_device
from pipeline.errors import UsageError
from pipeline.evaluation.comparison import Picture, choose_detail, choose_images
from pipeline.evaluation.interpolation import BASELINE, UNSEEN
from pipeline.evaluation.kvd import DescriptorSets
from pipeline.evaluation.measurement import BY_KEY, PER_IMAGE, Figures, Metric, means, measure
from pipeline.evaluation.methods import MODEL, ORIGINAL, RESERVED, Methods
from pipeline.evaluation.pairs import Pairs
from pipeline.evaluation.perceptual import Judges, find_judges
from pipeline.evaluation.report import Evaluation, write_reports
from pipeline.evaluation.swd import PatchSets
from pipeline.metrics import SSIM_WINDOW
from pipeline.networks import Generator
from pipeline.networks.blending import blend_generators
from pipeline.networks.files import LoadedGenerator, load_generator
from pipeline.params import EvaluateParams
from pipeline.progress import Progress, Silent


def evaluate(
    params: EvaluateParams,
    manifest: Path,
    resized: Path,
    model: Path,
    reports: Path,
    revision: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the generator in `model` beside other methods, and write all reports.

    `manifest` and `resized` are the data stages' results; `reports` also holds their summaries and
    the training curves, which the page shows where they are. `revision` names the code. What is
    written follows from the arguments and those files alone. Raises `PipelineError` where an input
    is missing or damaged, `UsageError` where the params do not fit the images.
    """
    progress = progress or Silent()
    device = pick_device(params.device)
    loaded = load_generator(model, device)
    _refuse_names(params)
    models = _models(params, loaded, device)
    blends = _blends(params, models)
    folders = {name: Path(folder) for name, folder in params.results.items()}
    methods = Methods(models | blends, loaded.generator.scale, folders)
    images = Pairs.of_split(
        manifest, resized, params.split, methods.scale, params.max_images, params.degradation
    )
    side = images.side
    _refuse_border(params, side)
    judges = find_judges(params, side, device)
    figures, of_sets = _measure(images, methods, judges, params, device, progress)
    ranked_by = BY_KEY["psnr_y" if judges.lpips is None else "lpips"]
    gains = [
        ranked_by.gain(of_one[MODEL][ranked_by.key], of_one[BASELINE][ranked_by.key])
        for of_one in figures
    ]
    shown = [name for name in methods.names if name not in (*UNSEEN, *blends)]
    pictures = _Pictures(images, methods, shown, figures, params.detail)
    evaluation = Evaluation(
        params=params,
        scale=methods.scale,
        rows=images.rows,
        figures=figures,
        means=means(figures, of_sets),
        pictures=[pictures(index, [ranked_by]) for index in choose_images(gains, params.pictures)],
        worst=[pictures(index, metrics) for index, metrics in worst_images(figures).items()],
        blended=[params.blend, *blends, MODEL] if params.blend is not None else [],
        models=tuple(models),
        ranked_by=ranked_by,
        judges=judges,
        metadata=loaded.metadata,
        generator_parameters=sum(tensor.numel() for tensor in loaded.generator.parameters()),
    )
    write_reports(reports, evaluation, manifest, model, revision)
    return evaluation


def _refuse_names(params: EvaluateParams) -> None:
    names = [*RESERVED, *params.models, *params.results]
    for name, count in Counter(names).items():
        if count > 1:
            raise UsageError(f"evaluate: {name} is the name of another method; take another one")


def _models(
    params: EvaluateParams, trained: LoadedGenerator, device: torch.device
) -> dict[str, Generator]:
    models = {MODEL: trained.generator}
    for name, path in params.models.items():
        other = load_generator(Path(path), device).generator
        if other.scale != trained.generator.scale:
            raise UsageError(
                f"evaluate.models: {name} enlarges {other.scale} times, the trained generator "
                f"{trained.generator.scale} times; their results cannot be compared"
            )
        models[name] = other
    return models


def _blends(params: EvaluateParams, models: Mapping[str, Generator]) -> dict[str, Generator]:
    """The networks between `params.blend` and the trained one, from the former to the latter."""
    return {
        name: blend_generators(models[str(params.blend)], models[MODEL], alpha).eval()
        for name, alpha in _alphas(params).items()
    }


def _alphas(params: EvaluateParams) -> dict[str, float]:
    if params.blend is None:
        return {}
    alphas = [step / (params.blend_steps + 1) for step in range(1, params.blend_steps + 1)]
    return {f"{params.blend} {alpha:.2g}": alpha for alpha in alphas}


def _refuse_border(params: EvaluateParams, side: int) -> None:
    if side - 2 * params.crop_border < SSIM_WINDOW:
        raise UsageError(
            f"evaluate.crop_border: {params.crop_border} leaves less than {SSIM_WINDOW} pixels "
            f"of images of {side}, which SSIM needs"
        )


def _measure(
    images: Pairs,
    methods: Methods,
    judges: Judges,
    params: EvaluateParams,
    device: torch.device,
    progress: Progress,
) -> tuple[list[Figures], Figures]:
    """Each image's figures, and of each method what is measured of its results as a whole."""
    figures: list[Figures] = []
    patches, contents = PatchSets(len(images), params.seed), DescriptorSets()
    progress.start("evaluate", len(images), "image")
    try:
        for index, row in enumerate(images.rows):
            lr, original = images.pair(index)
            results = methods.results(lr, row.name)
            measured = measure(results, original, params.crop_border, judges, device)
            patches.add({**results, ORIGINAL: original})
            contents.add(measured.descriptors)
            figures.append(measured.figures)
            progress.update(index + 1, psnr_y=measured.figures[MODEL]["psnr_y"])
    finally:
        progress.finish()
    of_sets = {
        method: {"swd": distance.mean}
        | {f"swd_{side}": value for side, value in distance.levels.items()}
        for method, distance in patches.distances(ORIGINAL).items()
    }
    for method, value in contents.distances(ORIGINAL).items():
        of_sets[method]["kvd"] = value
    return figures, of_sets


def worst_images(figures: Sequence[Figures]) -> dict[int, list[Metric]]:
    """Indices of the images for which the trained generator is worst, and by which metrics."""
    worst: dict[int, list[Metric]] = defaultdict(list)
    for metric in (BY_KEY[key] for key in PER_IMAGE if key in figures[0][MODEL]):
        values = [metric.gain(of_one[MODEL][metric.key], 0) for of_one in figures]
        worst[values.index(min(values))].append(metric)
    return dict(worst)


@dataclass(frozen=True)
class _Pictures:
    """Makes what is shown of an image: `shown` methods' results, and a detail."""

    images: Pairs
    methods: Methods
    shown: Sequence[str]
    figures: Sequence[Figures]
    detail: int

    def __call__(self, index: int, captions: Sequence[Metric]) -> Picture:
        row, (lr, original) = self.images.rows[index], self.images.pair(index)
        results = self.methods.results(lr, row.name)
        box = choose_detail(results[MODEL], results[BASELINE], self.detail, self.methods.scale)
        versions = {name: results[name] for name in self.shown} | {ORIGINAL: original}
        return Picture(row.name, lr, versions, self.figures[index], box, captions)

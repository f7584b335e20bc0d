"""The whole evaluation: a split's images, every method, all metrics, and the reports of it."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.devices import pick_device
from pipeline.errors import PipelineError, UsageError
from pipeline.evaluation.baselines import BASELINE
from pipeline.evaluation.measuring import BY_KEY, Figures, Methods, means, measure
from pipeline.evaluation.pictures import Picture, choose_detail, choose_images, spread
from pipeline.evaluation.reporting import MODEL, Evaluation, write_reports
from pipeline.evaluation.swd import Distance, PatchSets
from pipeline.images.shards import read_image
from pipeline.manifest import Row, read_manifest
from pipeline.metrics import SSIM_WINDOW
from pipeline.networks.files import load_generator
from pipeline.networks.lpips import SMALLEST_SIDE, Lpips
from pipeline.networks.weights import WeightsMissing, backbone_state
from pipeline.params import EvaluateParams
from pipeline.progress import Progress, Silent

ORIGINAL = "original"


def evaluate(
    params: EvaluateParams,
    manifest: Path,
    resized: Path,
    model: Path,
    reports: Path,
    revision: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the generator in `model` beside interpolation, and write all reports.

    `manifest` and `resized` are the data stages' results; `reports` also holds their summaries and
    the training curves, which the page shows where they are. `revision` names the code. What is
    written follows from the arguments and those files alone. Raises `PipelineError` where an input
    is missing or damaged, `UsageError` where the params do not fit the images.
    """
    progress = progress or Silent()
    device = pick_device(params.device)
    loaded = load_generator(model, device)
    methods = Methods({MODEL: loaded.generator}, loaded.generator.scale)
    images = _Images(manifest, resized, params, methods.scale)
    perceptual = _perceptual(params, images.side, device)
    figures, distances = _measure(images, methods, perceptual.network, params, device, progress)
    ranked_by = BY_KEY["psnr_y" if perceptual.network is None else "lpips"]
    gains = [
        ranked_by.gain(of_one[MODEL][ranked_by.key], of_one[BASELINE][ranked_by.key])
        for of_one in figures
    ]
    evaluation = Evaluation(
        params=params,
        scale=methods.scale,
        rows=images.rows,
        figures=figures,
        means=means(figures, distances),
        pictures=[
            _picture(images.rows[index], images.original(index), methods, figures[index], params)
            for index in choose_images(gains, params.pictures)
        ],
        ranked_by=ranked_by,
        without_lpips=perceptual.reason,
        alexnet=perceptual.origin,
        metadata=loaded.metadata,
        generator_parameters=sum(tensor.numel() for tensor in loaded.generator.parameters()),
    )
    write_reports(reports, evaluation, manifest, model, revision)
    return evaluation


class _Images:
    """The chosen images of the split, cropped to a multiple of the scale."""

    def __init__(self, manifest: Path, resized: Path, params: EvaluateParams, scale: int) -> None:
        rows = [row for row in read_manifest(manifest) if row.split == params.split]
        if not rows:
            raise PipelineError(
                f"{manifest}: no image in the split {params.split}; raise "
                f"manifest.{params.split}_fraction, or set evaluate.split to the other one"
            )
        chosen = spread(len(rows), params.max_images or len(rows))
        self.rows: list[Row] = [rows[index] for index in chosen]
        self._resized, self._scale = resized, scale
        self.side = min(self.original(0).shape[-2:])
        if self.side - 2 * params.crop_border < SSIM_WINDOW:
            raise UsageError(
                f"evaluate.crop_border: {params.crop_border} leaves less than {SSIM_WINDOW} pixels "
                f"of images of {self.side}, which SSIM needs"
            )

    def __len__(self) -> int:
        return len(self.rows)

    def original(self, index: int) -> torch.Tensor:
        """(3, H, W) uint8."""
        pixels = torch.from_numpy(read_image(self._resized, self.rows[index])).permute(2, 0, 1)
        height, width = (side // self._scale * self._scale for side in pixels.shape[-2:])
        return pixels[:, :height, :width].contiguous()


@dataclass(frozen=True)
class _Perceptual:
    """LPIPS with where its backbone comes from, or why there is none."""

    network: Lpips | None = None
    origin: str = ""
    reason: str = ""


def _perceptual(params: EvaluateParams, side: int, device: torch.device) -> _Perceptual:
    if params.lpips == "off":
        return _Perceptual(reason="evaluate.lpips is off.")
    if side < SMALLEST_SIDE:
        return _Perceptual(reason=f"AlexNet needs images of {SMALLEST_SIDE} pixels or more.")
    try:
        state, origin = backbone_state("alexnet", "imagenet")
    except WeightsMissing as error:
        return _Perceptual(reason=f"AlexNet's ImageNet weights are not to be had: {error}.")
    return _Perceptual(Lpips(state).to(device), origin)


def _measure(
    images: _Images,
    methods: Methods,
    perceptual: Lpips | None,
    params: EvaluateParams,
    device: torch.device,
    progress: Progress,
) -> tuple[list[Figures], dict[str, Distance]]:
    """Each image's figures, and each method's distance between the sets."""
    figures: list[Figures] = []
    sets = PatchSets(len(images), params.seed)
    progress.start("evaluate", len(images), "image")
    try:
        for index in range(len(images)):
            original = images.original(index)
            results = methods.results(methods.lr(original))
            of_one = measure(results, original, params.crop_border, perceptual, device)
            sets.add({**results, ORIGINAL: original})
            figures.append(of_one)
            progress.update(index + 1, psnr_y=of_one[MODEL]["psnr_y"])
    finally:
        progress.finish()
    return figures, sets.distances(ORIGINAL)


def _picture(
    row: Row,
    original: torch.Tensor,
    methods: Methods,
    figures: Figures,
    params: EvaluateParams,
) -> Picture:
    lr = methods.lr(original)
    results = methods.results(lr)
    box = choose_detail(results[MODEL], results[BASELINE], params.detail, methods.scale)
    return Picture(row.name, lr, {**results, ORIGINAL: original}, figures, box)

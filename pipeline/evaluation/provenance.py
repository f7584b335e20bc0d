"""What the report says of its inputs: hashes, versions, the trained generator's metadata."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import PipelineError
from pipeline.evaluation.folder_pairs import FolderPairs
from pipeline.evaluation.origins import shown_folder
from pipeline.evaluation.pairs import PairedImages
from pipeline.evaluation.perceptual import PerceptualMetrics
from pipeline.evaluation.result_files import ResultFiles
from pipeline.files import sha256_of
from pipeline.manifest.rows import read_manifest, train_images_sha256
from pipeline.networks.files import LoadedGenerator
from pipeline.params import EvaluateParams
from pipeline.shipped import named_file

SUMMARIES = ("scrape", "resize", "manifest")


@dataclass(frozen=True)
class Inputs:
    """The files of an evaluation, and the code that evaluates."""

    manifest_file: Path
    """not read, and its shards neither, where images of a folder are measured"""
    shard_folder: Path
    model_file: Path
    revision: str | None = None
    """of the code; None outside git"""

    @cached_property
    def manifest_sha256(self) -> str:
        """SHA-256 of the manifest."""
        return sha256_of(self.manifest_file)

    @cached_property
    def train_images_sha256(self) -> str:
        """SHA-256 of the manifest's training images. Raises `PipelineError`."""
        return train_images_sha256(read_manifest(self.manifest_file))


def describe_inputs(
    inputs: Inputs,
    trained: LoadedGenerator,
    params: EvaluateParams,
    images: PairedImages,
    results: Mapping[str, ResultFiles],
    perceptual: PerceptualMetrics,
    device: str,
) -> dict[str, Any]:
    """Return the page's table of provenance: label → value."""
    metadata = trained.metadata
    return {
        "program": f"anime-sr-pipeline {version('anime-sr-pipeline')}",
        "commit of this folder": inputs.revision or "not in a git repository",
        "PyTorch": str(torch.__version__),
        "Python": platform.python_version(),
        "device": device,
        "precision": "fp32",
        "generator": metadata.get("architecture", "unknown"),
        "generator's parameters": trained.generator.parameter_count,
        "generator's file, SHA-256": sha256_of(inputs.model_file),
        **{
            f"file of {name}, SHA-256": sha256_of(named_file(path))
            for name, path in params.models.items()
        },
        **{f"results of {name}, SHA-256": files.sha256() for name, files in results.items()},
        **_training(metadata),
        **{
            f"backbone's weights of {metrics}": origin
            for metrics, origin in perceptual.origins.items()
        },
        **_measured(inputs, metadata, params, images),
    }


def _measured(
    inputs: Inputs, metadata: Mapping[str, str], params: EvaluateParams, images: PairedImages
) -> dict[str, Any]:
    """Return what was measured: images of the manifest, or of a folder."""
    trained_on = _trained_on(metadata)
    if not isinstance(images, FolderPairs):
        return {
            "manifest measured, SHA-256": inputs.manifest_sha256,
            "its training images, SHA-256": inputs.train_images_sha256,
            **trained_on,
            "images measured": len(images),
            "split": params.split,
        }
    return {
        **trained_on,
        "images measured": len(images),
        "images measured, SHA-256": images.sha256,
        "folder of HR images": shown_folder(str(params.hr_folder)),
        "folder of LR images": "none: made of HR"
        if params.lr_folder is None
        else shown_folder(params.lr_folder),
    }


def _trained_on(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the hashes of what a model was trained on: a manifest, folders, or both."""
    labels = {
        "train_images_sha256": "images of a manifest trained on, SHA-256",
        "folders_sha256": "folders trained on, SHA-256",
    }
    known = {label: metadata[key] for key, label in labels.items() if key in metadata}
    return known or {labels["train_images_sha256"]: "unknown"}


def _training(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return what the metadata of a model say of its training."""
    return {
        "trained for, steps": metadata.get("step", "unknown"),
        "trained on device": metadata.get("device", "unknown"),
        "trained in precision": metadata.get("precision", "unknown"),
        "trained with PyTorch": metadata.get("torch", "unknown"),
        "trained by code, hash": metadata.get("code", "unknown"),
        "trained with a discriminator": metadata.get("adversarial") == "true",
        "VGG16 weights of the content loss": metadata.get("vgg", "unknown"),
    }


def read_summaries(folder: Path) -> dict[str, Any]:
    """Return data stage → its summary, of those in `folder`.

    Raises `PipelineError` if one is damaged.
    """
    summaries = {}
    for name in SUMMARIES:
        path = folder / f"{name}.json"
        if path.is_file():
            summaries[name] = _parse_json(path.read_bytes(), path)
    return summaries


def _parse_json(text: str | bytes, source: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{source}: damaged JSON ({error}); make it again") from None

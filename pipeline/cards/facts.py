"""What a generator's file says of itself, for a model card."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.exported_files import model_id
from pipeline.files import sha256_of
from pipeline.networks.files import load_named_generator
from pipeline.networks.tensor_files import printable_line

MAX_DEPTH = 4
"""Levels of a JSON object in metadata: an untrusted file may have any number."""


@dataclass(frozen=True)
class ModelFacts:
    """Facts of a generator and its file. Unknown ones are None or empty."""

    name: str
    """the file's, without its ending"""
    suffix: str
    bytes: int
    sha256: str
    architecture: str
    config: Mapping[str, int | str]
    scale: int
    parameter_count: int
    about: str | None
    licence: str | None
    """an SPDX id"""
    steps: int | None
    """of the training, without those of the generator that it began with"""
    adversarial: bool | None
    params: Mapping[str, Any]
    """of the section `train`"""
    figures: Mapping[str, str]
    """metrics by name, as text"""
    provenance: Mapping[str, str]
    """further metadata, such as versions and hashes"""

    @property
    def id(self) -> str:
        """`4x-NAME`, as OpenModelDB and exported files name models."""
        return model_id(self.name, self.scale)

    @property
    def init(self) -> str | None:
        """The name of the generator whose weights the training began with."""
        init = self.params.get("init")
        return printable_line(Path(init).stem) if isinstance(init, str) and init else None

    @classmethod
    def of(cls, path: Path) -> "ModelFacts":
        """Read a generator's file, the argument `model`. Raises `PipelineError` that names it."""
        loaded = load_named_generator("model", path)
        generator, metadata = loaded.generator, loaded.metadata
        try:
            return cls(
                name=path.stem,
                suffix=path.suffix.lower(),
                bytes=path.stat().st_size,
                sha256=sha256_of(path),
                architecture=metadata["architecture"],
                config=generator.config,
                scale=generator.scale,
                parameter_count=generator.parameter_count,
                about=_text(metadata, "about"),
                licence=_text(metadata, "licence"),
                steps=int(metadata["step"]) if "step" in metadata else None,
                adversarial=_adversarial(metadata),
                params=_mapping(metadata, "params"),
                figures=_texts(_mapping(metadata, "figures")),
                provenance=_texts({key: metadata[key] for key in PROVENANCE if key in metadata}),
            )
        except ValueError as error:
            raise PipelineError(f"{path}: its metadata cannot be read: {error}") from None


PROVENANCE = {
    "train_images_sha256": "SHA-256 of its images of a manifest",
    "manifest_sha256": "SHA-256 of the manifest of its images",
    "folders_sha256": "SHA-256 of its images in folders",
    "vgg": "weights of the content loss",
    "torch": "PyTorch",
    "device": "computed on",
    "precision": "computed in",
    "code": "hash of the code that trained it",
    "blend_alpha": "blend: share of the second generator",
    "blend_distortion_sha256": "SHA-256 of the first generator's file",
    "blend_perception_sha256": "SHA-256 of the second generator's file",
}
"""Metadata of a generator's file (docs/formats.md), and what they are."""


def _text(metadata: Mapping[str, str], key: str) -> str | None:
    return printable_line(metadata[key]) if metadata.get(key) else None


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {printable_line(key): printable_line(str(value)) for key, value in values.items()}


def _adversarial(metadata: Mapping[str, str]) -> bool | None:
    return {"true": True, "false": False}.get(metadata.get("adversarial", ""))


def _mapping(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    """Return a JSON object of the metadata, empty if there is none. Raises `ValueError`."""
    try:
        value = json.loads(metadata.get(key, "{}"))
    except RecursionError:
        value = None
    if not isinstance(value, dict) or _is_deeper(value, MAX_DEPTH):
        raise ValueError(f"{key} is no JSON object of up to {MAX_DEPTH} levels")
    return value


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(child, levels - 1) for child in children)

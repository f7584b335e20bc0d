"""Models as OpenModelDB's JSON files have them: `data/models/ID.json`.

Source: src/lib/schema.ts and src/lib/model-props.ts of
https://github.com/OpenModelDB/open-model-database (August 2026).
"""

import json

from pipeline.cards.facts import ModelFacts
from pipeline.exported_files import model_id
from pipeline.params.degradation import DAMAGES

ARCHITECTURES = {
    "rrdb": "esrgan",
    "rcan": "rcan",
    "srresnet": "sr-res-net",
    "span": "span",
    "compact": "compact",
    "realesrgan compact": "compact",
}
"""Ids of data/architectures.json by this program's and spandrel's names, in lower case."""
RESOURCE_TYPES = {".safetensors": "safetensors", ".pth": "pth", ".onnx": "onnx"}
DAMAGE_TAGS = ("compression-removal", "denoise", "jpeg")
"""Tags for a degradation that damages."""


def openmodeldb_card(facts: ModelFacts) -> str:
    """Return the JSON text of a generator.

    Required fields that are unknown are null, as are author and date, which no file knows: the
    site's validator names them. Optional ones that are unknown are left out.
    """
    card: dict[str, object] = {
        "name": facts.name,
        "author": None,
        "license": facts.licence,
        "tags": _tags(facts) or None,
        "description": facts.about,
        "date": None,
        "architecture": _architecture(facts),
        "size": _size(facts),
        "scale": facts.scale,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [_resource(facts)],
    }
    known = {key: value for key, value in _training(facts).items() if value is not None}
    return json.dumps(card | known | {"images": []}, indent=4, ensure_ascii=False) + "\n"


def _architecture(facts: ModelFacts) -> str | None:
    """Return OpenModelDB's id; most of its ids are spandrel's in lower case."""
    name = facts.architecture.lower()
    return None if facts.suffix == ".onnx" else ARCHITECTURES.get(name, name)


def _tags(facts: ModelFacts) -> list[str]:
    # Without params it is not known what the network was trained for.
    if not facts.params:
        return []
    return ["anime", *(DAMAGE_TAGS if facts.params.get("degradation") in DAMAGES else ())]


def _size(facts: ModelFacts) -> list[str] | None:
    """Return numbers of features and of blocks as the site writes them: `64nf`, `23nb`."""
    units = {"features": "nf", "blocks": "nb"}
    parts = [f"{facts.config[key]}{unit}" for key, unit in units.items() if key in facts.config]
    return parts or None


def _resource(facts: ModelFacts) -> dict[str, object]:
    return {
        "platform": "onnx" if facts.suffix == ".onnx" else "pytorch",
        "type": RESOURCE_TYPES.get(facts.suffix),
        "size": facts.bytes,
        "sha256": facts.sha256,
        "urls": [],
    }


def _training(facts: ModelFacts) -> dict[str, object]:
    params = facts.params
    return {
        "trainingIterations": facts.steps,
        "trainingBatchSize": params.get("batch"),
        "trainingHRSize": params.get("crop"),
        "trainingOTF": params["degradation"] != "none" if "degradation" in params else None,
        "dataset": _dataset(facts),
        "pretrainedModelG": facts.init and model_id(facts.init, facts.scale),
    }


def _dataset(facts: ModelFacts) -> str | None:
    """Return what is known of the images that a model was trained on."""
    origins = {
        "train_images_sha256": "images of a manifest with SHA-256",
        "manifest_sha256": "images of the manifest with SHA-256",
        "folders_sha256": "images of folders with SHA-256",
    }
    known = [
        f"{name} {facts.provenance[key]}"
        for key, name in origins.items()
        if key in facts.provenance
    ]
    return ", ".join(known) or None

"""Model cards: what the file knows, and nothing else."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pipeline.cards.facts import ModelFacts
from pipeline.cards.hugging_face import card_head, hugging_face_card
from pipeline.cards.openmodeldb import openmodeldb_card
from pipeline.errors import PipelineError
from pipeline.files import sha256_of
from pipeline.networks import RRDBNet
from pipeline.networks.files import save_generator
from pipeline.params import Params
from pipeline.params.text import params_text
from pipeline.shipped import shipped_models

MODELS = shipped_models()
# Of trainings that began with generators that are not shipped, the shipped one before those.
BASES = {
    "article-perception": "article-distortion",
    "perception": "distortion",
    "web": "distortion",
}
PARAMS = {"batch": 8, "crop": 96, "degradation": "web", "init": "models/first.safetensors"}
METADATA = {
    "step": "7000",
    "params": json.dumps(PARAMS),
    "adversarial": "true",
    "train_images_sha256": "ab" * 32,
    "licence": "CC-BY-4.0",
    "about": "Lines\nand --- colours.",
    "figures": json.dumps({"PSNR_Y": "30 dB"}),
    "torch": "2.14",
}


def facts_of(path: Path, metadata: dict[str, str]) -> ModelFacts:
    save_generator(path, RRDBNet(blocks=2, features=8), metadata)
    return ModelFacts.of(path)


def head_of(card: str) -> dict[str, object]:
    """The YAML between a card's first lines of dashes."""
    found = re.match(r"---\n(.*?\n)---\n\n", card, re.DOTALL)
    assert found is not None
    return dict(YAML(typ="safe").load(found[1]))


def test_a_card_begins_with_the_head_that_the_hub_reads(tmp_path: Path) -> None:
    facts = facts_of(tmp_path / "mine.safetensors", METADATA)
    card = hugging_face_card(facts)
    assert head_of(card) == {
        "library_name": "anime-sr-pipeline",
        "pipeline_tag": "image-to-image",
        "license": "cc-by-4.0",
        "tags": ["super-resolution", "image-upscaling", "4x", "rrdb", "gan"],
    }
    for text in (
        "\n# 4x-mine\n\nLines and --- colours.\n",
        "7,000 steps, from the weights of first.",
        "  crop: 96\n",
        facts.sha256,
        "ab" * 32,
        "| PSNR_Y   | 30 dB   |",
    ):
        assert text in card


def test_restoration_is_no_upscaling(tmp_path: Path) -> None:
    save_generator(tmp_path / "clean.safetensors", RRDBNet(1, blocks=1, features=8), {})
    facts = ModelFacts.of(tmp_path / "clean.safetensors")
    assert card_head(facts)["tags"] == ["image-restoration", "1x", "rrdb"]
    assert facts.id == "1x-clean"


def test_null_is_written_out_and_params_files_stay_as_they_were(tmp_path: Path) -> None:
    metadata = METADATA | {"params": json.dumps({"init": None, "batch": 8})}
    card = hugging_face_card(facts_of(tmp_path / "mine.safetensors", metadata))
    assert "\n  init: null\n  batch: 8\n" in card
    assert "\n  min_jpeg_quality:\n" in params_text(Params())


def test_what_is_unknown_is_left_out(tmp_path: Path) -> None:
    card = hugging_face_card(facts_of(tmp_path / "mine.safetensors", {}))
    assert {"license", "base_model"}.isdisjoint(head_of(card))
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == ["File"]
    assert "None" not in card


@pytest.mark.parametrize(("degradation", "count"), [("none", 1), ("light", 4), ("heavy", 4)])
def test_openmodeldb_has_tags_of_what_is_repaired(
    degradation: str, count: int, tmp_path: Path
) -> None:
    metadata = METADATA | {"params": json.dumps(PARAMS | {"degradation": degradation})}
    card = json.loads(openmodeldb_card(facts_of(tmp_path / "mine.safetensors", metadata)))
    assert len(card["tags"]) == count


def test_openmodeldb_has_its_own_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    card = json.loads(openmodeldb_card(facts_of(path, METADATA)))
    assert card == {
        "name": "mine",
        "author": None,
        "license": "CC-BY-4.0",
        "tags": ["anime", "compression-removal", "denoise", "jpeg"],
        "description": "Lines and --- colours.",
        "date": None,
        "architecture": "esrgan",
        "size": ["8nf", "2nb"],
        "scale": 4,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [
            {
                "platform": "pytorch",
                "type": "safetensors",
                "size": path.stat().st_size,
                "sha256": sha256_of(path),
                "urls": [],
            }
        ],
        "trainingIterations": 7000,
        "trainingBatchSize": 8,
        "trainingHRSize": 96,
        "trainingOTF": True,
        "dataset": f"images of a manifest with SHA-256 {'ab' * 32}",
        "pretrainedModelG": "4x-first",
        "images": [],
    }


def test_openmodeldb_gets_null_for_what_it_requires_and_nothing_else(tmp_path: Path) -> None:
    card = json.loads(openmodeldb_card(facts_of(tmp_path / "mine.safetensors", {})))
    required = ("author", "license", "tags", "description", "date")
    assert [key for key, value in card.items() if value is None] == list(required)
    assert not [key for key in card if key.startswith(("training", "pretrained", "dataset"))]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"params": "{"}, "Expecting property name"),
        ({"params": "[]"}, "params is no JSON object"),
        ({"params": '{"a":' * 9 + "1" + "}" * 9}, "params is no JSON object of up to 4 levels"),
        ({"figures": "[" * 200_000}, "figures is no JSON object"),
        ({"step": "many"}, "invalid literal"),
    ],
)
def test_metadata_that_cannot_be_read_are_named(
    metadata: dict[str, str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(PipelineError, match=rf"mine\.safetensors: its metadata .*{reason}"):
        facts_of(tmp_path / "mine.safetensors", metadata)


@pytest.mark.parametrize("name", MODELS)
def test_shipped_cards_begin_with_the_head_of_their_files(name: str) -> None:
    head = head_of(MODELS[name].with_suffix(".md").read_text(encoding="utf-8"))
    assert head.pop("base_model", None) == BASES.get(name)
    of_file = card_head(ModelFacts.of(MODELS[name]))
    of_file.pop("base_model", None)
    assert head == of_file

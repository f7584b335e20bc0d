"""Model cards as the Hugging Face Hub reads them: Markdown with a YAML head.

Source of the head's fields: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

import io
from collections.abc import Iterator, Mapping

from ruamel.yaml import YAML
from tabulate import tabulate

from pipeline.cards.facts import PROVENANCE, ModelFacts

LIBRARY = "anime-sr-pipeline"


def hugging_face_card(facts: ModelFacts) -> str:
    """Return the card of a generator. What is unknown is left out."""
    return f"---\n{_yaml(card_head(facts))}---\n\n" + "\n\n".join(_sections(facts)) + "\n"


def card_head(facts: ModelFacts) -> dict[str, object]:
    """Return the fields of the YAML head."""
    head: dict[str, object] = {"library_name": LIBRARY, "pipeline_tag": "image-to-image"}
    if facts.licence is not None:
        # The Hub's ids are SPDX's in lower case.
        head["license"] = facts.licence.lower()
    head["tags"] = _tags(facts)
    return head


def _tags(facts: ModelFacts) -> list[str]:
    task = ["image-restoration"] if facts.scale == 1 else ["super-resolution", "image-upscaling"]
    tags = [*task, f"{facts.scale}x", facts.architecture]
    return [*tags, "gan"] if facts.adversarial else tags


def _sections(facts: ModelFacts) -> Iterator[str]:
    yield f"# {facts.id}"
    if facts.about is not None:
        yield facts.about
    config = ", ".join(f"{name} {value}" for name, value in facts.config.items())
    yield f"{facts.architecture} ({config}); ×{facts.scale}{_parameters(facts)}."
    yield f"```sh\npipeline upscale picture.png --model {facts.name}{facts.suffix}\n```"
    if facts.figures:
        yield f"## Figures\n\n{_table(facts.figures, 'metric', 'value')}"
    if facts.steps is not None or facts.params:
        yield "## Training"
    if facts.steps is not None:
        begun = "" if facts.init is None else f", from the weights of {facts.init}"
        yield f"{facts.steps:,} steps{begun}."
    if facts.params:
        yield f"```yaml\ntrain:\n{_indented(_yaml(facts.params))}```"
    names = {PROVENANCE[key]: value for key, value in facts.provenance.items()}
    file = {"bytes": str(facts.bytes), "SHA-256": facts.sha256}
    yield f"## File\n\n{_table(names | file, f'{facts.name}{facts.suffix}', '')}"


def _parameters(facts: ModelFacts) -> str:
    # Those of an ONNX file are not counted.
    return f"; {facts.parameter_count:,} parameters" if facts.parameter_count else ""


def _table(rows: Mapping[str, str], *header: str) -> str:
    text: str = tabulate(list(rows.items()), header, tablefmt="github", disable_numparse=True)
    return text


def _yaml(value: Mapping[str, object]) -> str:
    # Unlike the default type it writes `null` as such; but it sorts the keys unless told not to.
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.indent(sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(dict(value), stream)
    return stream.getvalue()


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())

"""The reference page of all params, made from their schema."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from pipeline.params import Params, section_type
from pipeline.params.kinds import kinds_of, names_of_all
from pipeline.params.section import Section

HEAD = """\
# Params

`params.yaml` holds every param, with the same descriptions as comments. Each is an option of its
stage's command, too: `train.adv_weight` is `pipeline train --adv-weight`, and
`train.generator.kind` is `--generator.kind`. For one experiment with other values:

```sh
dvc exp run -S train.adv_weight=0
```

A wrong name, type or value ends in one line with file, line and key, and so do params that
contradict each other. Editors complete and check `params.yaml` by `params.schema.json`.
"""

Kinds = Mapping[str, type[Section]]


def params_page() -> str:
    """Return the page, in Markdown: a heading for each section and each param."""
    parts = [HEAD]
    for name, field in Params.model_fields.items():
        parts.append(f"## {name}\n\n{field.description}\n")
        section = section_type(name)
        for own, own_field in section.model_fields.items():
            kinds = kinds_of(own_field.annotation)
            key = f"{name}.{own}"
            parts += _with_kinds(key, own_field, kinds) if kinds else [_plain(key, section, own)]
    return "\n".join(parts)


def _plain(key: str, section: type[Section], name: str) -> str:
    field = section.model_fields[name]
    return f"### {key}\n\n{_facts(section, name)}\n\n{escaped(field.description)}\n"


def _with_kinds(key: str, field: FieldInfo, kinds: Kinds) -> Iterator[str]:
    """Yield a section that has kinds: the kind, then each param of any of them."""
    choices = " | ".join(f"`{kind}`" for kind in kinds)
    default = field.get_default(call_default_factory=True).kind
    yield f"### {key}.kind\n\n{choices} · default `{default}`\n\n{escaped(field.description)}\n"
    for kind, section in kinds.items():
        yield f"- `{kind}`: {section.__doc__}"
    yield ""
    for name in names_of_all(kinds):
        yield _of_kinds(f"{key}.{name}", name, kinds)


def _of_kinds(key: str, name: str, kinds: Kinds) -> str:
    """Return a param that some kinds have, once for those that have it alike."""
    texts: dict[str, list[str]] = {}
    for kind, section in kinds.items():
        if name in section.model_fields:
            description = escaped(section.model_fields[name].description)
            texts.setdefault(f"{_facts(section, name)}\n\n{description}", []).append(kind)
    parts = [f"### {key}"]
    for text, names in texts.items():
        owners = ", ".join(f"`{kind}`" for kind in names)
        parts.append(text if len(names) == len(kinds) else f"{owners}: {text}")
    return "\n\n".join(parts) + "\n"


def _facts(section: type[Section], name: str) -> str:
    """Return type, range and default of a param."""
    schema = section.model_json_schema()
    default = section().model_dump(mode="json")[name]
    return f"{_type(schema['properties'][name])} · default `{_yaml(default)}`"


def _type(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema's type and range in words."""
    if "anyOf" in schema:
        return "; or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"`{_yaml(choice)}`" for choice in schema["enum"])
    kind = schema["type"]
    if kind == "array":
        least = f"at least {schema['minItems']} of " if "minItems" in schema else ""
        items = schema["items"]
        return f"list of {least}{_type(items) if 'enum' in items else 'texts'}"
    if kind == "object":
        if "properties" in schema:
            return "mapping of [strengths](degradation.md) to numbers or lists"
        if "propertyNames" in schema:
            return f"mapping of {_type(schema['propertyNames'])} to numbers"
        items = next(iter(schema["patternProperties"].values()))
        return f"mapping of names to {'paths' if items['type'] == 'string' else 'numbers'}"
    words = {
        "boolean": "`true` or `false`",
        "integer": "integer",
        "null": "`null`",
        "number": "number",
        "string": "text",
    }
    return words[kind] + _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f", {_number(schema['minimum'])} to {_number(schema['maximum'])}"
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    parts = [f"{word} {_number(schema[key])}" for key, word in limits.items() if key in schema]
    return f", {' and '.join(parts)}" if parts else ""


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _yaml(value: object) -> str:
    """Return a value as `params.yaml` has it, in one line."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def escaped(text: str | None) -> str:
    """Return a description in one line, in which Markdown and HTML find nothing of theirs."""
    return re.sub(r"[<>*\[\]]", r"\\\g<0>", " ".join((text or "").split()))

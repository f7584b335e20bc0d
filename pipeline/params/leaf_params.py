"""The leaves of a section of `params.yaml`, by name: `adv_weight`, `generator.blocks`."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo

from pipeline.params.kinds import kinds_of, names_of_all
from pipeline.params.section import Section


@dataclass(frozen=True)
class LeafParam:
    """A value of a section, without regard to its kind: what an option of a command needs."""

    name: str
    annotation: Any
    description: str


def params_of(section: type[Section]) -> list[LeafParam]:
    """Return the params of a section; in place of one with kinds, those that any kind has."""
    return [param for name, field in section.model_fields.items() for param in _leaves(name, field)]


def value_of(section: Section, name: str) -> Any:
    """Return the value of a param. Raises `AttributeError` where the section's kind has none."""
    value: Any = section
    for part in name.split("."):
        value = getattr(value, part)
    return value


def values_of(section: Section) -> dict[str, Any]:
    """Return the values of the params that the section, with its kind, has."""
    values = {}
    for param in params_of(type(section)):
        with suppress(AttributeError):
            values[param.name] = value_of(section, param.name)
    return values


def with_values(section: Section, values: Mapping[str, object]) -> dict[str, Any]:
    """Return the section as plain values, with those of the params in `values` replaced."""
    content = section.model_dump()
    for name, value in values.items():
        *parents, last = name.split(".")
        target = content
        for parent in parents:
            target = target[parent]
        target[last] = value
    return content


def _leaves(name: str, field: FieldInfo) -> Iterator[LeafParam]:
    kinds = kinds_of(field.annotation)
    if not kinds:
        yield LeafParam(name, field.annotation, field.description or "")
        return
    yield LeafParam(f"{name}.kind", Literal[tuple(kinds)], field.description or "")
    for own_name in names_of_all(kinds):
        yield _merge_kinds(name, own_name, kinds)


def _merge_kinds(name: str, own_name: str, kinds: Mapping[str, type[Section]]) -> LeafParam:
    """Return the param `own_name` of the section `name`, for all kinds that have it.

    Where not all have it, or it differs, its description names the kinds.
    """
    fields = {
        kind: section.model_fields[own_name]
        for kind, section in kinds.items()
        if own_name in section.model_fields
    }
    texts = {kind: field.description or "" for kind, field in fields.items()}
    description = "; ".join(f"{kind}: {text}" for kind, text in texts.items())
    if len(fields) == len(kinds) and len(set(texts.values())) == 1:
        description = next(iter(texts.values()))
    return LeafParam(f"{name}.{own_name}", next(iter(fields.values())).annotation, description)

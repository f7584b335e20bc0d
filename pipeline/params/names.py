"""Names of params within a section of `params.yaml`: `adv_weight`, `generator.blocks`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo

from pipeline.params.kinds import kinds_of
from pipeline.params.section import Section


@dataclass(frozen=True)
class Param:
    """A value of a section, without regard to its kind: what an option of a command needs."""

    name: str
    annotation: Any
    description: str


def params_of(section: type[Section]) -> list[Param]:
    """Return the params of a section; in place of one with kinds, those that any kind has."""
    return [param for name, field in section.model_fields.items() for param in _params(name, field)]


def value_of(section: Section, name: str) -> Any:
    """Return the value of a param. Raises `AttributeError` where the section's kind has none."""
    value: Any = section
    for part in name.split("."):
        value = getattr(value, part)
    return value


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


def _params(name: str, field: FieldInfo) -> Iterator[Param]:
    types = kinds_of(field.annotation)
    if not types:
        yield Param(name, field.annotation, field.description or "")
        return
    yield Param(f"{name}.kind", Literal[tuple(types)], field.description or "")
    for own in dict.fromkeys(own for one in types.values() for own in one.model_fields):
        if own != "kind":
            yield _shared(f"{name}.{own}", own, types)


def _shared(name: str, own: str, types: Mapping[str, type[Section]]) -> Param:
    """Return the param `own` of all kinds that have it."""
    fields = {kind: one.model_fields[own] for kind, one in types.items() if own in one.model_fields}
    texts = {kind: field.description or "" for kind, field in fields.items()}
    annotation = next(iter(fields.values())).annotation
    if len(fields) == len(types) and len(set(texts.values())) == 1:
        return Param(name, annotation, next(iter(texts.values())))
    return Param(name, annotation, "; ".join(f"{kind}: {text}" for kind, text in texts.items()))

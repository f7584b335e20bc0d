"""Sections with a `kind`: each kind has params of its own."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BeforeValidator

from pipeline.params.section import Section, problem_at


def kinds_of(annotation: Any) -> dict[str, type[Section]]:
    """Return the section types of a param by their `kind`; none where it is a plain value."""
    types = [one for one in get_args(annotation) if isinstance(one, type)]
    sections = [one for one in types if issubclass(one, Section)]
    return {section.model_fields["kind"].default: section for section in sections}


def names_of_all(kinds: Mapping[str, type[Section]]) -> list[str]:
    """Return the params that any of the kinds has, but for `kind` itself."""
    names = dict.fromkeys(name for section in kinds.values() for name in section.model_fields)
    return [name for name in names if name != "kind"]


def own_params_only(annotation: Any) -> BeforeValidator:
    """Return the check that a section has no param of another kind.

    One that has its default value is dropped instead: `dvc exp run -S train.generator.kind=rrdb`
    changes the kind alone, and leaves what the file has for the former one.
    """
    types = kinds_of(annotation)
    default = next(iter(types))

    def check(value: object) -> object:
        if isinstance(value, str) and value in types:
            raise problem_at((), f"must be a section of keys; write {{kind: {value}}}")
        if not isinstance(value, Mapping):
            return value
        kind = value.get("kind", default)
        if not isinstance(kind, str) or kind not in types:
            raise problem_at(("kind",), f"{kind!r:.40} should be one of {', '.join(types)}")
        kept: dict[object, object] = {"kind": kind}
        for name, item in value.items():
            others = [one.model_fields[name] for one in types.values() if name in one.model_fields]
            if name in types[kind].model_fields or not others:
                kept[name] = item
            elif item not in [field.default for field in others]:
                raise problem_at((name,), f"{kind} has none; remove it, or choose another kind")
        return kept

    return BeforeValidator(check)

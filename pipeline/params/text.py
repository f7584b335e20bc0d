"""The text of a `params.yaml`: every param with its description as a comment."""

import json
import textwrap
from collections.abc import Iterator, Mapping, MutableMapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.params import Params, is_list
from pipeline.params.section import Section

WIDTH = 100
HEAD = """\
# yaml-language-server: $schema=params.schema.json
# The params of every stage. Check a change with any command, e.g. `pipeline train --help`.
# One experiment with another value: dvc exp run -S train.adv_weight=0
# No value is null. The comment of a list stands below its name, that of the param after it too.
"""


def params_text(params: Params) -> str:
    """Return `params` as a params file, which reads back as `params`.

    It is as `dvc exp run -S` writes it, so that an experiment changes the lines of its params only.
    """
    lines = [HEAD]
    for name, field in Params.model_fields.items():
        lines += _comment(str(field.description), "")
        lines += [f"{name}:", *_section_lines(getattr(params, name), "  "), ""]
    return _as_dvc_writes("\n".join(lines))


def _section_lines(section: Section, indent: str) -> Iterator[str]:
    follows_list = False
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield f"{indent}{name}:"
            inner = f"{indent}  "
            if "kind" in type(value).model_fields:
                yield from _comment(str(field.description), inner)
            yield from _section_lines(value, inner)
            continue
        first, *others = _value_lines(name, value, indent)
        # DVC replaces lists, and with them the comments after them.
        if follows_list or (isinstance(value, tuple) and others):
            yield first
            yield from _comment(field.description or "", f"{indent}  ")
        else:
            yield from _comment(field.description or "", indent)
            yield first
        yield from others
        follows_list = is_list(field.annotation) or _ends_in_list(value)


def _value_lines(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, tuple) and value:
        yield f"{indent}{name}:"
        yield from (f"{indent}- {_scalar(item)}" for item in value)
    elif isinstance(value, Mapping) and value:
        yield f"{indent}{name}:"
        yield from (f"{indent}  {_scalar(key)}: {_item(item)}" for key, item in value.items())
    else:
        yield f"{indent}{name}: {_scalar(value)}"


def _ends_in_list(value: Any) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(item, tuple) for item in list(value.values())[-1:]
    )


def _item(value: Any) -> str:
    """Return an item of a mapping: a scalar, or a list of them."""
    if isinstance(value, tuple):
        return f"[{', '.join(_scalar(one) for one in value)}]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """Return a scalar or an empty collection in YAML; a text is quoted where it has to be."""
    if isinstance(value, tuple | Mapping):
        return "[]" if isinstance(value, tuple) else "{}"
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    """Return whether YAML reads `text` as itself without quotes, in a list and after a key."""
    if not text.isprintable():
        return False
    try:
        return bool(YAML(typ="safe").load(f"a: {text}\nb: [{text}]") == {"a": text, "b": [text]})
    except (YAMLError, ValueError):
        return False


def _comment(text: str, indent: str) -> list[str]:
    prefix = f"{indent}# "
    return textwrap.wrap(text, WIDTH, initial_indent=prefix, subsequent_indent=prefix)


def _as_dvc_writes(text: str) -> str:
    """Return a params file with its values in ruamel.yaml's style: DVC replaces all of them."""
    yaml = YAML()
    document = yaml.load(text)
    _replace_values(document, YAML(typ="safe").load(text))
    written = StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _replace_values(mapping: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    """Replace the values of a mapping, and of those in it, by equal ones without a style."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _replace_values(mapping[key], value)
        else:
            mapping[key] = value

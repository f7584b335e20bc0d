"""Read `params.yaml` and options; each error is one line that names file, line and key."""

import difflib
import reprlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from pipeline.errors import UsageError
from pipeline.params import Params, Section, is_list, is_mapping, section_type

S = TypeVar("S", bound=Section)

# Dates that do not exist, numbers of too many digits, brackets in brackets, and mappings as keys
# raise the others.
_YAML_ERRORS = (
    YAMLError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    LookupError,
    RecursionError,
)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a params file.

    Raises `UsageError` with one line per problem, `FILE:LINE: KEY: PROBLEM`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"{path}: not found in {Path.cwd()}; run the command in the project's folder"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    try:
        root = YAML().compose(text)
        values = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UsageError(f"{path}:{line}: not valid YAML: {error.problem}") from None
    except _YAML_ERRORS as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path}: not valid YAML: {reason}") from None
    try:
        return Params.model_validate({} if values is None else values)
    except ValidationError as error:
        raise UsageError("\n".join(_file_errors(path, root, error))) from None


def override(section: S, texts: Mapping[str, str]) -> S:
    """Return `section` with the fields in `texts` replaced; `texts` are options, in YAML.

    A list may also be written with commas, `1girl,solo`, and a mapping as `mse=FILE,rrdb=FILE`.
    Raises `UsageError` that names the option.
    """
    fields = type(section).model_fields
    values = section.model_dump()
    for name, text in texts.items():
        values[name] = _option_value(fields[name], name, text)
    try:
        return type(section).model_validate(values)
    except ValidationError as error:
        lines = []
        for details in _first_errors(error, 1):
            name = str(_location(details)[0])
            lines.append(f"{option_name(name)}: {_problem(details, type(section))}")
        raise UsageError("\n".join(lines)) from None


def option_name(field: str) -> str:
    """Return the command-line option of a field: `adv_weight` → `--adv-weight`."""
    return "--" + field.replace("_", "-")


def _option_value(field: FieldInfo, name: str, text: str) -> object:
    if is_list(field) and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if is_mapping(field) and not text.lstrip().startswith("{"):
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        for key, _, path in pairs:
            if not path.strip():
                raise UsageError(f"{option_name(name)}: {key!r} has no path; write NAME=PATH")
        return {key.strip(): path.strip() for key, _, path in pairs}
    if field.annotation is str:
        return text
    try:
        value: object = YAML(typ="safe", pure=True).load(text)
    except _YAML_ERRORS:
        raise UsageError(f"{option_name(name)}: {_shown(text)} is no YAML value") from None
    return value


def _first_errors(error: ValidationError, depth: int) -> Iterator[ErrorDetails]:
    """Yield one error per key: a list with a wrong entry is not reported as too short, too."""
    reported: set[tuple[int | str, ...]] = set()
    for details in error.errors():
        key = _location(details)[:depth]
        if key not in reported:
            reported.add(key)
            yield details


def _location(details: ErrorDetails) -> tuple[int | str, ...]:
    extra = details.get("ctx", {}).get("at", ())
    return (*details["loc"], *extra)


def _file_errors(path: Path, root: Node | None, error: ValidationError) -> Iterator[str]:
    for details in _first_errors(error, 2):
        location = _location(details)
        key = ".".join(str(part) for part in location) or "the file"
        model = section_type(str(location[0])) if len(location) > 1 else Params
        yield f"{path}:{_line(root, location)}: {key}: {_problem(details, model)}"


def _line(node: Node | None, location: tuple[int | str, ...]) -> int:
    line = 1 if node is None else node.start_mark.line + 1
    for part in location:
        if isinstance(node, MappingNode):
            matches = [(key, value) for key, value in node.value if key.value == part]
            if not matches:
                return line
            key, node = matches[0]
            line = key.start_mark.line + 1
        elif isinstance(node, SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _problem(details: ErrorDetails, model: type[Section]) -> str:
    kind, value = details["type"], details["input"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(details["loc"][-1]), model.model_fields, n=1)
        return "unknown key" + (f" (did you mean {near[0]}?)" if near else "")
    if kind in ("model_type", "model_attributes_type"):
        return f"must be a section of keys, not {_shown(value)}"
    if kind == "string_pattern_mismatch":
        return f"{_shown(value)} does not fit {details['ctx']['pattern']}"
    if kind == "invalid_key":
        return "a key must be a text; quote it"
    if kind == "cross_check":
        return details["msg"]
    if kind == "too_short":
        return f"needs at least {details['ctx']['min_length']} entry"
    wanted = details["msg"].removeprefix("Input should be ").replace("valid tuple", "list")
    return f"{_shown(value)} should be {wanted.replace('dictionary', 'mapping of names to paths')}"


def _shown(value: object) -> str:
    """Return the `repr` of a value, shortened: YAML's aliases can make it huge."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 200
    short.maxlevel = 2
    return short.repr(value)

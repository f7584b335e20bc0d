"""Read `params.yaml` and options; each error is one line that names file, line and key."""

import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from pipeline.errors import UsageError
from pipeline.params import (
    Params,
    Section,
    is_list,
    is_mapping,
    is_mapping_of_numbers,
    is_mapping_of_values,
)
from pipeline.params.kinds import kinds_of
from pipeline.params.leaf_params import LeafParam, params_of, with_values
from pipeline.params.section import brackets
from pipeline.wording import did_you_mean

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
        lines = [
            f"{path}:{_line(root, one.location)}: {one.key or 'the file'}: {one.problem}"
            for one in _mistakes(Params, error)
        ]
        raise UsageError("\n".join(lines)) from None


def override(section: S, texts: Mapping[str, str]) -> S:
    """Return `section` with the fields in `texts` replaced; `texts` are options, in YAML.

    A list may also be written with commas, `1girl,solo`, and a mapping as `mse=FILE,rrdb=FILE` or
    `noise_prob=0,jpeg_range=[60,95]`.
    Raises `UsageError` that names the option.
    """
    params = {param.name: param for param in params_of(type(section))}
    values = {name: _option_value(params[name], text) for name, text in texts.items()}
    try:
        return type(section).model_validate(with_values(section, values))
    except ValidationError as error:
        lines = [
            ": ".join([option_name(one.param), *one.inner_names, one.problem])
            for one in _mistakes(type(section), error)
        ]
        raise UsageError("\n".join(lines)) from None


def with_changes(params: Params, changes: Mapping[str, Mapping[str, Any]]) -> Params:
    """Return `params` with `changes`, section → param → value, in their place.

    A param that is a mapping is replaced as a whole. Raises `UsageError` with one line per problem,
    `KEY: PROBLEM`.
    """
    try:
        return Params.model_validate(_merged(Params, params.model_dump(mode="json"), changes))
    except ValidationError as error:
        lines = [f"{one.key}: {one.problem}" for one in _mistakes(Params, error)]
        raise UsageError("\n".join(lines)) from None


def option_name(param: str) -> str:
    """Return the command-line option of a param: `adv_weight` → `--adv-weight`."""
    return "--" + param.replace("_", "-")


def _merged(
    section: type[Section] | None, values: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `values` with `changes` in their place, those of sections within `section` too.

    None is a section with kinds, which has none within it.
    """
    content = dict(values)
    for name, change in changes.items():
        field = None if section is None else section.model_fields.get(name)
        own, kinds = _subsection(None if field is None else field.annotation)
        is_section = (own or kinds) and isinstance(change, Mapping)
        content[name] = _merged(own, content[name], change) if is_section else change
    return content


def _option_value(param: LeafParam, text: str) -> object:
    if is_list(param.annotation) and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if is_mapping_of_values(param.annotation) and not text.lstrip().startswith("{"):
        _check_brackets(param, text)
        text = f"{{{text.replace('=', ': ')}}}"
    elif is_mapping(param.annotation) and not text.lstrip().startswith("{"):
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        _check_names_once(param, [key.strip() for key, _, _ in pairs])
        numbers = is_mapping_of_numbers(param.annotation)
        form = "number; write NAME=NUMBER" if numbers else "path; write NAME=PATH"
        for key, _, item in pairs:
            if not item.strip():
                raise UsageError(f"{option_name(param.name)}: {key!r} has no {form}")
        return {key.strip(): _item(item.strip(), numbers) for key, _, item in pairs}
    if param.annotation is str:
        return text
    try:
        value: object = YAML(typ="safe", pure=True).load(text)
    except _YAML_ERRORS:
        raise UsageError(f"{option_name(param.name)}: {_shown(text)} is no YAML value") from None
    return value


def _check_names_once(param: LeafParam, names: Sequence[str]) -> None:
    """Raise `UsageError` where a name comes twice: one of the two would be lost."""
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UsageError(f"{option_name(param.name)}: {name}: is named twice; remove one")


def _check_brackets(param: LeafParam, text: str) -> None:
    """Raise `UsageError` where a list in a mapping, as in `jpeg_range=60,95`, has no brackets."""
    without = re.search(r"([^,=\[\]]+)=([^,=\[\]]+(?:,[^,=\[\]]+)+)(?=,[^,]*=|,?$)", text)
    if without is not None:
        name, items = (part.strip(" ()") for part in without.groups())
        raise UsageError(
            f"{option_name(param.name)}: {name}: {items} should be in brackets; write "
            f"{name}=[{items}]"
        )


def _item(text: str, is_number: bool) -> object:
    """Return an item of a mapping; what should be a number and is none is left to the check."""
    try:
        return float(text) if is_number else text
    except ValueError:
        return text


@dataclass(frozen=True)
class _Mistake:
    location: tuple[int | str, ...]
    """keys of sections and of a param, then those within a list or a mapping"""
    param_length: int
    """how many of them lead to the param"""
    problem: str

    @property
    def key(self) -> str:
        """The location as text."""
        return ".".join(map(str, self.location))

    @property
    def inner_names(self) -> list[str]:
        """The name in the param whose value is wrong, where it is a mapping."""
        inner = self.location[self.param_length :]
        return [part for part in inner if isinstance(part, str) and "[key]" not in inner]

    @property
    def param(self) -> str:
        """The param's name, with those of its sections."""
        return ".".join(map(str, self.location[: self.param_length]))


def _mistakes(model: type[Section], error: ValidationError) -> Iterator[_Mistake]:
    """Yield one mistake per param: a list with a wrong entry is not reported as too short, too."""
    reported: set[str] = set()
    for details in error.errors():
        mistake = _mistake(model, details)
        if mistake.param not in reported:
            reported.add(mistake.param)
            yield mistake


def _mistake(model: type[Section], details: ErrorDetails) -> _Mistake:
    """Locate a problem among the keys of the file.

    Follows pydantic's location from section to section: a part is the key of a param, what stands
    in a param (the index of a list, the name in a mapping), or the kind of a section with kinds,
    which is no key of the file.
    """
    location: list[int | str] = []
    section: type[Section] | None = model
    param_section, param_length = model, 0
    kinds: Mapping[str, type[Section]] = {}
    for part in (*details["loc"], *details.get("ctx", {}).get("at", ())):
        if part in kinds:
            section, kinds = kinds[str(part)], {}
            continue
        location.append(part)
        if section is not None:
            param_section, param_length = section, len(location)
            field = section.model_fields.get(str(part))
            section, kinds = _subsection(None if field is None else field.annotation)
        elif kinds:
            # The check of `own_params_only` names a key without the kind before it.
            param_length, kinds = len(location), {}
    return _Mistake(tuple(location), param_length, _problem(details, param_section))


def _subsection(annotation: Any) -> tuple[type[Section] | None, Mapping[str, type[Section]]]:
    """Return the section that a field is, or the sections that it may be by kind."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, {}
    return None, kinds_of(annotation)


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
        return "unknown key" + _suggestion(str(details["loc"][-1]), model)
    if kind in ("model_type", "model_attributes_type"):
        return f"must be a section of keys, not {_shown(value)}"
    if kind == "string_pattern_mismatch":
        return f"{_shown(value)} is not allowed{_form_of(details, model)}"
    if kind == "invalid_key":
        return "a key must be a text; quote it"
    if kind == "cross_check":
        return details["msg"]
    if kind == "too_short":
        return f"needs at least {details['ctx']['min_length']} entry"
    wanted = details["msg"].removeprefix("Input should be ")
    if kind == "tuple_type":
        wanted = f"a list{brackets(value)}"
    return f"{_shown(value)} should be {wanted.replace('dictionary', 'mapping of names to paths')}"


def _form_of(details: ErrorDetails, model: type[Section]) -> str:
    """Return what a text must be: a param's description, or which names a mapping may have."""
    if details["loc"][-1] == "[key]":
        return "; a name has letters, digits, _, + and -"
    field = model.model_fields.get(str(details["loc"][-1]))
    return f"; wanted: {field.description}" if field and field.description else ""


def _suggestion(key: str, model: type[Section]) -> str:
    """Return the param of `model` that is meant by an unknown key, as a question."""
    names = [param.name for param in params_of(model) if param.name.endswith(f".{key}")]
    return f" (did you mean {names[0]}?)" if names else did_you_mean(key, model.model_fields)


def _shown(value: object) -> str:
    """Return the `repr` of a value, shortened: YAML's aliases can make it huge."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 200
    short.maxlevel = 2
    return short.repr(value)

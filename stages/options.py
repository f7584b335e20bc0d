"""Options of a stage's command, made from its section of the params schema."""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from pipeline.params import (
    Section,
    is_list,
    is_mapping,
    is_mapping_of_numbers,
    is_mapping_of_values,
)
from pipeline.params.file import option_name
from pipeline.params.leaf_params import LeafParam, params_of, values_of


def param_options(shown: Section, source: str) -> list[inspect.Parameter]:
    """Return one Typer option per param of a section; its value is YAML text, or None if not given.

    Help texts show the values of `shown`, which come from `source`.
    """
    values = values_of(shown)
    # Another kind may have params that the shown one has not.
    notes = {name: f"  [{source}: {_yaml(value)}]" for name, value in values.items()}
    return [_option(param, notes.get(param.name, "")) for param in params_of(type(shown))]


def keyword(param: str) -> str:
    """Return the name of the Python parameter for a param's option: `generator.kind` has a dot."""
    return param.replace(".", "__")


def set_signature(
    command: Callable[..., None],
    parameters: Sequence[inspect.Parameter],
    documented: Callable[..., None],
) -> None:
    """Let Typer read `parameters`, all by keyword, name and help text of `documented`."""
    by_keyword = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    command.__signature__ = inspect.Signature(by_keyword)  # type: ignore[attr-defined]
    command.__name__ = documented.__name__
    command.__doc__ = inspect.getdoc(documented)


def _option(param: LeafParam, note: str) -> inspect.Parameter:
    option = typer.Option(
        option_name(param.name),
        help=f"{param.description}{note}",
        metavar=_metavar(param.annotation),
        show_default=False,
    )
    return inspect.Parameter(
        keyword(param.name),
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _metavar(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(str(choice) for choice in get_args(annotation))
    if is_list(annotation):
        return "A,B,..."
    if is_mapping_of_values(annotation):
        return "NAME=VALUE,..."
    if is_mapping(annotation):
        return "NAME=NUMBER,..." if is_mapping_of_numbers(annotation) else "NAME=PATH,..."
    kinds = get_args(annotation) or (annotation,)
    if bool in kinds:
        return "true|false"
    kind = "TEXT" if str in kinds else "NUMBER" if float in kinds else "INTEGER"
    return kind + ("|null" if type(None) in kinds else "")


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or "[]"
    if isinstance(value, dict):
        return ",".join(f"{name}={_item(item)}" for name, item in value.items()) or "{}"
    return str(value) if value != "" else '""'


def _item(value: object) -> str:
    """Return an item of a mapping."""
    return f"[{_yaml(value)}]" if isinstance(value, tuple) else str(value)

"""Options of a stage's command, made from its section of the params schema."""

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from pipeline.params import Section, is_list, is_mapping
from pipeline.params.file import option_name


def param_options(shown: Section, source: str) -> list[inspect.Parameter]:
    """Return one Typer option per param of a section; its value is YAML text, or None if not given.

    Help texts show the values of `shown`, which come from `source`.
    """
    fields = type(shown).model_fields
    return [_option(name, field, getattr(shown, name), source) for name, field in fields.items()]


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


def dvc_settings(params: Section, section: str, texts: Mapping[str, str]) -> str:
    """Return the options in `texts`, by param, as those of `dvc exp run`."""
    fields = type(params).model_fields
    settings = [
        "-S " + shlex.quote(setting)
        for name, text in texts.items()
        for setting in _settings(f"{section}.{name}", fields[name], getattr(params, name), text)
    ]
    return " ".join(settings)


def _option(name: str, field: FieldInfo, value: object, source: str) -> inspect.Parameter:
    option = typer.Option(
        option_name(name),
        help=f"{field.description}  [{source}: {_yaml(value)}]",
        metavar=_metavar(field),
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _metavar(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "|".join(str(choice) for choice in get_args(field.annotation))
    if is_list(field):
        return "A,B,..."
    if is_mapping(field):
        return "NAME=PATH,..."
    kinds = get_args(field.annotation) or (field.annotation,)
    kind = "TEXT" if str in kinds else "NUMBER" if float in kinds else "INTEGER"
    return kind + ("|null" if type(None) in kinds else "")


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or "[]"
    if isinstance(value, dict):
        return ",".join(f"{name}={path}" for name, path in value.items()) or "{}"
    return str(value) if value != "" else '""'


def _settings(key: str, field: FieldInfo, value: object, text: str) -> list[str]:
    """Return an option as settings of DVC's `-S`: one, or one per name of a mapping."""
    if isinstance(value, dict):
        return [f"++{key}.{name}={path}" for name, path in value.items()]
    if is_list(field) and not text.startswith("["):
        text = f"[{text}]"
    return [f"{key}={text}"]

"""Command-line options of hand-run commands, made from a params model.

Unlike options of stages, which are read as YAML, these have their fields' own types, and flags.
"""

import inspect
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from pipeline.params import Section
from pipeline.params.file import option_name
from stages.options import set_signature


def options_from(
    schema: type[Section], /, **settings: dict[str, Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace a command's parameter `params` by one option for each field of `schema`.

    The command is called with `params`, a dict of the options' values. `settings` maps fields to
    further arguments of `typer.Option`.
    """

    def decorate(run: Callable[..., None]) -> Callable[..., None]:
        def command(**arguments: Any) -> None:
            params = {name: arguments.pop(name) for name in schema.model_fields}
            run(params=params, **arguments)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(run).parameters.values():
            if parameter.name == "params":
                parameters += [
                    _option(name, field, settings.get(name, {}))
                    for name, field in schema.model_fields.items()
                ]
            else:
                parameters.append(parameter)
        set_signature(command, parameters, run)
        return command

    return decorate


def _option(name: str, field: FieldInfo, settings: dict[str, Any]) -> inspect.Parameter:
    names = option_name(name)
    option = typer.Option(
        f"{names}/--no-{names.removeprefix('--')}" if field.default is True else names,
        help=field.description,
        show_default=field.default not in (None, False, True),
        **settings,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[_option_type(field.annotation), option],
    )


def _option_type(annotation: Any) -> Any:
    """Return a field's type as Typer reads it.

    Choices are texts: the schema checks them, so that one message serves command and library.
    """
    if get_origin(annotation) is Annotated:
        return _option_type(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return str
    if get_origin(annotation) in (Union, types.UnionType):
        return Union[tuple(_option_type(member) for member in get_args(annotation))]  # noqa: UP007
    return annotation

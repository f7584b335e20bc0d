"""Messages for arguments and options that Typer or pydantic refused."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import typer
from pydantic import ValidationError

from pipeline.images.suffixes import PICTURE_SUFFIXES

_EXAMPLE = "pipeline upscale picture.png"
_KINDS = {
    "float_parsing": "{} is no number",
    "int_parsing": "{} is no whole number",
    "less_than_equal": "{} is more than {}",
    "greater_than_equal": "{} is less than {}",
}
"""What is said in place of pydantic's text, by its type of problem: the value and the limit."""


def usage_message(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """Describe in one line why a command line was refused; with an example where none is near."""
    message = error.format_message()
    if (path := _path_as_option(error, arguments)) is not None:
        return f"{message.removesuffix('.')}. A path that begins with - is typed as ./{path}"
    if isinstance(error, typer.BadParameter):
        if isinstance(error.__cause__, ValidationError):
            return _refused_value(error, error.__cause__) or message
        if error.ctx is not None and error.ctx.info_name == "upscale" and "Missing" in message:
            return f"{message} For example: {_EXAMPLE}"
    name = re.fullmatch(r"No such command '(.*)'\.", message)
    if name is not None and Path(name[1]).suffix.lower() in PICTURE_SUFFIXES:
        return f"{message} For example: {_EXAMPLE}"
    return message


def _path_as_option(error: typer.TyperException, arguments: Sequence[str]) -> str | None:
    """Return the argument that was taken for an option that there is not, where it is a path."""
    option = getattr(error, "option_name", None)
    if option is None or not error.format_message().startswith("No such option"):
        return None
    for argument in arguments:
        is_path = Path(argument).suffix.lower() in PICTURE_SUFFIXES or os.path.lexists(argument)
        if argument.startswith(option) and "=" not in argument and is_path:
            return argument
    return None


def _refused_value(error: typer.BadParameter, cause: ValidationError) -> str | None:
    """Return the message for a value that is no number or choice, or outside of its limits."""
    details = cause.errors()[0]
    if error.param is None:
        return None
    option = max(error.param.opts, key=len)
    if details["type"] == "value_error":
        return f"{option}: {details['msg'].removeprefix('Value error, ').removesuffix('.')}"
    kind = _KINDS.get(details["type"])
    if kind is None:
        return None
    value = details["input"]
    limits = [limit for name, limit in details.get("ctx", {}).items() if name in ("le", "ge")]
    example = ""
    if number := re.match(r"\d+" if "int" in details["type"] else r"\d+(\.\d+)?", str(value)):
        example = f"; for example {number[0]}" if details["type"].endswith("parsing") else ""
    return f"{option}: {kind.format(value, *limits)}{example}"

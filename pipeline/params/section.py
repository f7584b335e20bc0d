"""Base class and field types of the sections of `params.yaml`."""

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from pipeline.device_names import DEVICE_NAMES, DEVICE_PATTERN

# YAML has lists only; strict mode would refuse them for a tuple.
Names = Annotated[tuple[str, ...], Field(strict=False)]

# What is left of a mapping in YAML where its only line was removed.
NULL_IS_EMPTY = BeforeValidator(lambda value: {} if value is None else value)

_Name = Annotated[str, Field(pattern=r"^[\w+-]+$")]

# Names that reports and messages show, and the path for each.
Paths = Annotated[dict[_Name, Annotated[str, Field(min_length=1)]], NULL_IS_EMPTY]

Weight = Annotated[float, Field(ge=0, le=1000)]

# The same names, and a number for each.
Weights = Annotated[dict[_Name, Weight], NULL_IS_EMPTY]

Device = Annotated[str, Field(pattern=DEVICE_PATTERN, description=DEVICE_NAMES)]

Scale = Literal[1, 2, 3, 4, 8]
SCALES: tuple[int, ...] = get_args(Scale)
"""The values of `train.scale`."""

MAX_DECODED_PIXELS = 178_956_970
"""Pillow opens no larger picture: twice `PIL.Image.MAX_IMAGE_PIXELS`."""

MAX_WORKERS = 1024
"""More processes or threads would stop the machine rather than use it."""


class Section(BaseModel):
    """Params of a stage or of a part of it: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _take_whole_floats(cls, values: Any) -> Any:
        """Take 1e5, which YAML reads as a float, for an integer where one is needed."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            name: int(value)
            if name in fields and _is_integer(fields[name].annotation) and _is_whole(value)
            else value
            for name, value in values.items()
        }


def _is_integer(annotation: Any) -> bool:
    types = get_args(annotation) or (annotation,)
    return int in types and float not in types


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) < 2**53


def is_list(annotation: Any) -> bool:
    """Return whether a param of this type is a list of names."""
    return get_origin(annotation) is tuple


def is_mapping(annotation: Any) -> bool:
    """Return whether a param of this type maps names to paths or numbers."""
    return get_origin(annotation) is dict


def is_mapping_of_numbers(annotation: Any) -> bool:
    """Return whether a param of this type maps names to numbers."""
    return is_mapping(annotation) and float in get_args(get_args(annotation)[1])


def is_mapping_of_values(annotation: Any) -> bool:
    """Return whether a param of this type maps names to values of any kind, lists among them."""
    return is_mapping(annotation) and get_args(annotation)[1] is Any


def brackets(value: object) -> str:
    """Return how a text that should be a list is written as one, to end a message."""
    return f"; write [{value}]" if isinstance(value, str) else ""


def problem_at(location: tuple[str, ...], problem: str) -> PydanticCustomError:
    """Return the error of a check across keys; it is reported at the key `location`."""
    return PydanticCustomError("cross_check", "{problem}", {"at": location, "problem": problem})

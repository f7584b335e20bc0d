"""What every section of `params.yaml` is made of."""

from typing import Annotated, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

# YAML has lists only; strict mode would refuse them for a tuple.
Names = Annotated[tuple[str, ...], Field(strict=False)]

# Names as reports show them, and the paths of what they stand for.
Paths = dict[Annotated[str, Field(pattern=r"^[\w+-]+$")], str]


class Section(BaseModel):
    """One stage's params: frozen, strictly typed, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def is_list(field: FieldInfo) -> bool:
    """Whether a param is a list of names."""
    return get_origin(field.annotation) is tuple


def is_mapping(field: FieldInfo) -> bool:
    """Whether a param maps names to paths."""
    return get_origin(field.annotation) is dict


def problem_at(location: tuple[str, ...], problem: str) -> PydanticCustomError:
    """Return a problem that a check across keys found, to be shown at one of them."""
    return PydanticCustomError("cross_check", "{problem}", {"at": location, "problem": problem})

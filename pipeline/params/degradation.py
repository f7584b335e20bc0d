"""Strengths of the degradation chain: `train.degradation_strengths`."""

import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from pipeline.params.section import Section, Weight, brackets, problem_at
from pipeline.wording import did_you_mean

Damage = Literal["light", "web", "heavy"]
Degradation = Literal["none", Damage]
DAMAGES: tuple[Damage, ...] = get_args(Damage)

SECOND = "2"
"""Ending of the strengths of the second order, as in Real-ESRGAN's option files."""

CHAINS = ("light", "heavy")
"""Degradations that have strengths."""

_Probability = Annotated[float, Field(ge=0, le=1)]


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise problem_at((), f"{list(pair)} should begin with the smaller number")
    return pair


def _around_one(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] <= 1 <= pair[1]:
        raise problem_at((), f"{list(pair)} should have 1 between its two numbers")
    return pair


def _some_weight(weights: tuple[float, ...]) -> tuple[float, ...]:
    if not any(weights):
        raise problem_at((), "should have a number above 0 among them")
    return weights


def _odd(pair: tuple[int, int]) -> tuple[int, int]:
    if not (pair[0] % 2 and pair[1] % 2):
        raise problem_at((), f"{list(pair)} should be two odd numbers")
    return pair


# YAML has lists only; strict mode would refuse them for a tuple.
_List = Field(strict=False)
_Sigma = Annotated[float, Field(gt=0, le=20)]
_Beta = Annotated[float, Field(gt=0, le=10)]
_Factor = Annotated[float, Field(ge=0.05, le=4)]
_Level = Annotated[float, Field(ge=0, le=255)]
_Scale = Annotated[float, Field(ge=0, le=100)]
_Side = Annotated[int, Field(ge=3, le=51)]
_Quality = Annotated[int, Field(ge=1, le=100)]
_Qualities = Annotated[tuple[_Quality, _Quality], _List, AfterValidator(_ascending)]
_Betas = Annotated[tuple[_Beta, _Beta], _List, AfterValidator(_around_one)]
_Three = tuple[Weight, Weight, Weight]
_Four = tuple[Weight, Weight, Weight, Weight]
_Five = tuple[Weight, Weight, Weight, Weight, Weight]
_Six = tuple[Weight, Weight, Weight, Weight, Weight, Weight]


class OrderStrengths(Section):
    """One order of the chain: blur, resampling, sharpening, noise, compression.

    None has a default: fingerprints cover the values of `degradation_presets`, but no params.
    """

    blur_prob: _Probability = Field(description="probability of a blur")
    sinc_prob: _Probability = Field(
        description="share of the blurs that are sinc filters, which ring"
    )
    kernel_prob: Annotated[_Six, _List, AfterValidator(_some_weight)] = Field(
        description="weights of the other kernels: iso, aniso, generalized_iso, "
        "generalized_aniso, plateau_iso, plateau_aniso",
    )
    kernel_range: Annotated[
        tuple[_Side, _Side], _List, AfterValidator(_ascending), AfterValidator(_odd)
    ] = Field(description="least and largest side of a kernel, odd, pixels")
    blur_sigma: Annotated[tuple[_Sigma, _Sigma], _List, AfterValidator(_ascending)] = Field(
        description="range of a kernel's standard deviations, pixels"
    )
    betag_range: _Betas = Field(
        description="range of the exponent of generalised kernels; 1: Gaussian"
    )
    betap_range: _Betas = Field(description="range of the exponent of plateau kernels")
    resize_prob: Annotated[_Three, _List, AfterValidator(_some_weight)] = Field(
        description="weights of resampling: up, down, keep"
    )
    resize_range: Annotated[tuple[_Factor, _Factor], _List, AfterValidator(_around_one)] = Field(
        description="least factor of resampling down, largest of resampling up; of the HR size, in "
        "the second order of the LR size",
    )
    sharpen_prob: _Probability = Field(
        description="probability of an unsharp mask after resampling"
    )
    sharpen_range: Annotated[tuple[_Scale, _Scale], _List, AfterValidator(_ascending)] = Field(
        description="range of its weight"
    )
    noise_prob: _Probability = Field(description="probability of noise")
    gaussian_noise_prob: _Probability = Field(
        description="share of the noise that is Gaussian; the rest is Poisson's"
    )
    noise_range: Annotated[tuple[_Level, _Level], _List, AfterValidator(_ascending)] = Field(
        description="range of the standard deviation of Gaussian noise, levels of 255"
    )
    poisson_scale_range: Annotated[tuple[_Scale, _Scale], _List, AfterValidator(_ascending)] = (
        Field(
            description="range of Poisson's standard deviation, as a factor of the root of the "
            "level",
        )
    )
    gray_noise_prob: _Probability = Field(
        description="share of the noise that is the same in all channels"
    )
    compression_prob: Annotated[_Four, _List, AfterValidator(_some_weight)] = Field(
        description="weights of compression: none, jpeg, webp, avif"
    )
    jpeg_range: _Qualities = Field(description="range of JPEG's quality")
    webp_range: _Qualities = Field(description="range of WebP's quality")
    avif_range: _Qualities = Field(description="range of AVIF's quality")
    subsampling_prob: _Probability = Field(
        description="share of JPEG and AVIF whose chroma has half the resolution (4:2:0)"
    )


class ChainStrengths(Section):
    """Both orders of the chain, and what they share."""

    first: OrderStrengths
    second: OrderStrengths
    resize_mode_prob: Annotated[_Five, _List, AfterValidator(_some_weight)] = Field(
        description="weights of the filters of all resampling: nearest, box, bilinear, bicubic, "
        "lanczos",
    )
    final_sinc_prob: _Probability = Field(
        description="probability of a sinc filter at LR size, which rings"
    )

    def replaced(self, strengths: Mapping[str, Any]) -> "ChainStrengths":
        """Return the chain with `strengths` in place of its own."""
        values = self.model_dump()
        for name, value in strengths.items():
            part, own_name = _own_name(name)
            (values[part] if part else values)[own_name] = value
        return ChainStrengths.model_validate(values)

    def by_name(self) -> dict[str, Any]:
        """Return the values of all strengths, as JSON has them."""
        values = self.model_dump(mode="json")
        found = {}
        for name in strength_names():
            part, own_name = _own_name(name)
            found[name] = (values[part] if part else values)[own_name]
        return found


SHARED = ("resize_mode_prob", "final_sinc_prob")
"""Strengths that both orders have in common."""


def strength_names() -> list[str]:
    """Return the names of all strengths: of the first order, of the second, of both."""
    names = list(OrderStrengths.model_fields)
    return [*names, *(f"{name}{SECOND}" for name in names), *SHARED]


def _own_name(name: str) -> tuple[str, str]:
    """Return `first`, `second` or, of what both share, an empty text; and the name there."""
    if name in SHARED:
        return "", name
    is_second = name.endswith(SECOND)
    return ("second", name.removesuffix(SECOND)) if is_second else ("first", name)


def _check(values: object) -> object:
    """Return strengths as checked by `ChainStrengths`. Raises one error, at the strength's name."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise problem_at((), f"{reprlib.repr(values)} should be a mapping of names to values")
    names = strength_names()
    list_name, items = "", list[object]()
    for name, value in values.items():
        # In YAML `{jpeg_range2: 60,95}` has the key 95, without a value.
        if value is None and isinstance(name, int | float) and items:
            items.append(name)
            continue
        if len(items) > 1:
            break
        list_name, items = str(name), [] if isinstance(value, list | Mapping) else [value]
        if name not in names:
            raise problem_at((str(name),), f"unknown key{_suggestion(str(name), names)}")
    if len(items) > 1:
        text = ",".join(map(str, items))
        raise problem_at((list_name,), f"{text} should be in brackets; write [{text}]")
    return {name: _checked(name, value) for name, value in values.items()}


def _checked(name: str, value: object) -> object:
    field = (OrderStrengths.model_fields | ChainStrengths.model_fields)[_own_name(name)[1]]
    own_type: Any = Annotated[field.annotation, *field.metadata]
    try:
        return TypeAdapter(own_type, config=Section.model_config).validate_python(value)
    except ValidationError as error:
        raise problem_at((name,), _problem(error.errors()[0], field.annotation)) from None


def _problem(details: ErrorDetails, annotation: object) -> str:
    if details["type"] == "cross_check":
        return details["msg"]
    if details["type"] in ("missing", "too_long", "tuple_type"):
        wanted = f"a list of {len(get_args(annotation))} numbers{brackets(details['input'])}"
    else:
        wanted = details["msg"].removeprefix("Input should be ")
    return f"{reprlib.repr(details['input'])} should be {wanted}"


def _suggestion(name: str, names: list[str]) -> str:
    if name.startswith("second_"):  # as in Real-ESRGAN's option files
        name = name.removeprefix("second_") + SECOND
    return did_you_mean(name, names)


def _json_schema() -> dict[str, Any]:
    """Return the schema for editors: all strengths with their descriptions."""
    fields = OrderStrengths.model_json_schema()["properties"]
    shared = ChainStrengths.model_json_schema()["properties"]
    properties = dict(fields)
    for name, schema in fields.items():
        description = f"{schema['description']}; of the second order"
        properties[f"{name}{SECOND}"] = schema | {"description": description}
    properties |= {name: shared[name] for name in SHARED}
    return {"type": "object", "properties": properties, "additionalProperties": False}


Strengths = Annotated[dict[str, Any], BeforeValidator(_check), WithJsonSchema(_json_schema())]

"""Options of an enlargement: one schema for the command `upscale` and for `Upscaler`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from pipeline.device_names import DEVICE_NAMES, DEVICE_PATTERN, UNKNOWN_DEVICE
from pipeline.errors import ArgumentError
from pipeline.params.section import Section, problem_at
from pipeline.shipped import AUTO, CLEAN_JPEG, DEFAULT, FOR_JPEG, any_case

MIN_SCALE, MAX_SCALE = 0.01, 16
MAX_SIDE = 1_000_000
MIN_TILE, MAX_TILE = 16, 65_536


def _format_name(value: object) -> object:
    """Return a format as the schema names it: in lower case, and jpg for jpeg."""
    name = value.lower() if isinstance(value, str) else value
    return "jpg" if name == "jpeg" else name


Format = Annotated[Literal["png", "webp", "jpg", "gif"], BeforeValidator(_format_name)]
# Strict types would refuse numpy's scalars, as `numpy.float32(2.5)`.
Real = Annotated[float, Field(strict=False)]
Whole = Annotated[int, Field(strict=False)]


class UpscaleParams(Section):
    """Options of `pipeline upscale`; `Upscaler` has those that are not of files."""

    model: str = Field(
        AUTO,
        description="generator to enlarge with: one of `pipeline models`, a file of ours, or any "
        f"that spandrel opens; auto: {DEFAULT}, but {FOR_JPEG} for JPEG files of a quality below "
        f"{CLEAN_JPEG}, for lossless files made from such, and for hard compressed WebP and AVIF "
        "files",
    )
    alpha: Real | None = Field(
        None,
        ge=0,
        le=1,
        description="instead of a model, a blend of the two that come with the program: 0 "
        "distortion, nearest to the original, 1 perception, best to look at",
    )
    scale: Real | None = Field(
        None,
        ge=MIN_SCALE,
        le=MAX_SCALE,
        description=f"times as wide and high, {MIN_SCALE} to {MAX_SCALE}: by the model as often as "
        "it takes, then made smaller; below 1 without the model  [default: the model's, 4]",
    )
    width: Whole | None = Field(
        None,
        ge=1,
        le=MAX_SIDE,
        description="instead of --scale, width of the result, pixels; the height follows",
    )
    height: Whole | None = Field(
        None,
        ge=1,
        le=MAX_SIDE,
        description="instead of --scale, height of the result, pixels; the width follows. With "
        "--width: the result fits into both",
    )
    tta: bool = Field(
        False,
        description="take the mean over the picture turned and mirrored eight ways: nearer to the "
        "original and less sharp, for eight times the time",
    )
    seamless: bool = Field(
        False,
        description="take the picture as repeated beyond its edges, so that opposite edges of the "
        "result meet: for textures that tile",
    )
    consistency: bool = Field(
        True,
        description="keep the picture's local means, and values within the range of its pixels "
        "nearby: flat colours stay flat and dithers keep their colour; without it results are the "
        "network's own",
    )
    format: Format | None = Field(
        None, description="png, webp, jpg or gif  [default: by --output's ending, else png]"
    )
    quality: Whole | None = Field(
        None,
        ge=1,
        le=100,
        description="of jpg, and of webp, which has no loss without it, 1 to 100  "
        "[default: 95 of jpg]",
    )
    background: str | None = Field(
        None,
        description="colour that transparent pictures are laid on, as white or #ffcc00: for jpg, "
        "which has no transparency",
    )
    keep_time: bool = Field(
        False, description="give each result the modification time of its picture"
    )
    strip_metadata: bool = Field(
        False,
        description="leave out EXIF (camera, date, place), XMP, IPTC and text, as prompts of "
        "generated pictures; colour profile and resolution stay",
    )
    tile: Whole | None = Field(
        None,
        ge=MIN_TILE,
        le=MAX_TILE,
        description="side of a tile, pixels of the picture: less takes less memory; auto: by what "
        "is free  [default: auto]",
    )
    device: str = Field("auto", pattern=DEVICE_PATTERN, description=DEVICE_NAMES)
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="fp32, bf16, or auto: bf16 where the hardware computes in it"
    )

    @field_validator("model")
    @classmethod
    def _model_in_any_case(cls, model: str) -> str:
        return any_case(model)

    @field_validator("background")
    @classmethod
    def _background_is_an_opaque_colour(cls, colour: str | None) -> str | None:
        from PIL import ImageColor

        if colour is not None and len(ImageColor.getrgb(colour)) > 3:
            raise ValueError("a background is opaque")
        return colour

    @model_validator(mode="after")
    def _one_size(self) -> "UpscaleParams":
        if self.scale is not None and (self.width or self.height):
            raise problem_at(("scale",), "width and height take its place; name one or the other")
        return self


# A problem that is not listed here is pydantic's.
_PROBLEMS = {
    "alpha": "{} is not between 0 and 1",
    "scale": f"{{}} is not between {MIN_SCALE} and {MAX_SCALE}",
    "width": f"{{}} is not between 1 and {MAX_SIDE}",
    "height": f"{{}} is not between 1 and {MAX_SIDE}",
    "background": "{} is no opaque colour; for example white or #ffcc00",
    "tile": f"{{}} is not a number of pixels from {MIN_TILE} to {MAX_TILE}",
    "device": UNKNOWN_DEVICE,
    "precision": "{} is unknown; use auto, fp32 or bf16",
    "format": "{} is unknown; use png, webp, jpg or gif",
    "quality": "{} is not between 1 and 100",
}


def upscale_params(**options: Any) -> UpscaleParams:
    """Return checked options. Raises `ArgumentError` for the first wrong one."""
    try:
        return UpscaleParams(**options)
    except ValidationError as error:
        details = error.errors()[0]
        name, value = (*details["loc"], *details.get("ctx", {}).get("at", ()))[0], details["input"]
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        known = _PROBLEMS.get(str(name)) if details["type"] != "cross_check" else None
        problem = details["msg"] if known is None else known.format(shown)
        raise ArgumentError(str(name), problem) from None

"""The options of an enlargement: one schema for command and library."""

import inspect

import pytest

from pipeline.errors import UsageError
from pipeline.shipped import AUTO, DEFAULT
from pipeline.upscaling.params import UpscaleParams, upscale_params
from pipeline.upscaling.upscaler import Upscaler


def test_the_library_has_the_commands_options_and_defaults() -> None:
    arguments = inspect.signature(Upscaler).parameters
    library = {name: argument.default for name, argument in arguments.items()}
    command = {name: field.default for name, field in UpscaleParams.model_fields.items()}
    assert (library.pop("model"), command.pop("model")) == (DEFAULT, AUTO)
    assert {name: command.pop(name) for name in library} == library
    assert command == {
        "format": None,
        "quality": None,
        "background": None,
        "keep_time": False,
        "strip_metadata": False,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "alpha: -0.1 is not between 0 and 1"),
        ({"alpha": float("nan")}, "alpha: nan is not between 0 and 1"),
        ({"scale": 40.0}, "scale: 40 is not between 0.01 and 16"),
        ({"scale": 0.001}, "scale: 0.001 is not between 0.01 and 16"),
        ({"width": 0}, "width: 0 is not between 1 and 1000000"),
        ({"height": 10**7}, "height: 10000000 is not between 1 and 1000000"),
        (
            {"scale": 2.0, "height": 9},
            "scale: width and height take its place; name one or the other",
        ),
        *(
            (
                {"background": colour},
                f"background: {colour} is no opaque colour; for example white or #ffcc00",
            )
            for colour in ("whit", "#ff000080", "#f008", "rgba(255, 0, 0, 0.5)")
        ),
        ({"tile": 0}, "tile: 0 is not a number of pixels from 16 to 65536"),
        ({"format": "bmp"}, "format: bmp is unknown; use png, webp, jpg or gif"),
        ({"quality": 101}, "quality: 101 is not between 1 and 100"),
        ({"precision": "fp16"}, "precision: fp16 is unknown; use auto, fp32 or bf16"),
        ({"device": "tpu"}, "device: tpu is unknown; use auto, cpu, cuda, cuda:N or mps"),
        ({"tta": 7}, "tta: Input should be a valid boolean"),
        ({"scael": 2}, "scael: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        upscale_params(**options)
    assert str(raised.value) == message


def test_numbers_of_numpy_are_numbers() -> None:
    numpy = pytest.importorskip("numpy")
    params = upscale_params(scale=numpy.float32(2.5), tile=numpy.int64(64), alpha=1)
    assert (params.scale, params.tile, params.alpha) == (2.5, 64, 1)


def test_names_have_any_case() -> None:
    params = upscale_params(model="Web", format="JPEG")
    assert (params.model, params.format) == ("web", "jpg")
    assert upscale_params(model="AUTO").model == "auto"
    assert upscale_params(model="Mine.pth").model == "Mine.pth"

"""The choice of a model for each picture."""

import io
from typing import Any

import pytest
from PIL import Image

from pipeline.drawings import draw
from pipeline.errors import UsageError
from pipeline.shipped import AUTO, CLEAN_JPEG, DEFAULT, FOR_JPEG, model_for_jpeg_quality
from pipeline.upscaling.model_choice import UpscalerChooser, model_for
from pipeline.upscaling.pictures import decode_picture
from pipeline.upscaling.upscaler import Upscaler
from tests.upscaling.small import bicubic


def file_of(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def encoded(format: str, **options: Any) -> bytes:
    return file_of(Image.linear_gradient("L").convert("RGB").resize((40, 30)), format, **options)


@pytest.mark.parametrize(
    ("data", "quality"),
    [
        (encoded("JPEG", quality=60), 60),
        (encoded("JPEG", quality=95, subsampling=0), 95),
        (encoded("PNG"), None),
        (encoded("WEBP", quality=60), None),
    ],
)
def test_a_picture_knows_how_hard_it_was_compressed(data: bytes, quality: int | None) -> None:
    assert decode_picture(data).jpeg_quality == quality


@pytest.mark.parametrize(
    ("quality", "model"),
    [
        (None, DEFAULT),
        (100, DEFAULT),
        (CLEAN_JPEG, DEFAULT),
        (CLEAN_JPEG - 1, FOR_JPEG),
        (1, FOR_JPEG),
    ],
)
def test_hard_compressed_jpeg_is_for_web(quality: int | None, model: str) -> None:
    assert model_for_jpeg_quality(quality) == model


@pytest.fixture(scope="module")
def drawing() -> Image.Image:
    return draw(7).image.resize((300, 400), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF"])
@pytest.mark.parametrize(
    ("quality", "model"),
    [(None, DEFAULT), (75, FOR_JPEG), (CLEAN_JPEG - 1, FOR_JPEG), (CLEAN_JPEG, DEFAULT)],
)
def test_a_lossless_file_made_from_a_jpeg_is_for_web(
    drawing: Image.Image, format: str, quality: int | None, model: str
) -> None:
    if format == "GIF":
        drawing = drawing.convert("L")
    if quality is not None:
        drawing = Image.open(io.BytesIO(file_of(drawing, "JPEG", quality=quality)))
    cropped = drawing.crop((3, 5, 300, 400))
    assert model_for(AUTO, decode_picture(file_of(cropped, format))) == model


@pytest.mark.parametrize("animated", [False, True])
@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({"quality": 60}, FOR_JPEG),
        ({"quality": 75}, FOR_JPEG),
        ({"quality": 95}, DEFAULT),
        ({"lossless": True}, DEFAULT),
    ],
)
def test_hard_compressed_webp_is_for_web(
    drawing: Image.Image, animated: bool, options: dict[str, Any], model: str
) -> None:
    frames: dict[str, Any] = {"save_all": True, "append_images": [drawing.rotate(180)]}
    picture = decode_picture(file_of(drawing, "WEBP", **options, **(frames if animated else {})))
    assert picture.animated == animated
    assert model_for(AUTO, picture) == model


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({"quality": 50}, FOR_JPEG),
        ({"quality": 75}, FOR_JPEG),
        ({"quality": 75, "subsampling": "4:4:4", "speed": 10}, FOR_JPEG),
        ({"quality": 90, "subsampling": "4:4:4", "speed": 10}, DEFAULT),
        ({"quality": 95, "speed": 10}, DEFAULT),
        ({"quality": 100, "subsampling": "4:4:4", "speed": 10}, DEFAULT),
    ],
)
def test_hard_compressed_avif_is_for_web(
    drawing: Image.Image, options: dict[str, Any], model: str
) -> None:
    assert model_for(AUTO, decode_picture(file_of(drawing, "AVIF", **options))) == model


def test_a_named_model_is_taken_for_any_picture(drawing: Image.Image) -> None:
    assert model_for("distortion", decode_picture(file_of(drawing, "WEBP"))) == "distortion"


def test_each_model_is_made_once_and_when_it_is_needed() -> None:
    made: list[str] = []

    def make(model: str) -> Upscaler:
        made.append(model)
        return Upscaler(bicubic(), device="cpu")

    choose = UpscalerChooser(AUTO, make)
    assert (made, choose.scale) == ([DEFAULT], 4)
    clean, worn = (decode_picture(encoded(f)) for f in ("PNG", "JPEG"))
    assert choose(clean) is choose(clean)
    assert made == [DEFAULT]
    assert choose(worn) is choose(worn)
    assert choose(worn) is not choose(clean)
    assert made == [DEFAULT, FOR_JPEG]
    named = UpscalerChooser("distortion", make)
    assert named(clean) is named(worn)
    assert made[2:] == ["distortion"]


def test_wrong_options_are_refused_before_any_picture() -> None:
    with pytest.raises(UsageError, match="scale: 99"):
        UpscalerChooser(AUTO, lambda model: Upscaler(model, scale=99, device="cpu"))

"""The choice of a model for each picture."""

import io

import pytest
from PIL import Image

from pipeline.errors import UsageError
from pipeline.shipped import AUTO, CLEAN_JPEG, DEFAULT, FOR_JPEG, model_for_jpeg_quality
from pipeline.upscaling.model_choice import UpscalerChooser
from pipeline.upscaling.pictures import decode_picture
from pipeline.upscaling.upscaler import Upscaler
from tests.upscaling.small import bicubic


def encoded(format: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((40, 30)).save(file, format, **options)
    return file.getvalue()


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

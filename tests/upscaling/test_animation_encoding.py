"""Animations encoded frame by frame."""

import io
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.upscaling.encoding import encode_picture, encoded_parts
from pipeline.upscaling.frames import LazyFrames
from pipeline.upscaling.pictures import Picture, decode_picture
from tests.upscaling.small import noise

FORMATS = ["png", "gif", "webp"]


def moving(channels: int, count: int = 4) -> tuple[np.ndarray, ...]:
    """A square that moves over noise, whose upper rows are transparent where there is alpha."""
    frames = []
    for number in range(count):
        frame = noise(40, 50, 3) // 64 * 64
        frame[10:20, 10 * number : 10 * number + 10] = 255, 128, 0
        alpha = np.full((40, 50, 1), 255, np.uint8)
        alpha[: 5 + number] = 0
        frames.append(np.concatenate([frame * (alpha > 0), alpha], 2) if channels == 4 else frame)
    return tuple(frames)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_gif_is_that_of_pillow(channels: int) -> None:
    frames = moving(channels)
    picture = Picture(frames, frame_durations_ms=(40, 80, 120, 50), loops=3)
    images = [Image.fromarray(frame) for frame in frames]
    options: dict[str, Any] = {"disposal": 2} if channels == 4 else {}
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=[40, 80, 120, 50],
        loop=2,
        **options,
    )
    assert encode_picture(picture, "gif") == buffer.getvalue()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("format", FORMATS)
def test_frames_come_back_as_they_were(format: str, channels: int) -> None:
    first, second, third, _ = (frame.copy() for frame in moving(channels))
    first[20:], second[20:], third[20:] = first[0, 0], first[0, 0], first[0, 0]
    frames = (first, first, second, second, third, first)
    picture = Picture(frames, frame_durations_ms=(20, 30, 40, 70_000, 50, 60), loops=2)
    back = decode_picture(encode_picture(picture, format))
    if format == "webp":
        # Its encoder joins equal frames.
        assert (sum(back.frame_durations_ms), back.loops) == (70_200, 2)
        return
    assert (back.frame_durations_ms, back.loops) == (picture.frame_durations_ms, 2)
    for before, after in zip(frames, back.frames, strict=True):
        visible = before[..., 3] == 255 if channels == 4 else np.ones((40, 50), bool)
        assert (after[..., 3:] == before[..., 3:]).all()
        assert (after[visible][:, :3] == before[visible][:, :3]).all()


def test_a_gif_of_odd_durations_lasts_as_long() -> None:
    """Its field has hundredths of a second; cut, frames of 57 ms would be a tenth faster."""
    picture = Picture(moving(3), frame_durations_ms=(57, 57, 57, 9))
    back = decode_picture(encode_picture(picture, "gif"))
    assert back.frame_durations_ms == (60, 50, 60, 10)
    assert sum(back.frame_durations_ms) == sum(picture.frame_durations_ms)


def test_what_stays_takes_no_room_in_an_apng() -> None:
    frames = moving(3)
    still = len(encode_picture(Picture(frames[:1]), "png"))
    animated = len(encode_picture(Picture(frames, frame_durations_ms=(40,) * 4), "png"))
    assert animated < 2 * still


@pytest.mark.parametrize("format", FORMATS)
def test_few_frames_are_there_at_once(format: str) -> None:
    references: list[weakref.ref[Any]] = []
    most = 0

    class Watched(np.ndarray):
        pass

    def alive() -> int:
        return sum(reference() is not None for reference in references)

    def make() -> Iterator[Any]:
        nonlocal most
        for frame in moving(3, 12):
            watched = frame.copy().view(Watched)
            references.append(weakref.ref(watched))
            most = max(most, alive())
            yield watched

    picture = Picture(LazyFrames(12, make), frame_durations_ms=(40,) * 12)
    assert sum(len(part) for part in encoded_parts(picture, format)) > 0
    assert len(references) == 12
    assert most <= 4
    assert alive() <= 2

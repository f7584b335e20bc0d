"""A model for each picture."""

from collections.abc import Callable
from functools import cache

from pipeline.shipped import AUTO, DEFAULT, suited
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.upscaler import Upscaler


class Chooser:
    """The upscaler of each picture: that of `model`, or with `AUTO` of the one that is suited.

    `make` gives the upscaler of a model's name, once for each that is needed, and raises as it
    does.
    """

    def __init__(self, model: str, make: Callable[[str], Upscaler]) -> None:
        self._auto = model == AUTO
        self._make = cache(make)
        self._usual = self._make(DEFAULT if self._auto else model)

    @property
    def scale(self) -> float:
        """How many times as large pictures become."""
        return self._usual.scale

    def __call__(self, picture: Picture) -> Upscaler:
        return self._make(suited(picture.jpeg_quality)) if self._auto else self._usual

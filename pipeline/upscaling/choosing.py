"""A model for each picture."""

from collections.abc import Callable
from functools import cache

from pipeline.shipped import AUTO, DEFAULT, suited
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.upscaler import Upscaler


class Chooser:
    """The upscaler of each picture: that of `model`, or with `AUTO` of the one that is suited.

    `make` gives the upscaler of a model's name, once for each that is needed, and raises as it
    does. `scale`: how many times as large pictures become.
    """

    def __init__(self, model: str, make: Callable[[str], Upscaler]) -> None:
        self._model, self._make = model, cache(make)
        self.scale = self._make(DEFAULT if model == AUTO else model).scale

    def name(self, picture: Picture) -> str:
        """The name of the model that the picture gets."""
        return suited(picture.jpeg_quality) if self._model == AUTO else self._model

    def __call__(self, picture: Picture) -> Upscaler:
        return self._make(self.name(picture))

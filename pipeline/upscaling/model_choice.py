"""A model for each picture."""

from collections.abc import Callable
from functools import cache

from pipeline.shipped import AUTO, DEFAULT, suited
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.upscaler import Upscaler


def chosen(model: str, picture: Picture) -> str:
    """`model`, or with `AUTO` the name of the one that is suited to the picture."""
    return suited(picture.jpeg_quality) if model == AUTO else model


class Chooser:
    """The upscaler of each picture, by `chosen`.

    `make` gives the upscaler of a model's name, once for each that is needed, and raises as it
    does. `scale`: how many times as large pictures become.
    """

    def __init__(self, model: str, make: Callable[[str], Upscaler]) -> None:
        self._model, self._make = model, cache(make)
        self.scale = self._make(DEFAULT if model == AUTO else model).scale

    def __call__(self, picture: Picture) -> Upscaler:
        return self._make(chosen(self._model, picture))

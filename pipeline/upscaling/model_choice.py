"""The choice of a model for each picture, where the user names none."""

from collections.abc import Callable
from functools import cache, partial

from pipeline.shipped import (
    AUTO,
    DEFAULT,
    model_for_avif,
    model_for_jpeg_quality,
    model_for_webp_quantiser,
)
from pipeline.upscaling.params import UpscaleParams
from pipeline.upscaling.pictures import Picture
from pipeline.upscaling.upscaler import Upscaler


def model_for(model: str, picture: Picture) -> str:
    """Return `model`, or for `AUTO` the name of the shipped model that suits the picture."""
    if model != AUTO:
        return model
    if picture.webp_quantiser is not None:
        return model_for_webp_quantiser(picture.webp_quantiser)
    if picture.avif is not None:
        return model_for_avif(picture.avif.quantiser, picture.avif.subsampled)
    of_file = picture.jpeg_quality
    return model_for_jpeg_quality(picture.traced_jpeg_quality if of_file is None else of_file)


class UpscalerChooser:
    """Returns the upscaler for each picture.

    `make` constructs the upscaler of a model's name; it is called once for each model that is
    needed, and its errors are passed on. `blend`: what results are said to be by, in place of a
    model. `scale`: the factor by which pictures are enlarged.
    """

    def __init__(
        self, model: str, make: Callable[[str], Upscaler], blend: str | None = None
    ) -> None:
        self.model = model
        self._blend = blend
        self._upscaler = cache(make)
        self.scale = self._upscaler(DEFAULT if model == AUTO else model).scale

    @classmethod
    def from_params(cls, params: UpscaleParams) -> "UpscalerChooser":
        """Return the chooser for the command's options. `alpha` takes the place of `AUTO`."""
        blended = params.alpha is not None and params.model == AUTO
        make = partial(
            Upscaler,
            alpha=params.alpha,
            scale=params.scale,
            width=params.width,
            height=params.height,
            tta=params.tta,
            seamless=params.seamless,
            consistency=params.consistency,
            tile=params.tile,
            device=params.device,
            precision=params.precision,
        )
        blend = None if params.alpha is None else f"a blend, alpha {params.alpha:g}"
        return cls(DEFAULT if blended else params.model, make, blend)

    def model_name(self, picture: Picture) -> str:
        """Return the name or path of the model for a picture."""
        return model_for(self.model, picture)

    def shown_name(self, picture: Picture) -> str:
        """Return what enlarges a picture, as users are told: a model's name or path, or a blend."""
        return self._blend or self.model_name(picture)

    def __call__(self, picture: Picture) -> Upscaler:
        """Return the upscaler for a picture."""
        return self._upscaler(self.model_name(picture))

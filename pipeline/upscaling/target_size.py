"""The size of results: by a scale, or by a width, a height or both that they fit into."""

from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.upscaling.params import MAX_SCALE, UpscaleParams

RESULT_SUFFIX = r"_x\d+(?:\.\d+)?|_w\d+(?:_h\d+)?|_h\d+"
"""Pattern of what `TargetSize.name_suffix` returns."""


@dataclass(frozen=True)
class TargetSize:
    """The size of results; `scale` counts where neither `width` nor `height` (pixels) is named."""

    scale: float
    width: int | None = None
    height: int | None = None

    @property
    def name_suffix(self) -> str:
        """What a result's name ends in: `_x4`, `_w1920`, `_h1080` or `_w1920_h1080`."""
        width = "" if self.width is None else f"_w{self.width}"
        height = "" if self.height is None else f"_h{self.height}"
        return f"{width}{height}" or f"_x{self.scale:g}"

    def of(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the result of a picture of that size, pixels.

        Raises `PipelineError` where a picture would become larger than `MAX_SCALE` times.
        """
        factor = self._factor(width, height)
        if factor > MAX_SCALE:
            raise PipelineError(
                f"from {width}×{height} that size is {factor:.3g} times as large; "
                f"{MAX_SCALE} is the most"
            )
        named_width = self.width if self.width and factor == self.width / width else None
        named_height = self.height if self.height and factor == self.height / height else None
        return (
            named_width or max(round(width * factor), 1),
            named_height or max(round(height * factor), 1),
        )

    def _factor(self, width: int, height: int) -> float:
        factors = [
            named / side
            for named, side in ((self.width, width), (self.height, height))
            if named is not None
        ]
        return min(factors, default=self.scale)


def target_size(params: UpscaleParams, model_scale: float) -> TargetSize:
    """Return the size that the options name, by default that of the model."""
    scale = model_scale if params.scale is None else params.scale
    return TargetSize(float(scale), params.width, params.height)

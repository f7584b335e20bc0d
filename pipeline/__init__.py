"""Anime super-resolution: `from pipeline import Upscaler`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.upscaling.upscaler import Upscaler

__all__ = ["Upscaler"]


def __getattr__(name: str) -> object:
    # Importing torch takes seconds, and most commands can do without.
    if name == "Upscaler":
        from pipeline.upscaling.upscaler import Upscaler

        return Upscaler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The generators that come with the program; each has a card, NAME.md, beside its weights."""

from pathlib import Path

from pipeline.errors import UsageError

FOLDER = Path(__file__).parent
DEFAULT = "perception"
FOR_JPEG = "web"
AUTO = "auto"
"""In place of a name: of the two above the one that suits a picture."""
CLEAN_JPEG = 94
"""JPEG's quality below which what it did to a picture is worse than what `web` smoothes away.

On the 23 validation pictures, compressed in steps, the LPIPS of the two models cross at 94 where
colour has all its pixels, and above 95 where it has a quarter of them.
"""


def suited(jpeg_quality: int | None) -> str:
    """The model for a picture out of a JPEG of that quality, None: out of another file."""
    return DEFAULT if jpeg_quality is None or jpeg_quality >= CLEAN_JPEG else FOR_JPEG


def shipped_models() -> dict[str, Path]:
    """Name → safetensors file, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}


def model_file(model: str) -> Path:
    """The file of a generator given by the name of a shipped one, or by its path.

    Raises `UsageError` where it is neither.
    """
    models = shipped_models()
    if model in models:
        return models[model]
    path = Path(model)
    if not path.suffix and not path.exists():
        names = ", ".join(models)
        raise UsageError(f"--model: {model} is no file, and no model that is here ({names})")
    return path

"""The generators that come with the program; each has a card, NAME.md, beside its weights."""

from pathlib import Path

from pipeline.errors import UsageError

FOLDER = Path(__file__).parent
DEFAULT = "perception"


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

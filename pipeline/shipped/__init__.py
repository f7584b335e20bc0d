"""Generators that come with the program: NAME.safetensors, and a model card NAME.md."""

import codecs
from pathlib import Path

from pipeline.errors import ArgumentError
from pipeline.wording import did_you_mean

FOLDER = Path(__file__).parent
DEFAULT = "perception"
FOR_JPEG = "web"
AUTO = "auto"
"""Instead of a model's name: `DEFAULT` or `FOR_JPEG`, by the picture."""
CLEAN_JPEG = 96
"""JPEG quality below which `FOR_JPEG` gives better results than `DEFAULT`.

On 16 validation pictures, compressed at rising qualities, the LPIPS of the two models cross between
95 and 96 without chroma subsampling, and between 96 and 98 with 4:2:0.
"""
CLEAN_WEBP = 10
"""Index of a WebP's quantiser above which `FOR_JPEG` gives better results than `DEFAULT`.

On those pictures the LPIPS of the two models cross between libwebp's qualities 90 (index 12) and 94
(index 7).
"""
CLEAN_AVIF, CLEAN_AVIF_444 = 38, 48
"""Index of an AVIF's quantiser above which `FOR_JPEG` gives better results than `DEFAULT`.

On those pictures the LPIPS of the two models cross with chroma subsampling between libavif's
qualities 80 (index 60) and 90 (index 32), without it at 85 (index 48).
"""


def model_for_jpeg_quality(jpeg_quality: int | None) -> str:
    """Return the model for a picture from a JPEG of that quality; None: from another format."""
    return DEFAULT if jpeg_quality is None or jpeg_quality >= CLEAN_JPEG else FOR_JPEG


def model_for_webp_quantiser(quantiser: int) -> str:
    """Return the model for a picture from a lossy WebP with that index of the quantiser."""
    return DEFAULT if quantiser <= CLEAN_WEBP else FOR_JPEG


def model_for_avif(quantiser: int, subsampled: bool) -> str:
    """Return the model for a picture from a lossy AVIF, by `pipeline.images.avif_quality`."""
    return DEFAULT if quantiser <= (CLEAN_AVIF if subsampled else CLEAN_AVIF_444) else FOR_JPEG


def shipped_models() -> dict[str, Path]:
    """Return the safetensors file of each shipped model, sorted by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}


def any_case(model: str) -> str:
    """Return `AUTO` or a shipped model's name that `model` is in other case, else `model` itself.

    A file of that very name comes first.
    """
    name = model.lower()
    is_known = name == AUTO or name in shipped_models()
    return name if is_known and not Path(model).exists() else model


def named_file(name: str) -> Path:
    """Return the file that a param names: a shipped model's, or the path itself if there is one."""
    path = Path(name)
    return path if path.exists() else shipped_models().get(name, path)


def model_file(model: str) -> Path:
    """Return the file of `model`, the name of a shipped generator or a path.

    Raises `ArgumentError` for what is neither, and for a file that is clearly no model.
    """
    models = shipped_models()
    if model in models:
        return models[model]
    path = Path(model)
    if not path.suffix and not path.exists():
        raise ArgumentError("model", unknown_model(model))
    return check_model("model", path)


def unknown_model(model: str) -> str:
    """Describe a `model` that is neither a file nor the name of a shipped generator."""
    models = shipped_models()
    names = ", ".join(models)
    return f"{model} is no file, and no model that is here ({names}){did_you_mean(model, models)}"


def check_model(name: str, path: Path) -> Path:
    """Return the path of a model's file.

    Raises `ArgumentError`, of the argument `name`, where it does not exist or is clearly no model.
    """
    if not path.exists():
        raise ArgumentError(name, missing_text(path))
    if problem := other_content(path, "a model"):
        raise ArgumentError(name, f"{path}: {problem}")
    return path


def missing_text(path: Path) -> str:
    """Describe a model's file that does not exist."""
    return f"{path}: no such file; `pipeline train` makes a model"


def other_content(path: Path, wanted: str) -> str | None:
    """Describe a file that is clearly not what is `wanted`, `a model`: a folder, a picture, text.

    None where its first bytes may be a model's, and where they cannot be read: whoever reads the
    whole file says why.
    """
    # It imports Pillow, which others of this module's callers do without.
    from pipeline.images.recognition import read_head, readable_format, unread_format

    if path.is_dir():
        return f"is a folder, not {wanted}"
    try:
        head = read_head(path)
    except OSError:
        return None
    if path.is_file() and not head:
        return f"is empty, not {wanted}"
    # A safetensors file begins with the length of its header, which may be as a picture begins.
    if head[8:9] == b"{":
        return None
    if format := readable_format(head) or unread_format("", head):
        return f"is a picture ({format}), not {wanted}"
    text = _beginning_of_text(head)
    return None if text is None else f"is text, not {wanted}; it begins: {text}"


def _beginning_of_text(head: bytes) -> str | None:
    """Return the first line of a text file that begins with `head`; None for any other file."""
    try:
        # The last letter may be cut.
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return None
    words = text.split()
    return " ".join(text.strip().splitlines()[:1]) if all(map(str.isprintable, words)) else None

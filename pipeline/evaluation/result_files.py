"""Files of other programs' results: which is of which image, and their pixels."""

import hashlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.files import sha256_of
from pipeline.images.decode import ImageRefused, decoding, opaque_srgb, opened, whole_raster
from pipeline.images.raster import Raster, has_alpha, is_srgb
from pipeline.images.webp_chunks import LOSSY, first_stream
from pipeline.params.section import MAX_DECODED_PIXELS

ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".webp", ".avif", ".jpg", ".jpeg")
"""In any case; of several files of an image the first is read: the lossless formats come first."""
BACKGROUND = "#ffffff"


@dataclass(frozen=True)
class Result:
    """A result, and what was done to it for the comparison with originals of 8-bit sRGB."""

    pixels: Tensor
    """(3, H, W) uint8"""
    conversions: tuple[str, ...]


@dataclass(frozen=True)
class ResultFiles:
    """The files of the results of `method`, another program."""

    method: str
    folder: Path
    paths: Mapping[str, Path]
    """image's name → file"""

    @staticmethod
    def find(method: str, folder: Path, names: Sequence[str], wanted_names: str) -> "ResultFiles":
        """Find a result for each image of `names` below `folder`: NAME.png, NAME_x4.webp, ...

        What follows the names must be the same for all. `wanted_names` says in a message whose
        names are meant. Raises `PipelineError` where files are missing, or several would do.
        """
        by_stem: dict[str, list[Path]] = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in ENDINGS and path.is_file():
                stem = path.relative_to(folder).with_suffix("").as_posix()
                by_stem.setdefault(stem, []).append(path)
        suffix = _common_suffix(method, folder, names, by_stem.keys())
        missing = [name for name in names if name + suffix not in by_stem]
        if missing:
            others = sorted(by_stem.keys() - set(names))
            raise PipelineError(
                f"{folder / missing[0]}.png: not found; evaluate.results: {method} needs a result "
                f"for every image, with the names of {wanted_names}: {len(missing)} of "
                f"{len(names)} are missing"
                + (f", and {by_stem[others[0]][0].name} is no image's name" if others else "")
            )
        paths = {name: min(by_stem[name + suffix], key=_preference) for name in names}
        return ResultFiles(method, folder, paths)

    def sha256(self) -> str:
        """Return one SHA-256 of all files."""
        hashes = "".join(sha256_of(path) for path in self.paths.values())
        return hashlib.sha256(hashes.encode()).hexdigest()

    def read(self, name: str, size: tuple[int, int]) -> Result:
        """Return the result of an image. Raises `PipelineError` if it is none of that `size`."""
        path = self.paths[name]
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = "not found" if isinstance(error, FileNotFoundError) else error.strerror
            raise PipelineError(
                f"{path}: {reason}; evaluate.results: {self.method} needs a result for every image"
            ) from None
        try:
            return self._decoded(path, data, size)
        except ImageRefused as refused:
            raise PipelineError(f"{path}: no complete image: {refused.text}") from None

    def _decoded(self, path: Path, data: bytes, size: tuple[int, int]) -> Result:
        with warnings.catch_warnings(), opened(data, MAX_DECODED_PIXELS) as image:
            warnings.simplefilter("ignore")
            if image.size != size:
                width, height = image.size
                raise PipelineError(
                    f"{path}: {width}×{height}, not {size[0]}×{size[1]}; {self.method} has to "
                    "enlarge the LR images: those that `pipeline pairs` writes, or of "
                    "evaluate.lr_folder"
                )
            raster = whole_raster(image, data)
            with decoding():
                pixels = opaque_srgb(raster, BACKGROUND)
            conversions = _conversions(image, data, raster)
        return Result(torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), conversions)


def _common_suffix(method: str, folder: Path, names: Sequence[str], stems: Collection[str]) -> str:
    """Return what follows each image's name in `stems`: nothing, where some have the name alone."""
    if any(name in stems for name in names):
        return ""
    first, *others = names
    candidates = [stem.removeprefix(first) for stem in stems if stem.startswith(first)]
    # 10 is no result of an image named 1, nor is 1/2.
    candidates = [each for each in candidates if not each[0].isdigit() and "/" not in each]
    fitting = [each for each in candidates if all(name + each in stems for name in others)]
    if len(fitting) > 1:
        raise PipelineError(
            f"{folder}: evaluate.results: {method} has several results of each image, with "
            f"{' and '.join(fitting)} after its name; put one kind into a folder of its own"
        )
    return fitting[0] if fitting else ""


def _preference(path: Path) -> int:
    return ENDINGS.index(path.suffix.lower())


def _conversions(image: Image.Image, data: bytes, raster: Raster) -> tuple[str, ...]:
    """Return what a reader of the figures has to know of a result's file."""
    format = image.format or ""
    stream = first_stream(data) if format == "WEBP" else None
    is_lossy = format in ("JPEG", "MPO", "AVIF") or (stream is not None and stream[0] == LOSSY)
    converted = {
        f"lossy {format}, whose damage is measured too": is_lossy,
        "of 16 bits, rounded to 8": raster.pixels.dtype.itemsize == 2,
        "transparent, over white": has_alpha(raster.pixels.shape[2]),
        "of other colours, converted to sRGB": raster.profile is not None
        and not is_srgb(raster.profile),
    }
    return tuple(text for text, applies in converted.items() if applies)

"""Files of other programs' results: which is of which image, and their pixels."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from pipeline.errors import PipelineError, UsageError, some_of
from pipeline.files import sha256_of
from pipeline.images.decode import ImageRefused, decoding, opaque_srgb, opened, whole_raster
from pipeline.images.raster import Raster, has_alpha, is_srgb
from pipeline.images.webp_chunks import LOSSY, first_stream
from pipeline.params.section import MAX_DECODED_PIXELS

ENDINGS = (".png", ".tif", ".tiff", ".bmp", ".webp", ".avif", ".jpg", ".jpeg")
"""In any case; of several files of an image the first is measured: lossless formats come first."""
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
    unread: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """image's name → further files of it, which are not measured"""

    @staticmethod
    def find(method: str, folder: Path, names: Sequence[str], wanted_names: str) -> "ResultFiles":
        """Find a result for each image of `names` below `folder`: NAME.png, NAME_x4.webp, ...

        What follows the names must be the same for all. `wanted_names` says in a message whose
        names are meant. Raises `UsageError` where files are missing, or several would do.
        """
        by_stem = _by_stem(method, folder)
        by_name = _by_name(by_stem, names)
        suffix = _common_suffix(method, folder, by_name)
        missing = [name for name in names if suffix not in by_name[name]]
        if missing:
            named = {name + suffix for name, suffixes in by_name.items() for suffix in suffixes}
            nameless = sorted(by_stem.keys() - named)
            raise UsageError(
                f"{results_key(method)}: {folder} has no result of {len(missing)} of "
                f"{len(names)} images: {some_of(missing)}; each needs a file with the name of "
                f"{wanted_names}, as {missing[0]}{suffix}.png"
                + (f", and {by_stem[nameless[0]][0].name} is no image's name" if nameless else "")
            )
        paths = {name: min(by_name[name][suffix], key=_preference) for name in names}
        unread = {
            name: others
            for name, stems in by_name.items()
            if (others := [path for stem in stems.values() for path in stem if path != paths[name]])
        }
        return ResultFiles(method, folder, paths, unread)

    def unread_text(self) -> str | None:
        """Return a line about images of which several files are there; None where there are none.

        It names the file that is measured of each.
        """
        if not self.unread:
            return None
        examples = [
            f"{self.paths[name].name}, not {' and '.join(path.name for path in paths)}"
            for name, paths in self.unread.items()
        ]
        return (
            f"results of {self.method}: {len(self.unread)} of {len(self.paths)} images have "
            "several files; measured is the image's name before longer ones, lossless before "
            f"lossy: {some_of(examples, separator='; ')}"
        )

    def sha256(self) -> str:
        """Return one SHA-256 of all files."""
        hashes = "".join(sha256_of(path) for path in self.paths.values())
        return hashlib.sha256(hashes.encode()).hexdigest()

    def read(self, name: str, size: tuple[int, int]) -> Result:
        """Return the result of an image.

        Raises `PipelineError` if it cannot be read, `UsageError` if it is none of that `size`.
        """
        path = self.paths[name]
        try:
            data = path.read_bytes()
        except OSError as error:
            reason = "not found" if isinstance(error, FileNotFoundError) else error.strerror
            raise PipelineError(
                f"{results_key(self.method)}: {path}: {reason}; it needs a result of every image"
            ) from None
        try:
            return self._decoded(path, data, size)
        except ImageRefused as refused:
            raise PipelineError(
                f"{results_key(self.method)}: {path}: no complete image: {refused.text}"
            ) from None

    def _decoded(self, path: Path, data: bytes, size: tuple[int, int]) -> Result:
        with warnings.catch_warnings(), opened(data, MAX_DECODED_PIXELS) as image:
            warnings.simplefilter("ignore")
            if image.size != size:
                width, height = image.size
                raise UsageError(
                    f"{results_key(self.method)}: {path} is {width}×{height}, not "
                    f"{size[0]}×{size[1]}; let it enlarge the LR images to that size: those that "
                    "`pipeline pairs` writes, or of evaluate.lr_folder"
                )
            raster = whole_raster(image, data)
            with decoding():
                pixels = opaque_srgb(raster, BACKGROUND)
            conversions = _conversions(image, data, raster)
        return Result(torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), conversions)


def results_key(method: str) -> str:
    """Return the key of the folder of a method's results in `params.yaml`."""
    return f"evaluate.results.{method}"


def _by_stem(method: str, folder: Path) -> dict[str, list[Path]]:
    """Return path below `folder` without ending → the picture files of it, but for hidden ones.

    Raises `UsageError` if there are none.
    """
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "does not exist"
        raise UsageError(
            f"{results_key(method)}: {folder} {kind}; name the folder that holds the results"
        )
    by_stem: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        is_picture = path.suffix.lower() in ENDINGS and not path.name.startswith(".")
        if is_picture and path.is_file():
            stem = path.relative_to(folder).with_suffix("").as_posix()
            by_stem.setdefault(stem, []).append(path)
    if not by_stem:
        raise UsageError(
            f"{results_key(method)}: {folder} holds no file that ends in "
            f"{', '.join(ENDINGS)}; name the folder that holds the results"
        )
    return by_stem


def _by_name(
    by_stem: Mapping[str, list[Path]], names: Sequence[str]
) -> dict[str, dict[str, list[Path]]]:
    """Return image's name → what follows it in names of files → these files.

    A file is of the image with the longest name that it begins with.
    """
    by_name: dict[str, dict[str, list[Path]]] = {name: {} for name in names}
    for stem, paths in by_stem.items():
        ends = range(len(stem), 0, -1)
        name = next((stem[:end] for end in ends if stem[:end] in by_name), None)
        suffix = stem.removeprefix(name or "")
        # 10 is no result of an image named 1, nor is 1/2.
        if name is not None and not suffix[:1].isdigit() and "/" not in suffix:
            by_name[name][suffix] = paths
    return by_name


def _common_suffix(
    method: str, folder: Path, by_name: Mapping[str, Mapping[str, list[Path]]]
) -> str:
    """Return what follows each image's name: nothing, where some have the name alone."""
    if any("" in suffixes for suffixes in by_name.values()):
        return ""
    counts = Counter(suffix for suffixes in by_name.values() for suffix in suffixes)
    fitting = [suffix for suffix, count in counts.items() if count == len(by_name)]
    if len(fitting) > 1:
        raise UsageError(
            f"{results_key(method)}: {folder} has several results of each image, with "
            f"{' and '.join(fitting)} after its name; put one kind into a folder of its own"
        )
    # Of an incomplete set, what most of its files have.
    return next(iter(fitting), max(counts, key=lambda suffix: counts[suffix], default=""))


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

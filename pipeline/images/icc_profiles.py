"""ICC profiles made from primaries and a transfer function (ICC.1:2010, version 4)."""

import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import ImageCms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Chromaticities = Sequence[tuple[float, float]]
"""CIE x and y of the white point, red, green and blue"""

D50 = (0.9642, 1.0, 0.8249)
# Bradford's matrix, of the linear adaptation from one white point to another.
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
# Values beyond are no colours; 32,768 is what the format holds.
MAX_MATRIX_VALUE = 100.0


def parametric_curve(
    exponent: float, scale: float = 1, offset: float = 0, slope: float = 0, limit: float = 0
) -> bytes:
    """Return a curve from samples to linear light.

    It is `(scale * x + offset) ** exponent` from `limit` on, below it `slope * x`.
    """
    values = (exponent, scale, offset, slope, limit)
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, values))


def rgb_profile(chromaticities: Chromaticities, curve: bytes) -> bytes | None:
    """Return the profile of RGB pictures; None where the chromaticities span no colours."""
    # The scraper is to start without numpy.
    import numpy as np

    with np.errstate(all="ignore"):
        white, *primaries = (np.array([x, y, 1 - x - y]) for x, y in chromaticities)
        white = white / white[1]
        adaptation = _adaptation(white)
        try:
            columns = np.stack(primaries, axis=1)
            colorants = adaptation @ (columns * np.linalg.solve(columns, white))
        except np.linalg.LinAlgError:
            return None
    if not (np.abs([*colorants, *adaptation]) < MAX_MATRIX_VALUE).all():
        return None
    tags = {b"chad": _fixed_array(b"sf32", adaptation.ravel())}
    for name, colorant in zip((b"r", b"g", b"b"), colorants.T, strict=True):
        tags |= {name + b"XYZ": _fixed_array(b"XYZ ", colorant), name + b"TRC": curve}
    return _profile(b"RGB ", tags)


def grey_profile(curve: bytes) -> bytes:
    """Return the profile of grey pictures, whose white point does not matter."""
    return _profile(b"GRAY", {b"kTRC": curve})


def profile_space(profile: object) -> str | None:
    """Return the colour space of a profile's pictures, as "RGB"; None for no readable profile."""
    if not isinstance(profile, bytes):
        return None
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return str(opened.profile.xcolor_space).strip()
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    described = {
        b"desc": _text("Colours of the original file"),
        b"cprt": _text("Public domain"),
        b"wtpt": _fixed_array(b"XYZ ", D50),
    } | dict(tags)
    directory, contents, offsets = b"", b"", {}
    start = 132 + 12 * len(described)
    for name, content in described.items():
        if content not in offsets:
            offsets[content] = start + len(contents)
            contents += content + bytes(-len(content) % 4)
        directory += name + struct.pack(">II", offsets[content], len(content))
    header = struct.pack(
        ">I4sI4s4s4s12s4s28s12s48s",
        start + len(contents),
        bytes(4),
        0x04300000,
        b"mntr",
        space,
        b"XYZ ",
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0),
        b"acsp",
        bytes(28),
        b"".join(map(_fixed, D50)),
        bytes(48),
    )
    return header + struct.pack(">I", len(described)) + directory + contents


def _adaptation(white: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the matrix that maps XYZ under `white` to XYZ under D50, as profiles have it."""
    import numpy as np

    bradford = np.array(BRADFORD)
    cones = bradford @ D50 / (bradford @ white)
    matrix: NDArray[np.float64] = np.linalg.inv(bradford) @ (cones[:, None] * bradford)
    return matrix


def _text(text: str) -> bytes:
    """Return text in one language, American English."""
    encoded = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">III4sII", 0, 1, 12, b"enUS", len(encoded), 28) + encoded


def _fixed_array(kind: bytes, values: Iterable[float]) -> bytes:
    return kind + bytes(4) + b"".join(map(_fixed, values))


def _fixed(value: float) -> bytes:
    """Return a number as s15Fixed16."""
    return struct.pack(">i", round(float(value) * 65_536))

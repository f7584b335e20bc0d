"""Colours by code points (ITU-T H.273), as PNG's chunk cICP and AVIF's box nclx give them."""

from dataclasses import dataclass
from typing import Any

from pipeline.images.icc_profiles import (
    Chromaticities,
    grey_profile,
    parametric_curve,
    rgb_profile,
)

_D65, _C, _THEATRE = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
BT709: Chromaticities = (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_BT601_525 = (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_PRIMARIES: dict[int, Chromaticities] = {
    1: BT709,
    2: BT709,  # not specified
    4: (_C, (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: _BT601_525,
    7: _BT601_525,
    8: (_C, (0.681, 0.319), (0.243, 0.692), (0.145, 0.049)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    10: ((1 / 3, 1 / 3), (1, 0), (0, 1), (0, 0)),
    11: (_THEATRE, *_P3),
    12: (_D65, *_P3),
    22: (_D65, (0.630, 0.340), (0.295, 0.605), (0.155, 0.077)),
}
SRGB_CURVE = parametric_curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
# Of television the display's curve counts (ITU-R BT.1886), not that of the camera.
_TELEVISION = (1, 6, 11, 14, 15)
_CURVES = dict.fromkeys(_TELEVISION, parametric_curve(2.4)) | {
    2: SRGB_CURVE,  # not specified
    4: parametric_curve(2.2),
    5: parametric_curve(2.8),
    7: parametric_curve(1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0913),
    8: parametric_curve(1.0),
    13: SRGB_CURVE,
    17: parametric_curve(2.6, (52.37 / 48) ** (1 / 2.6)),
}
# Curves of high dynamic range, which no profile holds.
_WITHOUT_PROFILE = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Cicp:
    """Codes of primaries and transfer function, of RGB samples that use all levels."""

    primaries: int
    transfer: int

    @classmethod
    def of_avif(cls, primaries: int, transfer: int) -> "Cicp":
        """Return the codes as browsers take those of AVIF: unknown and television's as sRGB."""
        known = transfer in (*_CURVES, *_WITHOUT_PROFILE) and transfer not in _TELEVISION
        return cls(primaries if primaries in _PRIMARIES else 1, transfer if known else 13)

    @property
    def is_known(self) -> bool:
        """Whether browsers know both codes; of PNG they ignore others."""
        return self.primaries in _PRIMARIES and self.transfer in (*_CURVES, *_WITHOUT_PROFILE)

    @property
    def name(self) -> str:
        """What colours are that no profile describes, for messages."""
        return f"colours of high dynamic range ({_WITHOUT_PROFILE[self.transfer]})"

    def info(self, grey: bool) -> dict[str, Any]:
        """Return what stands in `Image.info` for known codes, of RGB or grey pictures.

        "icc_profile", None for sRGB; or "cicp", these codes, where no profile describes them.
        """
        if self.transfer in _WITHOUT_PROFILE:
            return {"cicp": self}
        curve, primaries = _CURVES[self.transfer], _PRIMARIES[self.primaries]
        if curve == SRGB_CURVE and (grey or primaries == BT709):
            return {"icc_profile": None}
        return {"icc_profile": grey_profile(curve) if grey else rgb_profile(primaries, curve)}

    def as_bytes(self) -> bytes:
        """Return the content of the chunk cICP."""
        return bytes((self.primaries, self.transfer, 0, 1))

"""Styles of hair, chosen at random."""

from dataclasses import dataclass

import numpy as np

BACKS = (
    "short_hair",
    "medium_hair",
    "long_hair",
    "very_long_hair",
    "twintails",
    "ponytail",
    "braid",
    "double_bun",
    "low_twintails",
)
FRINGES = ("blunt_bangs", "parted_bangs", "swept_bangs", "hair_between_eyes", "messy_hair")


@dataclass(frozen=True)
class HairStyle:
    """Style of one head of hair.

    `wave` bends the locks, `volume` widens the hair, `wind` blows it sideways. The fringe has
    `lock_count` locks; `shine` is the part of their length that the highlight takes.
    """

    back: str
    fringe: str
    sidelocks: bool
    ahoge: bool
    wave: float
    volume: float
    wind: float
    lock_count: int
    shine: tuple[float, float] | None


def choose_hair(rng: np.random.Generator) -> HairStyle:
    """Choose a back, a fringe, and how the locks hang."""
    low = rng.uniform(0.28, 0.42)
    return HairStyle(
        back=str(rng.choice(BACKS, p=[0.2, 0.13, 0.22, 0.09, 0.12, 0.09, 0.05, 0.05, 0.05])),
        fringe=str(rng.choice(FRINGES)),
        sidelocks=bool(rng.random() < 0.8),
        ahoge=bool(rng.random() < 0.3),
        wave=float(rng.beta(1, 2.2)),
        volume=rng.uniform(0.94, 1.12),
        wind=float(rng.normal(0, 0.18)),
        lock_count=int(rng.integers(5, 10)),
        shine=(low, low + rng.uniform(0.06, 0.2)) if rng.random() < 0.8 else None,
    )

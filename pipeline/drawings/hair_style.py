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
    """One head of hair. `wave` bends the locks, `volume` widens them, `wind` blows sideways."""

    back: str
    fringe: str
    sidelocks: bool
    ahoge: bool
    wave: float
    volume: float
    wind: float
    locks: int
    shine: tuple[float, float] | None


def choose_hair(rng: np.random.Generator) -> HairStyle:
    low = rng.uniform(0.28, 0.42)
    return HairStyle(
        back=str(rng.choice(BACKS, p=[0.2, 0.13, 0.22, 0.09, 0.12, 0.09, 0.05, 0.05, 0.05])),
        fringe=str(rng.choice(FRINGES)),
        sidelocks=bool(rng.random() < 0.8),
        ahoge=bool(rng.random() < 0.3),
        wave=float(rng.beta(1, 2.2)),
        volume=rng.uniform(0.94, 1.12),
        wind=float(rng.normal(0, 0.18)),
        locks=int(rng.integers(5, 10)),
        shine=(low, low + rng.uniform(0.06, 0.2)) if rng.random() < 0.8 else None,
    )

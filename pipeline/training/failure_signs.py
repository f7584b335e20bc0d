"""Signs that a training fails: results worse than interpolation, a discriminator that wins."""

from collections.abc import Sequence

from pipeline.images.interpolation import baseline_in_words
from pipeline.training.history import Figures

FAR_BELOW_DB = 6.0
"""Twice the baseline's error."""
WINNING_OUTPUTS = 0.9, 0.1
"""D(hr) above, and D(sr) below, where nothing that the generator does changes D's mind."""
FEWEST_ROWS = 5
"""Over fewer logged steps, the discriminator's outputs are chance."""


def below_baseline(psnr_y: float, baseline: float, scale: int) -> str | None:
    """Return what to say of a generator with a lower PSNR (dB) than interpolation, or None.

    At scale 1 that is the PSNR of the input.
    """
    if psnr_y >= baseline:
        return None
    text = f"below {baseline_in_words(scale)}, {baseline:.4g} dB"
    if baseline - psnr_y < FAR_BELOW_DB:
        return text
    return f"the generator has collapsed, far {text}: lower train.lr or train.adv_weight"


def winning_discriminator(rows: Sequence[Figures]) -> str | None:
    """Return what to say where the discriminator told HR from SR in all of `rows`, or None.

    Equation 2 is then at its minimum for D, and the adversarial loss's gradient says little.
    """
    outputs = [
        (row["train/d_hr"], row["train/d_sr"])
        for row in rows
        if {"train/d_hr", "train/d_sr"} <= row.keys()
    ]
    if len(outputs) < FEWEST_ROWS:
        return None
    hr, sr = (sum(column) / len(column) for column in zip(*outputs, strict=True))
    if hr <= WINNING_OUTPUTS[0] or sr >= WINNING_OUTPUTS[1]:
        return None
    return (
        f"the discriminator wins: D(hr) {hr:.2f}, D(sr) {sr:.2f} in the mean since the last "
        "validation; lower train.lr, or raise train.pretrain_steps"
    )

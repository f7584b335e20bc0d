"""GIF's field of repetitions. It counts those after the first play, and is absent for one play."""


def plays_of_gif(repetitions: int | None) -> int:
    """Return how often an animation is played, 0 for ever, by GIF's field; None: it has none."""
    if repetitions is None:
        return 1
    return repetitions + 1 if repetitions else 0


def gif_repetitions(plays: int) -> int | None:
    """Return GIF's field for an animation that is played so often, 0 for ever; None: no field."""
    if plays == 1:
        return None
    return plays - 1 if plays else 0

"""Evenly spaced choice from a sequence."""


def evenly_spaced(length: int, count: int) -> list[int]:
    """Return `count` indices below `length`, the first and the last included; all if fewer."""
    if count >= length:
        return list(range(length))
    if count == 1:
        return [length // 2]
    return [round(step * (length - 1) / (count - 1)) for step in range(count)]

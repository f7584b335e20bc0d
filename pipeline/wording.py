"""Parts of messages: numbers with their nouns, and what a wrong name may mean."""

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return `number` and the noun in the form that goes with it; `plural` is NOUNs if None."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question, in brackets, for the nearest of the `known` names, or an empty text.

    Where none is near, those two are named that `name` begins.
    """
    names = list(known)
    matches = difflib.get_close_matches(name.lower(), names, n=1)
    matches = matches or [one for one in names if name and one.startswith(name.lower())][:2]
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""

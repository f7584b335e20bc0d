"""The key and the user of a site's API, kept out of messages and of what is stored."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from pipeline.errors import PipelineError
from pipeline.scraping.fetch_errors import FetchError

# A shorter user id is a number that also stands in addresses and in HTTP statuses.
_MIN_USER_LENGTH = 4


@dataclass(frozen=True)
class Secrets:
    """The values that no message may have; empty for none."""

    key: str = ""
    user: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Secrets":
        """Return those of the variables PIPELINE_API_KEY and PIPELINE_USER_ID."""
        return cls(
            environment.get("PIPELINE_API_KEY", "").strip(),
            environment.get("PIPELINE_USER_ID", "").strip(),
        )

    def mask(self, text: str) -> str:
        """Return `text` with the values as dots, as they are or percent-encoded any times."""
        return self._pattern.sub("...", text) if self._pattern else text

    def are_in(self, text: str) -> bool:
        """Return whether `text` has one of the values, as `mask` recognises it."""
        return bool(self._pattern and self._pattern.search(text))

    @property
    def advice(self) -> str:
        """What to do about the variables where an API takes no request without its key."""
        if self.key and self.user:
            return "check PIPELINE_API_KEY and PIPELINE_USER_ID, which are set"
        if self.key or self.user:
            known, missing = ("PIPELINE_API_KEY", "PIPELINE_USER_ID")[:: 1 if self.key else -1]
            return f"check {known}, which is set, and set {missing} too"
        return "set PIPELINE_API_KEY and PIPELINE_USER_ID to those of your account there"

    @contextmanager
    def masked_in_errors(self) -> Iterator[None]:
        """Mask the values in the message of a `PipelineError` that the block raises."""
        try:
            yield
        except PipelineError as error:
            error.args = (self.mask(str(error)),)
            if isinstance(error, FetchError):
                error.problem = self.mask(error.problem)
            raise

    @cached_property
    def _pattern(self) -> re.Pattern[str] | None:
        parts = [_encoded(self.key)] if self.key else []
        if len(self.user) >= _MIN_USER_LENGTH:
            # A percent-encoded sign, which itself may be encoded twice, ends in letters or digits.
            signs = "|".join(f"(?<=%{'25' * times}[0-9a-f]{{2}})" for times in range(3))
            start = f"(?:(?<![a-z0-9])|{signs})"
            parts.append(f"{start}{_encoded(self.user)}(?![a-z0-9])")
        return re.compile("|".join(parts), re.IGNORECASE) if parts else None


def _encoded(value: str) -> str:
    """Return a pattern of `value`, each character as it is or percent-encoded."""
    return "".join(_encoded_character(character) for character in value)


def _encoded_character(character: str) -> str:
    octets = "".join(f"%(?:25)*{octet:02x}" for octet in character.encode("utf-8", "replace"))
    plus = r"|\+" if character == " " else ""
    return f"(?:{re.escape(character)}|{octets}{plus})"

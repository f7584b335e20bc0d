"""Errors of requests to a site, and whether a retry may help."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pipeline.errors import PipelineError
from pipeline.scraping.api_parsing import (
    BodyKind,
    body_kind,
    excerpt,
    one_line,
    parse_html,
    strings,
)

CHALLENGE_EXIT_CODE = 3
_MAX_URL = 500
_LONGEST_WAIT = 1e9
_ADDRESS = re.compile(r"https?://\S+")

# Values of a query, also of one that is percent-encoded within another. The list of fields, `only`,
# is no secret, but would fill a message.
_SECRETS = re.compile(
    r"((?:api_key|user_id|login|only)(?:=|%(?P<depth>(?:25)*)3D))"
    r"(?:(?(depth)(?!%(?P=depth)26))[^&\s'\"])+",
    re.IGNORECASE,
)

_MAX_SENTENCE_BYTES = 4096
_MAX_SENTENCE_LENGTH = 400
_KEY_WANTED = re.compile(
    r"(missing|no|invalid|incorrect|wrong|bad) (authentication|authorization|credentials|api.?key)"
    r"|(authentication|authorization|credentials|api.?key|login|log.?in|account)s? (is |are )?"
    r"(required|needed|missing|invalid|incorrect)"
    r"|(requires?|needs?) (an? )?(authentication|api.?key|login|account)"
    r"|not (authenticated|logged in)|must (be logged|log) in|unauthori[sz]ed",
    re.IGNORECASE,
)


class FetchError(PipelineError):
    """One address could not be fetched; `reason` is a short label to count by.

    `is_refusal`: the answer is words in place of a file, and so may that to any other address be.
    """

    def __init__(self, url: str, reason: str, problem: str, *, is_refusal: bool = False) -> None:
        super().__init__(_message(url, problem))
        self.reason, self.problem, self.is_refusal = reason, problem, is_refusal


class TransientError(FetchError):
    """The same request may succeed later, after at least `wait` seconds.

    `pause_all`: the site limits the rate, so that every request must wait.
    """

    def __init__(
        self, url: str, reason: str, problem: str, *, wait: float = 0.0, pause_all: bool = False
    ) -> None:
        super().__init__(url, reason, problem)
        self.wait, self.pause_all = wait, pause_all


class UnreachableError(TransientError):
    """No connection to the host of `address` could be made.

    `advice` says what to do. A `lasting` error is the same at the next try.
    """

    def __init__(
        self,
        url: str,
        problem: str,
        advice: str = "check scrape.site and the network",
        *,
        lasting: bool = False,
    ) -> None:
        super().__init__(url, "unreachable", problem)
        self.address, self.advice, self.lasting = url, advice, lasting


class SiteError(PipelineError):
    """The site as a whole cannot be used now, at any address."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(_message(url, problem))


class ChallengeError(SiteError):
    """The site asks for proof of a human (CAPTCHA, Cloudflare), which this program never gives."""

    exit_code = CHALLENGE_EXIT_CODE


class KeyRequiredError(SiteError):
    """The site's API wants a key, and got none or another one."""


class Stopped(Exception):  # noqa: N818  # no error: the caller asked for it
    """The run is to stop."""


def _message(url: str, problem: str) -> str:
    # Each for itself: the colon between them is no part of a secret that ends the address.
    problem = _ADDRESS.sub(lambda address: _cut(address[0]), _without_secrets(problem))
    return one_line(f"{_cut(_without_secrets(url))}: {problem}")


def _cut(url: str) -> str:
    """Return an address as long as a line can hold: a search for many tags fills pages."""
    return url if len(url) <= _MAX_URL else f"{url[:_MAX_URL]}..."


def _without_secrets(text: str) -> str:
    return _SECRETS.sub(r"\1...", text)


def retry_after(value: str, date: str = "") -> float:
    """Return the seconds of a Retry-After header, which holds seconds or a date; 0 for neither.

    A date counts from `date`, the answer's own, since clocks differ; without one, from this one's.
    """
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", value, re.ASCII):
        return min(float(value), _LONGEST_WAIT)
    then = _parse_date(value)
    if then is None:
        return 0.0
    return max(0.0, (then - (_parse_date(date) or datetime.now(UTC))).total_seconds())


def _parse_date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
        return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def rate_limit_wait(value: str) -> float:
    """Return the seconds that the X-Rate-Limit header of Danbooru 2 asks to wait; 0 for none.

    It is an object in JSON: `limits`, the points that are left by user and address, and `rate`,
    the points that are added per second. A request needs `cost` points.
    """
    try:
        limit = json.loads(value)
        missing = limit["cost"] - min(limit["limits"].values())
        return max(0.0, float(missing / limit["rate"]))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return 0.0


def raise_for_missing_key(url: str, status: int, body: bytes, advice: str) -> None:
    """Raise `KeyRequiredError` with `advice` if an answer of the API says that it wants a key.

    `body` is of HTTP `status`. One with 401 always does; of others it is read, unless they hold
    posts.
    """
    sentence = _sentence(body) if status != 200 or len(body) <= _MAX_SENTENCE_BYTES else ""
    if status == 401 or _KEY_WANTED.search(sentence):
        said = f"answers: {sentence}" if sentence else f"answers HTTP {status}"
        raise KeyRequiredError(
            url,
            f"{said}; its API wants a key: {advice}, then run the same command again",
        )


def _sentence(body: bytes) -> str:
    """Return the text of an answer in JSON, XML, HTML or plain text, in one line."""
    kind, text = body_kind(body), body.decode("utf-8-sig", "replace")
    if kind in (BodyKind.XML, BodyKind.HTML):
        tree = parse_html(body)
        reasons = [tag.get("reason") or tag.get("message") for tag in tree.find_all(True)]
        text = " ".join(str(reason) for reason in reasons if reason) or tree.get_text(
            " ", strip=True
        )
        if len(text) > _MAX_SENTENCE_LENGTH:
            # A page with more than an error on it may offer to log in, too.
            return ""
    else:
        with suppress(ValueError, RecursionError):
            text = " ".join(strings(json.loads(text)))
    return excerpt(text)

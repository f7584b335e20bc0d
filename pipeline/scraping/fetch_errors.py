"""Errors of requests to a site, and whether a retry may help."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from pipeline.errors import PipelineError
from pipeline.scraping.api_parsing import BodyKind, body_kind, parse_html

CHALLENGE_EXIT_CODE = 3

_NEVER_CONNECTED = (
    requests.ConnectTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.ProxyError,
)
# And the names of all fields, which would fill a message.
_SECRETS = re.compile(r"((?:api_key|user_id|login|only)=)[^&\s'\"]+")


_MAX_SENTENCE_BYTES = 4096
_KEY_WANTED = re.compile(
    r"(missing|no|invalid|incorrect|wrong|bad) (authentication|authorization|credentials|api.?key)"
    r"|(authentication|authorization|credentials|api.?key|login|log.?in|account)s? (is |are )?"
    r"(required|needed|missing|invalid|incorrect)"
    r"|(requires?|needs?) (an? )?(authentication|api.?key|login|account)"
    r"|not (authenticated|logged in)|must (be logged|log) in|unauthori[sz]ed",
    re.IGNORECASE,
)


class FetchError(PipelineError):
    """One address could not be fetched; `reason` is a short label to count by."""

    def __init__(self, url: str, reason: str, problem: str) -> None:
        super().__init__(without_secrets(f"{url}: {problem}"))
        self.reason = reason


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
    """No connection to the host could be made."""


class SiteError(PipelineError):
    """The site as a whole cannot be used now, at any address."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(without_secrets(f"{url}: {problem}"))


class ChallengeError(SiteError):
    """The site asks for proof of a human (CAPTCHA, Cloudflare), which this program never gives."""

    exit_code = CHALLENGE_EXIT_CODE


class KeyRequiredError(SiteError):
    """The site's API wants a key, and got none or another one."""


class Stopped(Exception):  # noqa: N818  # no error: the caller asked for it
    """The run is to stop."""


def without_secrets(text: str) -> str:
    """Return `text` with the values of `api_key=`, `user_id=`, `login=` and `only=` as dots."""
    return _SECRETS.sub(r"\1...", text)


def retry_after(value: str) -> float:
    """Return the seconds of a Retry-After header, which holds seconds or a date; 0 for neither."""
    if re.fullmatch(r"\s*[0-9]+\s*", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def rate_limit_wait(value: str) -> float:
    """Return the seconds that the X-Rate-Limit header of Danbooru 2 asks to wait; 0 for none.

    It is an object in JSON: `limits`, the points that are left by user and address, and `rate`,
    the points that are added per second. A request needs one point or more.
    """
    try:
        limit = json.loads(value)
        missing = limit["cost"] - min(limit["limits"].values())
        return max(0.0, float(missing / limit["rate"]))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return 0.0


def raise_for_challenge(response: requests.Response, start: bytes) -> None:
    """Raise `ChallengeError` if a response, whose body begins with `start`, is a challenge."""
    is_page = body_kind(start) is BodyKind.HTML and b"<title>just a moment" in start.lower()
    if is_page or response.headers.get("cf-mitigated") == "challenge":
        raise ChallengeError(
            response.url,
            "the site asks for proof of a human; this program does not answer such challenges: "
            "wait, or ask the site's owner, then run the same command again",
        )


def raise_for_missing_key(url: str, status: int, body: bytes) -> None:
    """Raise `KeyRequiredError` if an answer of the API says that it wants a key.

    `body` is of HTTP `status`. One with 401 always does; of others it is read, unless they hold
    posts.
    """
    sentence = _sentence(body) if status != 200 or len(body) <= _MAX_SENTENCE_BYTES else ""
    if status == 401 or _KEY_WANTED.search(sentence):
        said = f"answers: {sentence}" if sentence else f"answers HTTP {status}"
        raise KeyRequiredError(
            url,
            f"{said}; its API wants a key: set PIPELINE_API_KEY and PIPELINE_USER_ID to those of "
            "your account there, then run the same command again",
        )


def _sentence(body: bytes) -> str:
    """Return the text of an answer in JSON, XML, HTML or plain text, in one line."""
    kind, text = body_kind(body), body.decode("utf-8-sig", "replace")
    if kind in (BodyKind.XML, BodyKind.HTML):
        tree = parse_html(body)
        reasons = [tag.get("reason") or tag.get("message") for tag in tree.find_all(True)]
        text = " ".join(str(reason) for reason in reasons if reason) or tree.get_text(" ")
    else:
        with suppress(ValueError, RecursionError):
            text = " ".join(_strings(json.loads(text)))
    return " ".join(text.split())[:200]


def _strings(answer: object) -> Iterator[str]:
    """Yield the texts of an error in JSON: a string, or the values of an object."""
    if isinstance(answer, str):
        yield answer
    elif isinstance(answer, dict):
        for value in answer.values():
            yield from _strings(value)


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Raise errors of requests and urllib3 within the block as `FetchError` of `url`."""
    try:
        yield
    except requests.ConnectionError as error:
        raise _connection_error(url, error) from None
    except requests.Timeout:
        raise TransientError(url, "timeout", "the server fell silent") from None
    except (requests.exceptions.ChunkedEncodingError, HTTPError) as error:
        raise TransientError(url, "connection", f"the transfer broke: {error}") from None
    except requests.RequestException as error:
        raise FetchError(url, "address", f"cannot be requested: {error}") from None


def _connection_error(url: str, error: requests.ConnectionError) -> TransientError:
    first = error.args[0] if error.args else None
    cause = getattr(first, "reason", None)
    if isinstance(error, _NEVER_CONNECTED) or isinstance(cause, NewConnectionError):
        reason = str(cause or "no answer").rpartition(": ")[2].rpartition("] ")[2].rstrip("')")
        return UnreachableError(url, "unreachable", f"cannot be reached: {reason}")
    if isinstance(first, ReadTimeoutError):
        return TransientError(url, "timeout", "the server fell silent")
    return TransientError(url, "connection", "the connection broke")

"""Recognise pages that ask for proof of a human, from Cloudflare, Anubis and other guards."""

import html
import re

import requests

from pipeline.scraping.fetch_errors import ChallengeError

START_BYTES = 16384
"""Bytes of a body within which a page shows that it is a challenge."""

# Headers of Cloudflare, Vercel, AWS WAF, SiteGround and bunny.net, with the values for a challenge.
_HEADERS = {
    "cf-mitigated": re.compile("challenge"),
    "x-vercel-mitigated": re.compile("challenge"),
    "x-amzn-waf-action": re.compile("challenge|captcha"),
    "sg-captcha": re.compile("challenge"),
    "cdn-challenge": re.compile("true"),
}
# Whole titles of challenges; some name the guard or the site at the end.
_TITLE = re.compile(
    r"(just a moment"
    r"|ddos-guard"
    r"|making sure you('re| are) not a bot"
    r"|checking (your browser|if you are human|you are not a bot)[^|]*"
    r"|(verify|verifying|confirm|prove) (that )?you('re| are) (a |not a )?(human|robot|bot)"
    r"|are you (a )?(human|robot|bot)"
    r"|(human|bot|robot|security) (verification|check|challenge)"
    r"|attention required|one more step|please wait|client challenge"
    r"|vercel security checkpoint|radware captcha page|pardon our interruption"
    r"|you are being redirected|robot challenge screen|establishing a secure connection"
    r")\s*[.!?…]*\s*([|·-].*)?",
    re.DOTALL,
)
# What the scripts of Anubis, Cloudflare, DDoS-Guard, go-away, AWS WAF, Imperva, DataDome, HUMAN,
# Fastly, Sucuri, BasedFlare, Google, SiteGround and bunny.net are called within their challenges
# alone.
_MARKS = re.compile(
    rb'id="anubis_(version|challenge)|\.within\.website/x/(cmd/anubis|xess)|_cf_chl_opt'
    rb"|jschl-answer|/ddos-guard/js-challenge/|check\.ddos-guard\.net/"
    rb"|/\.well-known/\.git\.gammaspectra\.live/|awswafcookiedomainlist"
    rb'|id="main-iframe" src="/_incapsula|captcha-delivery\.com/|px-captcha|/_fs-ch-'
    rb"|sucuri_cloudproxy_js|/\.basedflare/|google\.com/sorry/"
    rb"|/\.well-known/sgcaptcha/|/\.bunny-shield/"
)
# A page may begin with a comment or an XML declaration.
_PROLOGUE = re.compile(rb"(\s|\xef\xbb\xbf|<\?xml[^>]*>|<!--.*?-->)*", re.DOTALL)
_PAGE = re.compile(
    rb"<(!doctype\s+html|html|head|body|title|meta|script|link|style)\b", re.IGNORECASE
)


def raise_for_challenge(response: requests.Response, start: bytes) -> None:
    """Raise `ChallengeError` if a response, whose body begins with `start`, is a challenge."""
    if _has_header(response) or _is_challenge(start[:START_BYTES].lower()):
        raise ChallengeError(
            response.url,
            "the site asks for proof of a human; this program does not answer such challenges: "
            "wait, or ask the site's owner, then run the same command again",
        )


def _has_header(response: requests.Response) -> bool:
    values = ((response.headers.get(name, ""), value) for name, value in _HEADERS.items())
    return any(value.fullmatch(text.strip().lower()) for text, value in values)


def is_web_page(start: bytes) -> bool:
    """Return whether a body that begins with `start` is HTML."""
    prologue = _PROLOGUE.match(start)
    return _PAGE.match(start, prologue.end() if prologue else 0) is not None


def _is_challenge(start: bytes) -> bool:
    if not is_web_page(start):
        return False
    title = re.search(rb"<title[^>]*>(.*?)</title", start, re.DOTALL)
    text = html.unescape(title[1].decode("utf-8", "replace")) if title else ""
    words = " ".join(text.replace("’", "'").split())
    return _TITLE.fullmatch(words) is not None or _MARKS.search(start) is not None

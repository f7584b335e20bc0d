"""Pages that ask for proof of a human, told from other pages."""

import pytest
import requests

from pipeline.scraping.challenges import raise_for_challenge
from pipeline.scraping.fetch_errors import ChallengeError

HEAD = "<!DOCTYPE html><html lang=en><head>"


def is_challenge(body: str | bytes, **headers: str) -> bool:
    response = requests.Response()
    response.url = "https://booru.test/1.png"
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    try:
        raise_for_challenge(response, body.encode() if isinstance(body, str) else body)
    except ChallengeError as error:
        return error.exit_code == 3
    return False


@pytest.mark.parametrize(
    "title",
    [
        "Just a moment...",
        "DDoS-Guard",
        "Making sure you&#39;re not a bot!",
        "Making sure you’re not a bot!",
        "Checking your browser before accessing booru.test",
        "Attention Required! | Cloudflare",
        "Vercel Security Checkpoint",
        "\n  Human Verification\n",
        "Pardon Our Interruption",
        "Establishing a secure connection ...",
    ],
)
def test_titles(title: str) -> None:
    assert is_challenge(f"{HEAD}<title>{title}</title>")
    assert is_challenge(f"\ufeff<!-- 1 -->\n<HTML><TITLE class=x>{title}</TITLE>")
    assert is_challenge(f'<?xml version="1.0"?>{HEAD}<title>{title}</title>')


@pytest.mark.parametrize(
    "page",
    [
        # Anubis in another language, Cloudflare, DDoS-Guard, go-away, AWS WAF, Imperva, DataDome.
        '<title>Es wird überprüft</title><script id="anubis_challenge" type="application/json">',
        "<script>window._cf_chl_opt = {}</script>",
        '<script src="/.well-known/ddos-guard/js-challenge/index.js"></script>',
        '<link href="/.well-known/.git.gammaspectra.live/git/go-away/cmd/go-away/a.css">',
        "<script>window.awsWafCookieDomainList = [];</script>",
        '<iframe id="main-iframe" src="/_Incapsula_Resource?CWUDNSAI=23"></iframe>',
        '<script src="https://ct.captcha-delivery.com/c.js"></script>',
        # SiteGround, bunny.net.
        '<meta http-equiv="refresh" content="0;/.well-known/sgcaptcha/?r=%2F&y=ipc:192.0.2.1:1">',
        '<script src="/.bunny-shield/assets/shield-challenge.js"></script>',
    ],
)
def test_scripts(page: str) -> None:
    assert is_challenge(HEAD + page)


@pytest.mark.parametrize(
    "header",
    [
        {"cf_mitigated": "challenge"},
        {"x_amzn_waf_action": "captcha"},
        {"sg_captcha": "challenge"},
        {"cdn_challenge": "true"},
    ],
)
def test_headers(header: dict[str, str]) -> None:
    assert is_challenge(b"", **header)
    assert not is_challenge(b"", **dict.fromkeys(header, "no"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x89PNG\r\n\x1a\n<title>Just a moment...</title>",
        '<posts><post tags="anubis" source="/ddos-guard/js-challenge/"/></posts>',
        '[{"source": "<title>DDoS-Guard</title>"}]',
        f"{HEAD}<title>Safebooru / just_a_moment</title>",
        f"{HEAD}<title>404 Not Found</title>",
        # What Cloudflare and Imperva add to pages that they let through.
        f'{HEAD}<title>Posts</title><script src="/cdn-cgi/challenge-platform/scripts/jsd/main.js">',
        f'{HEAD}<title>Posts</title><script src="/_Incapsula_Resource?SWJIYLWA=5"></script>',
    ],
)
def test_others(body: str | bytes) -> None:
    assert not is_challenge(body)

"""Which sites are known, and which hosts are a site's own."""

import pytest

from pipeline.params import ScrapeParams
from pipeline.scraping.addresses import registrable_domain
from pipeline.scraping.session import Session
from pipeline.scraping.sites import (
    ListingFormat,
    Site,
    known_site,
    likely_site,
    listing_formats,
)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://safebooru.org", "safebooru.org"),
        ("https://WWW.safebooru.org/", "safebooru.org"),
        ("https://api.rule34.xxx", "rule34.xxx"),
        ("https://safebooru.org.test", ""),
        ("https://b.test", ""),
        ("http://[bad", ""),
    ],
)
def test_a_site_is_known_by_its_host(address: str, host: str) -> None:
    assert known_site(address).host == host


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("safeboru", "https://safebooru.org"),
        ("WWW.safebooru.com", "https://safebooru.org"),
        ("safebooru.org", "https://safebooru.org"),
        ("https://gelboru.com/", "https://gelbooru.com"),
        ("danboru", "https://danbooru.donmai.us"),
        ("pictures", None),
        ("~/safebooru", None),
        ("https://www.gelbooru.com", None),
        ("https://mygelbooru.com", None),
        ("https://b.test", None),
        ("http://[bad", None),
    ],
)
def test_a_site_whose_name_is_misspelt(name: str, address: str | None) -> None:
    assert likely_site(name) == address


def test_an_unknown_site_is_a_plain_one() -> None:
    assert known_site("http://127.0.0.1:8931") == Site(form="gelbooru02")


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        ({"site": "https://b.test"}, ("json", "xml", "html")),
        ({"site": "https://gelbooru.com"}, ("json", "xml")),
        ({"site": "https://gelbooru.com", "form": "gelbooru02"}, ("json", "xml", "html")),
        ({"site": "https://gelbooru.com", "listing": "html"}, ("html",)),
        ({"site": "https://b.test", "form": "danbooru2"}, ("json", "html")),
        ({"site": "https://danbooru.donmai.us"}, ("json", "html")),
    ],
)
def test_the_formats_of_a_listing_follow_from_the_form(
    values: dict[str, str], formats: tuple[ListingFormat, ...]
) -> None:
    assert listing_formats(ScrapeParams(**values)) == formats  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("b.test", "b.test"),
        ("api.b.test", "b.test"),
        ("a.img.b.co.uk", "b.co.uk"),
        ("co.uk", "co.uk"),
        ("api.b.me", "b.me"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
    ],
)
def test_registrable_domain(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    ("url", "owned"),
    [
        ("https://wimg.b.test/1.png", True),
        ("https://b.test/1.png", True),
        ("https://cdn.test/1.png", True),
        ("https://eu.cdn.test/1.png", True),
        ("https://notcdn.test/1.png", False),
        ("https://notb.test/1.png", False),
    ],
)
def test_files_may_be_on_the_domain_of_the_site_and_its_file_hosts(url: str, owned: bool) -> None:
    assert Session("https://api.b.test", file_hosts=("cdn.test",)).owns(url) is owned

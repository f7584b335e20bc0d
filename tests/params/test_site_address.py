"""Addresses that were copied from a browser, as `scrape.site`."""

import pytest

from pipeline.errors import UsageError
from pipeline.params import ScrapeParams
from pipeline.params.file import override


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("https://b.test", "https://b.test"),
        ("https://b.test//", "https://b.test"),
        ("https://b.test/index.php", "https://b.test"),
        ("https://b.test/index.php?page=post&s=list&tags=all", "https://b.test"),
        ("https://b.test/index.php?page=post&s=view&id=7#comments", "https://b.test"),
        ("https://b.test/booru/index.php?page=post&s=list", "https://b.test/booru"),
        ("https://b.test/posts/123?q=x", "https://b.test"),
        ("https://b.test/posts.json?limit=3", "https://b.test"),
        ("https://b.test/myposts", "https://b.test/myposts"),
        ("https://posts/", "https://posts"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_a_page_of_a_site_names_the_site(address: str, site: str) -> None:
    assert ScrapeParams(site=address).site == site


def test_a_search_is_named_as_such() -> None:
    address = "https://b.test/index.php?page=post&s=list&tags=solo+1girl+all"
    with pytest.raises(UsageError) as error:
        override(ScrapeParams(), {"site": address})
    assert str(error.value) == (
        f"--site: {address!r} is the address of a search; write https://b.test, and solo, 1girl in "
        "scrape.tags"
    )


def test_a_text_of_a_wrong_form_is_answered_in_words() -> None:
    with pytest.raises(UsageError) as error:
        override(ScrapeParams(), {"contact": "a\nb"})
    assert str(error.value) == (
        "--contact: 'a\\nb' is not allowed; wanted: your e-mail address or URL, sent to the site "
        "in the user agent"
    )


def test_a_required_tag_that_a_pattern_excludes() -> None:
    with pytest.raises(UsageError, match=r"Solo is in scrape\.tags too"):
        override(ScrapeParams(), {"tags": "Solo,score:>5", "excluded_tags": "s*"})

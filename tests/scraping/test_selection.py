"""The rules, one by one, at their borders."""

from dataclasses import replace

import pytest

from pipeline.errors import UsageError
from pipeline.params import ScrapeParams
from pipeline.scraping.posts import Post
from pipeline.scraping.selection import check_rules, rejection_reason

POST = Post(1, 1280, 512, "http://b.test/1.png", "", "safe", ("1girl", "solo"), "", 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"height": 511}, "min_side"),
        ({"width": 1281}, "max_aspect"),
        ({"width": 512, "height": 1280}, None),
        ({"width": 512, "height": 1281}, "max_aspect"),
        ({"width": 8000, "height": 8001}, "max_pixels"),
        ({"rating": "general"}, None),
        ({"rating": "questionable"}, "ratings"),
        ({"rating": "wonderful"}, "ratings"),
        ({"rating": ""}, "ratings"),
        ({"tags": ("solo",)}, "tags"),
        ({"tags": ("1Girl",)}, None),
        ({"tags": ("1girl", "LowRes")}, "excluded_tags"),
        ({"tags": ("1girl", "lowres")}, "excluded_tags"),
        ({"file_url": "http://b.test/1.gif"}, "file_types"),
        ({"file_url": "http://b.test/1.MP4"}, "file_types"),
        ({"file_url": "http://b.test/1"}, "file_types"),
        ({"file_url": ""}, "hidden"),
    ],
)
def test_rejection(changes: dict[str, object], reason: str | None) -> None:
    params = ScrapeParams(tags=("1girl",), max_pixels=64_000_000)
    assert rejection_reason(replace(POST, **changes), params) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("score", "least", "reason"),
    [
        (5, 5, None),
        (4, 5, "min_score"),
        (-1, None, None),
        (-1, 0, "min_score"),
        (None, 0, None),
        (None, 1, "min_score"),
        (None, None, None),
    ],
)
def test_least_score(score: int | None, least: int | None, reason: str | None) -> None:
    post = replace(POST, score=score)
    assert rejection_reason(post, ScrapeParams(min_score=least)) == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tags": ("*GIRL", "s*o"), "excluded_tags": ("*boy*",)}, None),
        ({"tags": ("*boy",)}, "tags"),
        ({"excluded_tags": ("1G*",)}, "excluded_tags"),
        ({"excluded_tags": ("*",)}, "excluded_tags"),
        ({"excluded_tags": ("?girl", "[0-9]girl", "1gir")}, None),
    ],
)
def test_wildcards_and_letter_case(changes: dict[str, object], reason: str | None) -> None:
    assert rejection_reason(POST, ScrapeParams(**changes)) == reason  # type: ignore[arg-type]


def test_what_only_the_site_can_search_for_rejects_nothing() -> None:
    tags = ("solo", "score:>5", "Rating:safe", "*girl*", "~a", "is:sfw")
    params = ScrapeParams(tags=tags, excluded_tags=("user:x", "Width:>9"))
    assert rejection_reason(POST, params) is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"ratings": ("safe", "nice")}, "scrape.ratings: 'nice' is unknown; known are explicit"),
        ({"ratings": ()}, "scrape.ratings: name at least one"),
        ({"file_types": ("mp4",)}, "scrape.file_types: 'mp4' is unknown; known are apng, avif"),
        ({"tags": ("blue hair",)}, "scrape.tags: 'blue hair' is no single tag"),
        ({"tags": ("",)}, "scrape.tags: '' is no single tag"),
        ({"tags": ("sort:score",)}, "scrape.tags: 'sort:score' does not fit"),
        ({"tags": ("Sort:score",)}, "scrape.tags: 'Sort:score' does not fit"),
        ({"tags": ("order:score",)}, "scrape.tags: 'order:score' does not fit"),
        (
            {"tags": ("solo", "-comic")},
            "scrape.tags: '-comic' excludes a tag; write 'comic' in scrape.excluded_tags",
        ),
        (
            {"excluded_tags": ("-comic",)},
            "scrape.excluded_tags: '-comic' is excluded twice; write 'comic'",
        ),
    ],
)
def test_rules_that_nothing_can_fit(values: dict[str, tuple[str, ...]], problem: str) -> None:
    with pytest.raises(UsageError) as error:
        check_rules(ScrapeParams(**values))  # type: ignore[arg-type]
    assert str(error.value).startswith(problem)

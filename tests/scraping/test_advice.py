"""What is advised by what went wrong most often."""

from collections import Counter

import pytest

from pipeline.params import ScrapeParams
from pipeline.scraping.advice import advice
from pipeline.scraping.counts import ScrapeCounts
from pipeline.scraping.posts import Malformed


def advice_for(
    *,
    listed: int = 99,
    accepted: int = 0,
    tags: tuple[str, ...] = (),
    rejected: dict[str, int] | None = None,
    failed: dict[str, int] | None = None,
    list_new: bool = True,
    doubtful_answers: int = 0,
) -> str:
    counts = ScrapeCounts("http://b.test", 50, list(range(accepted)), listed)
    counts.rejected, counts.failed = Counter(rejected), Counter(failed)
    counts.hosts.update({"img.c.test": 9})
    counts.doubtful_answers = doubtful_answers
    counts.last_failure = "http://b.test/1.png: answered HTTP 500"
    return advice(counts, ScrapeParams(limit=50, tags=tags), list_new=list_new)


@pytest.mark.parametrize(
    ("rejected", "failed", "start"),
    [
        ({"ratings": 5, "min_side": 3}, {"http_404": 4}, "loosen scrape.ratings"),
        ({"min_side": 5, "ratings": 3}, {}, "loosen scrape.min_side"),
        ({"ratings": 3}, {"http_403": 9}, "ask the site's owner: its files are refused"),
        ({}, {"web_page": 9}, "ask the site's owner: web pages come"),
        ({"md5": 9}, {}, "take files that differ"),
        ({"host": 9}, {}, "use the site's own address: its files are on img.c.test,"),
        ({}, {"robots_txt": 9}, "use another site: robots.txt"),
        ({"malformed": 9}, {}, "try another scrape.listing"),
        ({}, {"disallowed_header_directives": 9}, "use another site: its files are marked"),
        ({}, {"http_500": 9}, "find out why files fail (http://b.test/1.png: answered HTTP 500)"),
    ],
)
def test_the_largest_reason_decides(
    rejected: dict[str, int], failed: dict[str, int], start: str
) -> None:
    assert advice_for(rejected=rejected, failed=failed).startswith(start)
    few = advice_for(rejected=rejected, failed=failed, accepted=7)
    assert few.startswith(f"lower scrape.limit to 7, or {start}")


def test_a_listing_that_is_too_short_for_any_rule() -> None:
    few = {"ratings": 5}
    assert advice_for(listed=12, accepted=7, rejected=few).startswith(
        "lower scrape.limit to 7, or use another site: this one lists no more posts; "
    )
    assert advice_for(listed=12, accepted=7, rejected=few, tags=("solo",)).startswith(
        "lower scrape.limit to 7, or search more widely by scrape.tags: the site lists no more"
    )
    assert advice_for(listed=0, tags=("solo",)).startswith("check the spelling of scrape.tags:")
    assert advice_for(listed=0).startswith("check scrape.site: it lists no post")


def test_the_commonest_fault_of_records_is_named() -> None:
    counts = ScrapeCounts("http://b.test", 50)
    for number, fault in enumerate(["", "tags: missing", "width: no whole number"] * 2, 1):
        counts.reject_malformed(Malformed(number, fault))
    counts.reject_malformed(Malformed(7, "width: no whole number"))
    assert advice(counts, ScrapeParams(limit=5), list_new=True) == (
        "try another scrape.listing: the commonest fault of malformed records is width: no whole "
        "number (3 of 7, such as post 3)"
    )


@pytest.mark.parametrize(
    ("listed", "rejected", "remedy"),
    [
        (12, {"ratings": 5}, "use another site: this one lists no more posts"),
        (99, {"ratings": 92}, "loosen scrape.ratings"),
    ],
)
def test_an_end_that_may_be_a_search_that_is_down(
    listed: int, rejected: dict[str, int], remedy: str
) -> None:
    assert advice_for(listed=listed, accepted=7, rejected=rejected, doubtful_answers=6) == (
        "lower scrape.limit to 7, or run the same command again later, with more scrape.retries: "
        "6 empty answers in a row, and no list page to compare with, may be of a search that is "
        f"down; if they are the end of its posts, {remedy}"
    )


def test_a_retry_lists_nothing_new() -> None:
    again = "run pipeline scrape without --retry-failed"
    assert advice_for(listed=12, accepted=7, list_new=False).startswith(
        f"lower scrape.limit to 7, or {again}"
    )
    assert advice_for(failed={"http_404": 60}, list_new=False).startswith("find out why files fail")

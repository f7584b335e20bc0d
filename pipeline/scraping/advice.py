"""What a user can do about a scrape that found too few pictures, by what went wrong most often."""

from pipeline.errors import some_of
from pipeline.params import ScrapeParams
from pipeline.scraping.counts import ScrapeCounts

_MAX_NAMED = 5
_ADVICE = {
    "md5": "take files that differ from the announced md5, by scrape.md5: keep",
    "hidden": "search for other tags: the site shows these files to some of its users only",
    "malformed": "try another scrape.listing",
    "http_401": "ask the site's owner: its files are refused to this program",
    "http_403": "ask the site's owner: its files are refused to this program, perhaps to all but "
    "browsers on its own pages",
    "web_page": "ask the site's owner: web pages come in place of its files, perhaps for all but "
    "browsers on its own pages",
    "text": "ask the site's owner: text comes in place of its files, perhaps for all but browsers "
    "on its own pages",
    "size": "ask the site's owner: other pictures come in place of its files, perhaps for all but "
    "browsers on its own pages",
    "login": "use another site: this one shows its files to its users alone",
    "empty_file": "ask the site's owner: its files come empty",
    "http_429": "run the same command again later, with a longer scrape.file_interval: the site "
    "limits requests",
    "no_robots_txt": "run the same command again later: while robots.txt cannot be read, nothing "
    "may be fetched there",
    "robots_txt": "use another site: robots.txt keeps this program from its files",
    "disallowed_header_directives": "use another site: its files are marked as not for training, "
    "by a directive of scrape.disallowed_header_directives",
}


_LATER = "run the same command again later, which goes on from here"
_SEARCH = (
    "search for other tags by scrape.tags and scrape.excluded_tags: the site refuses this search"
)
_TOO_LONG = (
    "name fewer tags in scrape.tags and scrape.excluded_tags: the search is too long for the site"
)
_LISTING_ADVICE = {
    "empty": _LATER,
    "timeout": _LATER,
    "connection": f"{_LATER}; if that does not help, the fault is the site's or the network's",
    "answer": f"{_LATER}; if that does not help, check scrape.site, and try another scrape.listing",
    "no_robots_txt": f"{_LATER}: while robots.txt cannot be read, nothing may be fetched",
    "robots_txt": "use another site: robots.txt keeps this program from its posts",
    "cursor": "use another site",
    "off_site": "set scrape.site to that address, if the site has moved",
    "login": "set PIPELINE_API_KEY and PIPELINE_USER_ID to those of your account there, or use "
    "another site: this one lists its posts for its users alone",
    "redirects": "open the address in a browser, and set scrape.site to what it leads to",
    "http_400": _SEARCH,
    "http_422": _SEARCH,
    "http_413": _TOO_LONG,
    "http_414": _TOO_LONG,
    "http_431": _TOO_LONG,
    "http_401": "ask the site's owner: its posts are refused to this program",
    "http_403": "ask the site's owner: its posts are refused to this program",
    "http_404": "check scrape.site: it has no list of posts there",
    "http_410": "check scrape.site: it has no list of posts there",
    "http_429": f"{_LATER}, with a longer scrape.api_interval: the site limits requests",
}


def advice(counts: ScrapeCounts, params: ScrapeParams, *, list_new: bool) -> str:
    """Return what to do after a scrape that could not accept `params.limit` posts."""
    accepted = len(counts.accepted)
    lower = f"lower scrape.limit to {accepted}, or " if accepted else ""
    return lower + _by_reason(counts, params, list_new=list_new)


def _by_reason(counts: ScrapeCounts, params: ScrapeParams, *, list_new: bool) -> str:
    reasons = (counts.rejected + counts.failed).most_common(1)
    # Even if all that are listed were accepted, they would not be enough.
    too_few = counts.listed < params.limit and (counts.accepted or not reasons)
    if not list_new and (too_few or not reasons):
        return "run pipeline scrape without --retry-failed, which lists more posts"
    remedy = _remedy_at_end(counts, params) if too_few else advice_on(reasons[0][0], counts, params)
    if counts.doubtful_answers:
        return (
            f"run the same command again later, with more scrape.retries: "
            f"{counts.doubtful_answers} empty answers in a row, and no list page to compare with, "
            f"may be of a search that is down; if they are the end of its posts, {remedy}"
        )
    tail = "; if it should, its search may be down: run the same command again later"
    return f"{remedy}{tail if too_few else ''}"


def advice_on(reason: str, counts: ScrapeCounts, params: ScrapeParams) -> str:
    """Return what to do where posts are rejected or fail for `reason`."""
    if reason == "host":
        hosts = _names([host for host, _ in counts.hosts.most_common()])
        return (
            f"use the site's own address: its files are on {hosts}, neither "
            "on its domain at its own port, 80 or 443, nor listed for it in "
            "pipeline/scraping/sites.py"
        )
    if reason == "malformed" and counts.faults:
        ((fault, count),) = counts.faults.most_common(1)
        return (
            f"{_ADVICE[reason]}: the commonest fault of malformed records is {fault} "
            f"({count} of {counts.rejected[reason]}, such as post {counts.example_by_fault[fault]})"
        )
    if reason == "tags" and counts.misfound > counts.rejected["tags"] // 2:
        return _advice_on_tags(counts)
    if reason in _ADVICE:
        return _ADVICE[reason]
    if reason in ScrapeParams.model_fields:
        return f"loosen scrape.{reason}"
    last = f" ({counts.last_failure})" if counts.last_failure else ""
    return f"find out why files fail{last}, then run pipeline scrape --retry-failed"


def advice_on_failures(reason: str) -> str:
    """Return what to do where file after file fails, the last for `reason`."""
    return _ADVICE.get(reason, "find out why, then run the same command again")


def advice_on_listing(reason: str) -> str:
    """Return what to do where a site's posts cannot be listed, for `reason`."""
    if reason in _LISTING_ADVICE:
        return _LISTING_ADVICE[reason]
    if reason.startswith("http_5"):
        return f"{_LATER}: the site is in trouble"
    return "open the address in a browser: if it works there, the site refuses programs"


def _remedy_at_end(counts: ScrapeCounts, params: ScrapeParams) -> str:
    if counts.listed and params.tags:
        return "search more widely by scrape.tags: the site lists no more posts"
    if counts.listed:
        return "use another site: this one lists no more posts"
    if params.tags:
        return "check the spelling of scrape.tags: the site lists no post with them"
    return "check scrape.site: it lists no post"


def _advice_on_tags(counts: ScrapeCounts) -> str:
    missing = _names([tag for tag, _ in counts.missing_tags.most_common()])
    common = sorted(counts.common_tags or ())
    instead = f" by the name on its posts, of {_names(common)}" if common else " as its posts do"
    return (
        f"write scrape.tags{instead}: the site lists posts for {missing} that lack it, so it is "
        "probably an alias"
    )


def _names(names: list[str]) -> str:
    return some_of(names, _MAX_NAMED)

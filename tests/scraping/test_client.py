"""The end of a listing, its order, and odd pages of single posts, over real HTTP."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.errors import PipelineError
from pipeline.scraping import client
from pipeline.scraping.fetch_errors import ChallengeError, FetchError, KeyRequiredError, SiteError
from pipeline.scraping.gelbooru import GelbooruClient
from pipeline.scraping.session import Session
from pipeline.scraping.sites import LISTING_FORMATS, ListingFormat
from tests.scraping.site import CHALLENGE, Fault, Handler, ScriptedSite, answer, dropped, truncated
from tests.scraping.test_html_listing import HEAD, PAGER, THUMB, VIEW

FORMATS = LISTING_FORMATS["gelbooru02"]


def query_of(handler: Handler) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}


class WithPages(ScriptedSite):
    """A site with list pages, and view pages whose answers `views` may replace by id."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.faults["/index.php"] = [self.answer_page] * 999
        self.views: dict[int, Fault] = {}
        self.empty = 0
        self.lists_posts = True

    def answer_page(self, handler: Handler, body: bytes) -> None:
        query = query_of(handler)
        if query["page"] == "dapi":
            self.empty -= 1
            handler.send(200, b"" if self.empty >= 0 else body)
        elif query["s"] == "list":
            found = json.loads(body or b"[]") if self.lists_posts else []
            page = HEAD + "".join(THUMB.format(post["id"]) for post in found) + PAGER
            handler.send(200, page.encode())
        else:
            number = int(query["id"])
            page = VIEW.replace("3568555", str(number)).encode()
            self.views.get(number, answer(200, page))(handler, page)

    def searches(self) -> list[str]:
        """Return the searches so far, as the API or web pages got them."""
        queries = [parse_qs(urlsplit(path).query) for path, _ in self.requests]
        return [f"{query['page'][0]} {query['tags'][0]}" for query in queries if "tags" in query]


def list_all(
    site: ScriptedSite,
    formats: tuple[ListingFormat, ...] = FORMATS,
    log: Callable[[str], None] = print,
) -> list[int]:
    """Return all ids that a client lists, page by page; malformed ones as negative numbers."""
    with site.serve() as url:
        session = Session(url, api_interval=0, retries=1, log=log)
        listing, ids, below = GelbooruClient(session, url, formats=formats), list[int](), None
        while (page := listing.fetch_page(below)).ids:
            ids += [post.id for post in page.posts] + [-record.id for record in page.malformed]
            below = min(page.ids)
    return ids


@pytest.mark.parametrize("empty", [1, 2])
def test_empty_answers_do_not_end_a_listing(empty: int) -> None:
    site, log = WithPages(6), list[str]()
    site.empty, site.lists_posts = empty, False
    assert list_all(site, log=log.append) == [6, 5, 4, 3, 2, 1]
    assert "answered with no posts; asking again" in log[0]


def test_an_end_is_believed_when_the_web_page_has_no_more_either() -> None:
    site = WithPages(6)
    site.posts = site.posts[:4]
    assert list_all(site) == [6, 5, 4, 3]
    assert site.searches() == [*["dapi id:<3"] * 3, "post id:<3"]


@pytest.mark.parametrize(
    ("site", "format", "doubtful"),
    [
        # Its list page is as empty as the API's answers.
        (ScriptedSite(4), "json", 6),
        (WithPages(4), "json", 0),
        (WithPages(4), "html", 0),
    ],
)
def test_an_end_is_doubtful_without_a_list_page_that_has_no_posts(
    site: ScriptedSite, format: ListingFormat, doubtful: int
) -> None:
    with site.serve() as url, closing(Session(url, api_interval=0, retries=1)) as session:
        listing = GelbooruClient(session, url, formats=(format,))
        site.posts = site.posts[:1]
        assert listing.fetch_page().ids == (4,)
        assert listing.doubtful_answers == 0
        assert listing.fetch_page(4).ids == ()
        assert listing.doubtful_answers == doubtful


def test_no_end_is_believed_while_the_web_page_lists_posts() -> None:
    site, log = WithPages(6), list[str]()
    site.empty = 3
    assert list_all(site, log=log.append) == [6, 5, 4, 3, 2, 1]
    assert log[-1].endswith(
        "answers with no posts, though its web page lists some: its search is down; going on with "
        "the listing as xml"
    )
    site.empty = 99
    with pytest.raises(FetchError, match="its search is down"):
        list_all(site, ("json",))


def test_nothing_is_asked_for_below_the_first_id() -> None:
    site = ScriptedSite(2)
    assert list_all(site) == [2, 1]
    assert site.paths().count("/index.php") == 1


@pytest.mark.parametrize("status", [403, 404])
def test_web_pages_that_are_refused_do_not_keep_a_listing_from_its_end(status: int) -> None:
    site = WithPages(6)
    site.posts = site.posts[:4]

    def refusing(handler: Handler, body: bytes) -> None:
        handler.send(status if query_of(handler)["page"] == "post" else 200, body)

    site.faults["/index.php"] = [refusing] * 99
    assert list_all(site) == [6, 5, 4, 3]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (answer(429, Retry_After="3600"), "asks to wait 3600 s"),
        (answer(403, CHALLENGE), "proof of a human"),
    ],
)
def test_web_pages_of_a_site_that_is_not_to_be_used_now(fault: Fault, error: str) -> None:
    site = WithPages(6)
    site.posts = site.posts[:4]
    answer_page = site.answer_page

    def refusing(handler: Handler, body: bytes) -> None:
        (fault if query_of(handler)["s"] == "list" else answer_page)(handler, body)

    site.faults["/index.php"] = [refusing] * 99
    with pytest.raises(SiteError, match=error):
        list_all(site)


class Bumped(WithPages):
    """A site that lists by last change, unless `sorts` and it is asked to sort."""

    sorts = True
    page_size = 3

    def listing(self, query: str) -> bytes:
        tags = parse_qs(urlsplit(query).query).get("tags", [""])[0]
        cursor = re.search(r"id:<(\d+)", tags)
        below = int(cursor[1]) if cursor else 2**62
        numbers = [number for number in (4, 9, 2, 7, 8, 1, 6, 5, 3) if number < below]
        if self.sorts and "sort:id:desc" in tags:
            numbers.sort(reverse=True)
        return json.dumps([self.post(number) for number in numbers[:3]]).encode()


@pytest.mark.parametrize("format", ["json", "html"])
def test_a_list_in_another_order_is_sorted_by_the_site(format: ListingFormat) -> None:
    site = Bumped(9)
    ids = list_all(site, (format,))
    assert [abs(number) for number in ids] == [9, 8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("format", ["json", "html"])
def test_a_list_that_cannot_be_sorted_ends_the_run(format: ListingFormat) -> None:
    site = Bumped(9)
    site.sorts = False
    numbers = [4, 9, 2, 7, 5]
    site.listing = lambda _: json.dumps([site.post(number) for number in numbers]).encode()  # type: ignore[method-assign]
    with pytest.raises(SiteError, match="lists posts in another order than that of their ids"):
        list_all(site, (format,))


def test_one_record_with_a_wrong_id_does_not_move_the_cursor() -> None:
    site = ScriptedSite(9)
    page = json.dumps([site.posts[0], site.posts[1] | {"id": 2}, *site.posts[2:4]]).encode()
    site.faults["/index.php"] = [answer(200, page)] * 2
    assert list_all(site) == [9, 7, 6, 5, 4, 3, 2, 1]


def test_thumbnails_without_ids_are_no_end() -> None:
    site = WithPages(3)
    odd = HEAD + THUMB.format("") * 2 + PAGER
    site.faults["/index.php"] = [answer(200, odd.encode())] * 9
    with pytest.raises(FetchError, match="a web page that lists posts without ids"):
        list_all(site, ("html",))


NOTICE = b"<br />\n<b>Warning</b>:  Undefined index in <b>/x.php</b> on line <b>9</b><br />\n"


@pytest.mark.parametrize(
    ("frame", "encoding", "header"),
    [
        (b"%s", "utf-8", "application/json; charset=iso-8859-1"),
        (b"%s", "utf-16", "application/json"),
        (b"%s", "latin-1", "application/json; charset=ISO-8859-1"),
        (NOTICE + NOTICE + b"%s", "utf-8", "text/html"),
        (b"%s\n<!-- 0.02 s -->\n", "utf-8", "text/html"),
    ],
)
def test_json_as_servers_send_it(frame: bytes, encoding: str, header: str) -> None:
    site = ScriptedSite(1)
    site.posts[0]["tags"] = "pokémon"
    text = json.dumps(site.posts, ensure_ascii=False).encode(encoding)
    site.faults["/index.php"] = [answer(200, frame % text, Content_Type=header)]
    assert tags_of(site, "json") == ("pokémon",)


def test_xml_names_its_encoding() -> None:
    site = ScriptedSite(1)
    body = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><posts><post id="1" width="9" height="9" '
        'file_url="/1.png" tags="pokémon"/></posts>'
    )
    site.faults["/index.php"] = [answer(200, body.encode("latin-1"))]
    assert tags_of(site, "xml") == ("pokémon",)


def tags_of(site: ScriptedSite, format: ListingFormat) -> tuple[str, ...]:
    with site.serve() as url, closing(Session(url, api_interval=0, retries=0)) as session:
        (post,) = GelbooruClient(session, url, formats=(format,)).fetch_page().posts
    return post.tags


def test_a_last_record_without_an_id_is_the_end() -> None:
    site = WithPages(3)
    site.lists_posts = False
    page, odd = json.dumps(site.posts[:2]).encode(), b'[{"id": null}]'
    odd_answers: list[Fault] = [answer(200, odd)] * 3
    site.faults["/index.php"] = [answer(200, page), *odd_answers, site.answer_page]
    assert list_all(site, ("json",)) == [3, 2]


@pytest.mark.parametrize(
    "fault",
    [
        answer(200, (HEAD + "A database error").encode()),
        answer(200, b"x" * 100_000),
        answer(302, Location="/index.php?page=post&s=view&id=5"),
        answer(403),
        answer(418),
        answer(500),
        answer(504),
        dropped,
        truncated,
    ],
)
def test_odd_pages_of_posts_are_malformed_until_there_are_too_many(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MAX_BODY_BYTES", 99_999)
    site = WithPages(9)
    site.views = dict.fromkeys((8, 5, 4, 3, 1), fault)
    assert sorted(list_all(site, ("html",)), key=abs) == [-1, 2, -3, -4, -5, 6, 7, -8, 9]
    site.views |= {2: fault}
    with site.serve() as url, closing(Session(url, api_interval=0, retries=0)) as session:
        listing = GelbooruClient(session, url, formats=("html",))
        assert [listing.fetch_page(below).ids for below in (10, 9, 7)] == [(9,), (7, 8), (6,)]
        # None of them is left out for the next run.
        with pytest.raises(FetchError):
            listing.fetch_page(6)


def test_removed_posts_end_no_listing() -> None:
    site = WithPages(9)
    site.views = {number: answer((404, 410, 451)[number % 3]) for number in range(2, 9)}
    assert list_all(site, ("html",)) == [9, *range(-8, -1), 1]


@pytest.mark.parametrize(
    ("fault", "error"),
    [(answer(200, CHALLENGE), ChallengeError), (answer(429, Retry_After="0"), FetchError)],
)
def test_what_no_other_page_would_mend_ends_at_once(
    fault: Fault, error: type[PipelineError]
) -> None:
    site = WithPages(5)
    site.views = {4: fault}
    with pytest.raises(error):
        list_all(site, ("html",))
    assert [path for path, _ in site.requests if path.endswith("id=3")] == []


@pytest.mark.parametrize(
    "body",
    [
        b'"Missing authentication. Go to api.b.test for more information"',
        b'{"success": false, "message": "Missing authentication. Go to api.b.test"}',
        b'<response success="false" reason="Missing authentication. Go to api.b.test"/>',
        b"<error>Missing authentication. Go to api.b.test</error>",
        b"Missing authentication. Go to api.b.test",
    ],
)
def test_a_key_that_is_missing(body: bytes) -> None:
    site = ScriptedSite(3)
    site.faults["/index.php"] = [answer(200, body)] * 9
    with pytest.raises(KeyRequiredError) as error:
        list_all(site)
    text = str(error.value)
    assert "Missing authentication. Go to api.b.test" in text
    assert "set PIPELINE_API_KEY and PIPELINE_USER_ID" in text
    assert site.paths().count("/index.php") == 1


def test_the_api_may_have_an_address_of_its_own() -> None:
    api, pages = ScriptedSite(3), WithPages(5)
    with api.serve() as api_url, pages.serve() as url:
        session = Session(url, api_interval=0, retries=0)
        listing = GelbooruClient(session, url, api=api_url)
        assert listing.fetch_page().ids == (3, 2, 1)
    assert pages.searches() == []

"""Danbooru 2 sites: what is read from their API, and scrapes of the embedded booru by it."""

import dataclasses
import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from werkzeug.wrappers import Response

from pipeline.booru.app import Site
from pipeline.booru.fault_injection import FaultInjector
from pipeline.errors import PipelineError, UsageError
from pipeline.images.collection import BooruPicture, collect_folder
from pipeline.params import ScrapeParams
from pipeline.scraping.api_parsing import AnswerError
from pipeline.scraping.danbooru import search_terms
from pipeline.scraping.danbooru_records import parse_posts
from pipeline.scraping.fetch_errors import KeyRequiredError, SiteError
from pipeline.scraping.posts import Malformed, Page, Post, TagCategories
from pipeline.scraping.run import plan
from pipeline.scraping.session import Session
from pipeline.scraping.sites import known_site, post_url, site_form
from pipeline.wsgi import Server
from tests.scraping.site import picture
from tests.scraping.test_run import Notes, ids, run

SITE = "https://booru.test"
MD5 = "ac8e3b92ea328ce9cf7211e69c905bf9"
RECORD = {
    "id": 294929,
    "image_width": 895,
    "image_height": 687,
    "md5": MD5,
    "rating": "s",
    "score": -2,
    "fav_count": 11,
    "parent_id": 7,
    "source": "https://a.test/?a=1&amp=2",
    "file_url": f"https://cdn.booru.test/original/ac/8e/{MD5}.jpg",
    "tag_string_general": "sketch 2boys",
    "tag_string_artist": "bonocho",
    "tag_string_character": "joker_(dc) batman",
    "tag_string_copyright": "dc_comics",
    "tag_string_meta": "commentary_request",
}
POST = Post(
    id=294929,
    width=895,
    height=687,
    file_url=f"https://cdn.booru.test/original/ac/8e/{MD5}.jpg",
    md5=MD5,
    rating="sensitive",
    tags=("2boys", "batman", "bonocho", "commentary_request", "dc_comics", "joker_(dc)", "sketch"),
    source="https://a.test/?a=1&amp=2",
    parent_id=7,
    score=-2,
    favourites=11,
    tag_categories=TagCategories(
        artist=("bonocho",),
        character=("batman", "joker_(dc)"),
        copyright=("dc_comics",),
        meta=("commentary_request",),
    ),
)


def parsed(**changes: object) -> Page:
    return parse_posts(json.dumps([RECORD | changes]).encode(), SITE)


def test_a_record() -> None:
    assert parsed() == Page((POST,))


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"rating": "g"}, "rating", "general"),
        ({"rating": "q"}, "rating", "questionable"),
        ({"rating": "e"}, "rating", "explicit"),
        ({"rating": "x"}, "rating", "x"),
        ({"rating": None}, "rating", ""),
        ({"file_url": "/data/1.png"}, "file_url", f"{SITE}/data/1.png"),
        ({"file_url": None, "md5": None}, "file_url", ""),
        ({"tag_string_artist": None}, "tags", tuple(sorted({*POST.tags} - {"bonocho"}))),
        ({"score": "many"}, "score", None),
        ({"fav_count": -1}, "favourites", None),
        ({"parent_id": None}, "parent_id", 0),
        ({"source": "\ud800"}, "source", "?"),
    ],
)
def test_odd_records(changes: dict[str, object], field: str, value: object) -> None:
    assert getattr(parsed(**changes).posts[0], field) == value


@pytest.mark.parametrize("changes", [{"image_width": None}, {"file_url": "http://[bad/1.png"}])
def test_records_that_are_no_posts(changes: dict[str, object]) -> None:
    assert parsed(**changes) == Page(malformed=(Malformed(294929),))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "answered with empty instead of posts in JSON"),
        (b"<!doctype html><title>Down</title>", "answered with a web page instead of posts"),
        (b'{"success":false,"error":"E","message":"Too\\nfast"}', "refused the request: Too fast"),
        (b"[", "answered with broken JSON"),
    ],
)
def test_what_is_no_page(body: bytes, problem: str) -> None:
    with pytest.raises(AnswerError, match=f"^{problem}"):
        parse_posts(body, SITE)


@pytest.mark.parametrize(
    ("words", "sent", "left_out"),
    [
        ([], [], []),
        (["a", "-b"], ["a", "-b"], []),
        (["a", "b", "-c"], ["a", "b"], ["-c"]),
        (["a", "b", "-rating:e", "Score:>5"], ["a", "b", "-rating:e", "Score:>5"], []),
        (["a", "b", "user:x", "-c"], ["a", "user:x"], ["b", "-c"]),
        (["a", "x*", "user:x", "pool:3"], ["user:x", "pool:3"], ["a", "x*"]),
        (["re:zero", ":d"], ["re:zero", ":d"], []),
    ],
)
def test_terms_of_a_search(words: list[str], sent: list[str], left_out: list[str]) -> None:
    assert search_terms(words) == (sent, left_out)


@pytest.mark.parametrize(
    ("site", "form", "expected"),
    [
        ("https://safebooru.donmai.us", "auto", "danbooru2"),
        ("https://safebooru.donmai.us/", "gelbooru02", "gelbooru02"),
        ("https://safebooru.org", "auto", "gelbooru02"),
        ("https://safebooru.org", "danbooru2", "danbooru2"),
    ],
)
def test_form_of_a_site(site: str, form: str, expected: str) -> None:
    params = ScrapeParams(site=site, form=form)  # type: ignore[arg-type]
    assert site_form(params) == expected
    page = "posts/294929" if expected == "danbooru2" else "index.php?page=post&s=view&id=294929"
    assert post_url(params, POST) == f"{site.rstrip('/')}/{page}"


@pytest.mark.parametrize("site", ["https://danbooru.donmai.us", "https://safebooru.donmai.us"])
def test_files_of_known_sites_are_on_another_host(site: str) -> None:
    with closing(Session(site, file_hosts=known_site(site).file_hosts)) as session:
        assert session.owns(f"https://cdn.donmai.us/original/ac/8e/{MD5}.jpg")
        assert not session.owns(f"https://cdn.donmai.example/original/ac/8e/{MD5}.jpg")


class Recorder:
    """WSGI middleware that records the queries of `/posts.json`, and answers with `answers` first.

    robots.txt is `robots`.
    """

    def __init__(
        self, site: WSGIApplication, answers: Iterable[Response] = (), robots: str = ""
    ) -> None:
        self._site, self._answers, self._robots = site, list(answers), robots
        self.queries: list[dict[str, str]] = []
        self.paths: list[str] = []

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        self.paths.append(environ["PATH_INFO"])
        if environ["PATH_INFO"] == "/robots.txt":
            return Response(self._robots)(environ, start)
        if environ["PATH_INFO"] != "/posts.json":
            return self._site(environ, start)
        query = parse_qs(environ["QUERY_STRING"])
        self.queries.append({name: values[0] for name, values in query.items()})
        answer = self._answers.pop(0) if self._answers else None
        return (answer or self._site)(environ, start)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[BooruPicture]:
    """Posts 1 to 12; 12 is hidden, 11 sensitive, 10 has a tag that no search has room for.

    Their scores are 1, 2, 0, 4, 5, 0, 0, 1, 0, and so on.
    """
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(1, 13):
        (folder / f"{number:02}.png").write_bytes(picture(number))
    found = [
        dataclasses.replace(each, tags=("highres", "original", "solo"))
        for each in collect_folder(folder)
    ]
    found[11] = dataclasses.replace(found[11], tags=("banned_artist", "solo"))
    found[10] = dataclasses.replace(found[10], rating="sensitive")
    found[9] = dataclasses.replace(found[9], tags=("jpeg_artifacts", "solo"))
    return found


def test_the_newest_posts_with_their_metadata(pictures: list[BooruPicture], tmp_path: Path) -> None:
    site, notes = Recorder(Site(pictures)), Notes()
    with Server(site) as booru:
        report = run(tmp_path, booru.url, notes, form="danbooru2", page_size=4)
        assert ids(tmp_path) == [9, 8, 7, 6, 5]
        assert report.rejected == {"hidden": 1, "excluded_tags": 1}
        first = json.loads((tmp_path / "raw/posts.jsonl").read_text().split("\n")[0])
        md5 = pictures[8].md5
        expected = {
            "post_url": f"{booru.url}/posts/9",
            "file_url": f"{booru.url}/original/{md5[:2]}/{md5[2:4]}/{md5}.png",
            "md5_matches": True,
            "score": 0,
            "favourites": 4,
            "tags": ["highres", "original", "solo"],
            "tag_categories": {
                "artist": [],
                "character": [],
                "copyright": ["original"],
                "meta": ["highres"],
            },
        }
        assert {name: first[name] for name in expected} == expected
        run(tmp_path, booru.url, form="danbooru2", limit=7, page_size=4)
        assert ids(tmp_path) == [9, 8, 7, 6, 5, 4, 3]
    assert [(query["tags"], query.get("page")) for query in site.queries] == [
        ("-animated -lowres rating:g", None),
        ("-animated -lowres rating:g", "b8"),
        ("-animated -lowres rating:g", "b4"),
    ]
    assert notes.messages == [
        f"{booru.url}: a search takes 2 tags; not searched for, but looked for in each post: "
        "-jpeg_artifacts"
    ]


def test_both_forms_of_one_site_are_listed_apart(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(Site(pictures)) as booru:
        run(tmp_path, booru.url, form="danbooru2", limit=1)
        run(tmp_path, booru.url, limit=1)
        (line,) = (tmp_path / "raw/posts.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["post_url"] == f"{booru.url}/index.php?page=post&s=view&id=12"
    assert "/images/" in record["file_url"]


@pytest.mark.parametrize("form", ["gelbooru02", "danbooru2"])
def test_the_least_score(form: str, pictures: list[BooruPicture], tmp_path: Path) -> None:
    site = Recorder(Site(pictures))
    values = {"form": form, "min_score": 2, "tags": ("original",), "limit": 3}
    with Server(site) as booru:
        run(tmp_path, booru.url, **values)
        assert ids(tmp_path) == [5, 4, 2]
        with pytest.raises(PipelineError, match=r"2 of 3 pictures are missing"):
            run(tmp_path, booru.url, **values | {"min_score": 5})
    if form == "danbooru2":
        assert {query["tags"] for query in site.queries} == {
            f"original -animated rating:g score:>={score}" for score in (2, 5)
        }


def test_a_tag_that_no_search_has_room_for_is_looked_for_in_each_post(tmp_path: Path) -> None:
    """However many posts lack it; of the tags that are searched for, one may be an alias."""
    files = {number: picture(number) for number in (2, 1)}
    records = [
        RECORD
        | {"id": number, "rating": "g", "image_width": 40, "image_height": 32}
        | {"file_url": f"/{number}.png", "md5": None}
        | {"tag_string_general": "a b" if number > 2 else "a b c"}
        for number in range(120, 0, -1)
    ]

    def site(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        is_list = path == "/posts.json"
        is_file = path.endswith(".png")
        body = json.dumps(records) if is_list else files[int(path[1:-4])] if is_file else ""
        return Response(body, 200 if body else 404)(environ, start)

    with Server(site) as booru:
        run(tmp_path, booru.url, form="danbooru2", tags=("a", "b", "c"), limit=2)
        assert ids(tmp_path) == [2, 1]
        with pytest.raises(PipelineError, match=r"118\), accepted 2; .* loosen scrape\.tags"):
            run(tmp_path, booru.url, form="danbooru2", tags=("a", "b", "c"), limit=3)
        with pytest.raises(PipelineError, match=r"tags 100\), .* posts for x that lack it"):
            run(tmp_path, booru.url, form="danbooru2", tags=("a", "x", "c"), limit=2)


def test_nothing_is_searched_for_that_the_site_ignores(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    newest = json.dumps([RECORD | {"id": 12}])
    answers = [Response(newest, mimetype="application/json") for _ in range(2)]
    with (
        Server(Recorder(Site(pictures), answers)) as booru,
        pytest.raises(PipelineError, match=r"the search ignores page=b12, .*; use another site"),
    ):
        run(tmp_path, booru.url, form="danbooru2", listing="json")


def test_no_end_is_believed_while_the_web_page_lists_posts(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    site, notes = Recorder(Site(pictures), [Response("[]") for _ in range(9)]), Notes()
    with Server(site) as booru:
        run(tmp_path, booru.url, notes, form="danbooru2", limit=2, retries=1)
    assert ids(tmp_path) == [9, 8]
    assert "though its web page lists some: its search is down; going on" in notes.messages[-1]


def test_posts_in_another_order_end_the_run(pictures: list[BooruPicture], tmp_path: Path) -> None:
    listed = json.dumps([RECORD | {"id": post_id} for post_id in (4, 9, 2, 7)])
    site = Recorder(Site(pictures), [Response(listed)])
    with Server(site) as booru, pytest.raises(SiteError) as error:
        run(tmp_path, booru.url, form="danbooru2")
    assert "in another order than that of their ids, so that none can" in str(error.value)


@pytest.mark.parametrize(
    "answer",
    [(200, "<!doctype html><body><p>This post is unavailable"), (403, ""), (500, "")],
)
def test_an_odd_page_of_a_post_is_skipped(
    answer: tuple[int, str], pictures: list[BooruPicture], tmp_path: Path
) -> None:
    def site(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        is_odd = environ["PATH_INFO"] == "/posts/8"
        odd = Response(answer[1], answer[0], mimetype="text/html")
        return (odd if is_odd else Site(pictures))(environ, start)

    with Server(site) as booru:
        report = run(tmp_path, booru.url, form="danbooru2", listing="html", limit=2, retries=0)
    assert ids(tmp_path) == [9, 7]
    assert report.rejected["malformed"] == 1


def test_the_site_says_why_it_refuses(pictures: list[BooruPicture], tmp_path: Path) -> None:
    tags = ("user:a", "user:b", "user:c")
    with Server(Site(pictures)) as booru, pytest.raises(PipelineError) as error:
        run(tmp_path, booru.url, form="danbooru2", tags=tags)
    assert str(error.value).endswith(
        ": answered HTTP 422: You cannot search for more than 2 tags at a time.; search for other "
        "tags by scrape.tags and scrape.excluded_tags: the site refuses this search"
    )


def test_the_rate_limit_of_the_site_is_waited_for(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    limit = '{"cost":1,"rate":10,"limits":{"ip/127.0.0.1":-5.5,"session/1":40}}'
    answers = [Response("{}", 429, {"X-Rate-Limit": limit})]
    notes = Notes()
    with Server(Recorder(Site(pictures), answers)) as booru:
        run(tmp_path, booru.url, notes, form="danbooru2", limit=1, excluded_tags=())
    (message,) = notes.messages
    assert message.endswith("answered HTTP 429; next try in 1 s")


def test_the_user_is_named_to_the_site_and_in_no_message(
    pictures: list[BooruPicture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_API_KEY", "s3cret")
    monkeypatch.setenv("PIPELINE_USER_ID", "somebody")
    refusal = '{"success":false,"error":"AuthenticationFailure","message":"Invalid API key s3cret"}'
    site = Recorder(Site(pictures), [Response(refusal, 401)])
    with Server(site) as booru, pytest.raises(KeyRequiredError) as error:
        run(tmp_path, booru.url, form="danbooru2")
    assert (site.queries[0]["login"], site.queries[0]["api_key"]) == ("somebody", "s3cret")
    assert str(error.value) == (
        f"{booru.url}/posts.json?api_key=...&login=...&only=...&limit=200&tags=-animated+-lowres"
        "+rating%3Ag: "
        "answers: AuthenticationFailure Invalid API key ...; its API wants a key: check "
        "PIPELINE_API_KEY and PIPELINE_USER_ID, which are set, then run the same command again"
    )


@pytest.mark.parametrize("name", ["drop", "429", "search-down", "empty"])
def test_a_fault_that_passes_changes_nothing(
    name: str, pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(FaultInjector(Site(pictures), on_lists=[name], every=2)) as booru:
        run(tmp_path, booru.url, form="danbooru2", page_size=6, limit=9)
    assert ids(tmp_path) == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_posts_that_are_listed_again_are_taken_once(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    with Server(FaultInjector(Site(pictures), on_lists=["repeat"], every=1)) as booru:
        run(tmp_path, booru.url, form="danbooru2", page_size=12, limit=9)
    assert ids(tmp_path) == [9, 8, 7, 6, 5, 4, 3, 2, 1]


def test_a_plan_costs_no_file(pictures: list[BooruPicture], tmp_path: Path) -> None:
    with Server(Site(pictures)) as booru:
        params = ScrapeParams(
            site=booru.url, form="danbooru2", limit=2, min_side=8, api_interval=0, file_interval=0
        )
        planned = plan(params, tmp_path / "store")
    assert [entry.post.id for entry in planned.accepted] == [9, 8]
    assert planned.rejected == {"hidden": 1, "excluded_tags": 1}


ROBOTS = """
User-agent: *
Disallow: /
Disallow: /*.json
Allow: /posts
Allow: /original
"""


def test_what_robots_txt_closes_is_read_from_web_pages(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    """As the published robots.txt of Danbooru 2 has it: the API is closed, the pages are not."""
    site, notes = Recorder(Site(pictures), robots=ROBOTS), Notes()
    values = {"form": "danbooru2", "limit": 6, "tags": ("original",), "page_size": 4}
    with Server(site) as booru:
        run(tmp_path, booru.url, notes, **values)
        assert ids(tmp_path) == [9, 8, 7, 6, 5, 4]
        pages = (tmp_path / "raw/posts.jsonl").read_text()
        assert "/posts.json" not in site.paths
        assert site.paths.count("/posts") == 2
    (tmp_path / "api").mkdir()
    with Server(Site(pictures)) as other:
        run(tmp_path / "api", other.url, **values)
    api = (tmp_path / "api/raw/posts.jsonl").read_text()
    assert pages == api.replace(other.url, booru.url)
    (moved_on,) = [text for text in notes.messages if "going on" in text]
    assert moved_on.endswith(
        "robots.txt does not allow anime-sr-pipeline to fetch this; going on with the listing as "
        "web pages: a request, 0 s or more, for each post (scrape.listing: json ends here instead)"
    )


@pytest.mark.parametrize("robots", ["", ROBOTS])
def test_the_form_of_an_unknown_site_is_named(
    robots: str, pictures: list[BooruPicture], tmp_path: Path
) -> None:
    def site(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        here = Site(pictures) if environ["PATH_INFO"] != "/index.php" else Response("", 404)
        return here(environ, start)

    with Server(Recorder(site, robots=robots)) as booru, pytest.raises(PipelineError) as error:
        run(tmp_path, booru.url)
    assert str(error.value).endswith("; if it is a Danbooru 2 site, set scrape.form to danbooru2")


def test_another_form_of_listing_may_need_no_login(
    pictures: list[BooruPicture], tmp_path: Path
) -> None:
    listed = Site(pictures)

    def site(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        is_api = "page=dapi" in environ["QUERY_STRING"]
        login = Response("", 302, headers={"Location": "/user/login"})
        return (login if is_api else listed)(environ, start)

    with Server(site) as booru:
        assert run(tmp_path, booru.url, limit=3).accepted == 3


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"listing": "xml"},
            "scrape.listing: Danbooru 2 sites are not listed in XML; set auto, json or html",
        ),
        (
            {"ratings": ("safe",)},
            "scrape.ratings: Danbooru 2 sites have no safe; add general",
        ),
    ],
)
def test_what_such_sites_do_not_have(
    values: dict[str, object], problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as error:
        run(tmp_path, SITE, form="danbooru2", **values)
    assert str(error.value) == problem
